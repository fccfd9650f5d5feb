// Fills the one segment of a log with entries of 128 bytes, and waits to be killed.
import { payloads } from '../stores.mjs'
import { Log } from '../tidemark.mjs'

const SEGMENT_BYTES = 64 * 2 ** 20
const SEGMENT_HEADER_BYTES = 64
const STORED_BYTES = 40 + 128
const BATCH = 256

// Nobody waits for the answer any more.
process.once('disconnect', () => process.exit())
process.once('message', async ({ folder, sync }) => {
  const data = payloads(128, BATCH)
  const log = await Log.open(folder, { sync, segmentBytes: SEGMENT_BYTES })
  const count = Math.floor((SEGMENT_BYTES - SEGMENT_HEADER_BYTES) / STORED_BYTES)
  for (let left = count; left > 0; left -= BATCH) {
    await log.appendBatch(left < BATCH ? data.slice(0, left) : data)
  }
  process.send({ count })
  setInterval(() => {}, 1000)
})
