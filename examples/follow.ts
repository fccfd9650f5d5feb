// A reader that follows a log: it reads what is there, then waits for more, until it is told to stop. It
// might as well run in another process: two-processes.ts does.
//   node build/examples/follow.js ./messages
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Log, text } from 'tidemark'

const folder = process.argv[2] ?? mkdtempSync(join(tmpdir(), 'messages-'))

/** Prints every message from the offset `from` on, until the signal is aborted. */
async function printMessages(
  from: number,
  signal: AbortSignal,
  printed: (message: string) => void,
): Promise<number> {
  const reader = await Log.open(folder, { mode: 'read', codec: text })
  let count = 0
  try {
    for await (const { offset, data } of reader.read({ from, follow: true, signal })) {
      console.log(`read ${offset}: ${data}`)
      count++
      printed(data)
    }
  } catch (error) {
    // Being told to stop is how this ends; anything else is an error.
    if (!signal.aborted) throw error
  } finally {
    await reader.close()
  }
  return count
}

const writer = await Log.open(folder, { codec: text })
const stop = new AbortController()
const from = writer.highWaterMark
const reading = printMessages(from, stop.signal, (message) => {
  if (message === 'it goes out') stop.abort()
})

for (const message of ['the tide comes in', 'it stands', 'it goes out']) {
  await writer.append(message)
  await sleep(50)
}
console.log(`stopped after ${await reading} messages`)
await writer.close()
