// Appends and scans so many bytes, and says how much memory that took at its highest. The log is trimmed
// each time a GiB has been scanned, so that no more than that lies on the disk.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { concurrently } from '../measure.mjs'
import { payloads } from '../stores.mjs'
import { Log } from '../tidemark.mjs'

const STORED_BYTES = 40 + 128
const WRITERS = 256
const SAMPLE_MS = 50

/** The highest resident size that the kernel has seen, in bytes; undefined where it does not say. */
function kernelPeak() {
  try {
    const line = /VmHWM:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))
    return line ? Number(line[1]) * 1024 : undefined
  } catch {
    return undefined
  }
}

async function appendAndScan(log, count) {
  const data = payloads()
  const from = log.highWaterMark
  await concurrently(WRITERS, count, (i) => log.append(data[i & 63]))
  let seen = 0
  for await (const entry of log.read({ from })) {
    seen++
    assert.equal(entry.data.length, 128)
  }
  assert.equal(seen, count)
  await log.trim(log.highWaterMark)
}

// Nobody waits for the answer any more.
process.once('disconnect', () => process.exit())
process.once('message', async ({ folder, gibibytes }) => {
  let sampled = 0
  const sampler = setInterval(() => {
    sampled = Math.max(sampled, process.memoryUsage.rss())
  }, SAMPLE_MS)
  const log = await Log.open(folder)
  for (let i = 0; i < gibibytes; i++) {
    await appendAndScan(log, Math.ceil(2 ** 30 / STORED_BYTES))
  }
  await log.close()
  clearInterval(sampler)
  process.send({ peakBytes: kernelPeak() ?? sampled }, () => process.disconnect())
})
