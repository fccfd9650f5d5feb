// One process writes, another follows, with nothing between them but the folder. In two terminals:
//   node build/examples/two-processes.js ./chat write
//   node build/examples/two-processes.js ./chat read
// Each line that you type in the first appears in the second. Kill the writer with -9 and start it again: the
// reader goes on. Start any number of readers; none of them holds the writer up.
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { Log, TidemarkError, text } from 'tidemark'

async function write(folder: string): Promise<void> {
  const log = await Log.open(folder, { codec: text })
  console.log(`writing to ${folder}`)
  for await (const line of createInterface({ input: process.stdin })) {
    console.log(`entry ${await log.append(line)} is safe`)
  }
  await log.close()
}

/** Waits until there is a log: the reader may be started first. */
async function openToRead(folder: string): Promise<Log<string, string>> {
  for (;;) {
    try {
      return await Log.open(folder, { mode: 'read', codec: text })
    } catch (error) {
      if (!(error instanceof TidemarkError && error.code === 'NOT_FOUND')) throw error
      await sleep(50)
    }
  }
}

async function read(folder: string): Promise<void> {
  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort())
  const log = await openToRead(folder)
  try {
    for await (const { offset, data } of log.read({ follow: true, signal: stop.signal })) {
      console.log(`${offset}: ${data}`)
    }
  } catch (error) {
    // Being told to stop is how this ends; anything else is an error.
    if (!stop.signal.aborted) throw error
  } finally {
    await log.close()
  }
  console.log('told to stop')
}

const [folder, role] = process.argv.slice(2)
const work = role === 'write' ? write : role === 'read' ? read : undefined
if (folder === undefined || work === undefined) {
  console.error('two-processes.js <folder> write|read')
  process.exitCode = 2
} else {
  await work(folder)
}
