// Appends each line of its input, and prints the offset or the code of the error. It goes on after errors.
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { Log, TidemarkError } from 'tidemark'

const log = await Log.open(process.argv[2]!)
const lines = createInterface({ input: process.stdin })
lines.on('line', async (line) => {
  try {
    process.stdout.write(`${await log.append(line)}\n`)
  } catch (error) {
    process.stdout.write(`${error instanceof TidemarkError ? error.code : error}\n`)
  }
})
await once(lines, 'close')
await log.close()
