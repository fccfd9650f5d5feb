// Many logs in one folder under one lock: for a program that keeps a log for each customer, say. The lock
// is one open file, however many logs there are, and keeps every other process out of all of them.
//   node build/examples/many-logs.js ./customers
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FolderLock, json, Log, TidemarkError } from 'tidemark'

const folder = process.argv[2] ?? mkdtempSync(join(tmpdir(), 'customers-'))
const codec = json<{ bought: string }>()

const lock = await FolderLock.acquire(folder)
const logs = await Promise.all(
  ['ada', 'grace', 'barbara'].map((name) => Log.open(join(folder, name), { codec, lock })),
)
for (const log of logs) {
  await log.append({ bought: 'a tide table' })
  console.log(`${log.folder.slice(folder.length + 1)} has ${log.highWaterMark} entries`)
}

try {
  await Log.open(join(folder, 'ada'))
} catch (error) {
  if (!(error instanceof TidemarkError)) throw error
  console.log(`without the lock: ${error.code}`)
}

await Promise.all(logs.map((log) => log.close()))
lock.release()
