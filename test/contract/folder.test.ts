import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { Log, type LogOptions } from 'tidemark'
import { type ContractLog, commitLogContract, ForgetfulFiles } from 'tidemark/testing'

// The contract over the engine on a folder: with every policy, with segments so small that nearly
// every test crosses several, and on simulated files, where asynchronous work takes its time.

const MAX_ENTRY_BYTES = 2 * 1024 * 1024

type PlainOptions = Omit<LogOptions, 'codec'>

const folders: string[] = []
after(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

function freshFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-contract-'))
  folders.push(folder)
  return folder
}

function folderContract(name: string, options: PlainOptions): void {
  const settings = { maxEntryBytes: MAX_ENTRY_BYTES, ...options }
  commitLogContract({
    name,
    maxEntryBytes: MAX_ENTRY_BYTES,
    open: () => Log.open(freshFolder(), settings),
    reopen: async (log) => {
      await log.close()
      return Log.open((log as Log).folder, settings)
    },
  })
}

folderContract('a folder with default options', {})
folderContract('a folder with tiny segments and every entry indexed', {
  segmentBytes: 512,
  indexIntervalBytes: 1,
})
folderContract('a folder with small segments that is never synced', {
  segmentBytes: 4096,
  sync: 'never',
  cacheBytes: 0,
})
folderContract('a folder that is synced at intervals, without preallocation', {
  sync: { intervalMs: 5 },
  segmentBytes: 100_000,
  preallocate: false,
})

/** Simulated files whose operations take from none to several turns of the event loop. */
function unevenFiles(): ForgetfulFiles {
  let turn = 0
  const delay = async () => {
    turn = (turn + 1) % 5
    for (let i = 0; i < turn; i++) await new Promise((resolve) => setImmediate(resolve))
  }
  return new ForgetfulFiles({ syncDelay: delay, writeDelay: delay })
}

const filesOf = new WeakMap<ContractLog, ForgetfulFiles>()

async function openOn(files: ForgetfulFiles, options: PlainOptions): Promise<ContractLog> {
  const log = await Log.open('/log', { maxEntryBytes: MAX_ENTRY_BYTES, ...options, files })
  filesOf.set(log, files)
  return log
}

function simulatedContract(name: string, options: PlainOptions): void {
  commitLogContract({
    name,
    maxEntryBytes: MAX_ENTRY_BYTES,
    open: () => openOn(unevenFiles(), options),
    reopen: async (log) => {
      await log.close()
      return openOn(filesOf.get(log)!, options)
    },
  })
}

simulatedContract('a simulated folder', {})
simulatedContract('a simulated folder with tiny segments', {
  segmentBytes: 512,
  indexIntervalBytes: 1,
})
simulatedContract('a simulated folder that is never synced', {
  sync: 'never',
  segmentBytes: 2000,
  indexIntervalBytes: 100,
})
