// What a log does, in a few lines. Give it a folder to keep what it writes:
//   node build/examples/first-ten-lines.js ./greetings
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Log } from 'tidemark'

const folder = process.argv[2] ?? mkdtempSync(join(tmpdir(), 'greetings-'))

const log = await Log.open(folder)
const offset = await log.append('good morning')
console.log(`entry ${offset} is on the disk`)

const { first, last } = await log.appendBatch(['good day', 'good evening'])
console.log(`entries ${first} to ${last} are on the disk, all of them or none`)

for await (const entry of log.read({ from: offset })) {
  console.log(`${entry.offset}: ${entry.data}`)
}

const evening = await log.get(last)
console.log(`entry ${last} says "${evening?.data}"`)

await log.trim(last)
console.log(`the log holds the offsets from ${log.lowWaterMark} to below ${log.highWaterMark}`)
await log.close()
