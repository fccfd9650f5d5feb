import { closeSync, fdatasyncSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { flushJournal } from '../disk.mjs'
import { concurrently, perSecond } from '../measure.mjs'
import { payloads } from '../stores.mjs'
import { Log } from '../tidemark.mjs'
import { OURS } from '../verdict.mjs'

const FLOOR = 'sequential write, fdatasync per MiB'
const MIB = 2 ** 20
const ENTRY_BYTES = 64 * 1024
const PER_MIB = MIB / ENTRY_BYTES
const data = payloads(ENTRY_BYTES, PER_MIB)

const mebibytes = ({ quick }) => (quick ? 48 : 96)

/** Fills a new log, from its creation to its close. */
async function fillLog(folder, count) {
  const log = await Log.open(folder)
  await concurrently(8, count * PER_MIB, (i) => log.append(data[i % PER_MIB]))
  await log.close()
}

/** Fills a new file that grows as it is written. */
function fillFile(path, count) {
  const fd = openSync(path, 'wx')
  for (let i = 0; i < count; i++) {
    for (const entry of data) writeSync(fd, entry)
    fdatasyncSync(fd)
  }
  closeSync(fd)
}

/** A contestant that fills something new in each run; only the filling is timed. */
function filler(name, fill) {
  return {
    name,
    prepare(folder, context) {
      const count = mebibytes(context)
      const path = join(folder, 'fresh')
      return {
        async measure() {
          const rate = await perSecond(count, () => fill(path, count))
          rmSync(path, { recursive: true })
          flushJournal(folder)
          return rate
        },
      }
    },
  }
}

export const row = {
  title: 'durable append of 64 KiB, 8 writers',
  unit: 'MiB/s',
  note: 'from the creation of the log or file to its close, all reserving of space included.',
  contestants: [filler(OURS, fillLog), filler(FLOOR, async (path, count) => fillFile(path, count))],
  bars: [{ against: FLOOR, atLeast: 1 }],
}
