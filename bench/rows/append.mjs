import { closeSync, fdatasync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { preallocate } from '../disk.mjs'
import { typicalMicros } from '../measure.mjs'
import { openLevel, payloads } from '../stores.mjs'
import { Log } from '../tidemark.mjs'
import { OURS } from '../verdict.mjs'

const FLOOR = 'writeSync + fdatasync'
const FLOOR_FILE_BYTES = 8 * 2 ** 20
const datasync = promisify(fdatasync)
const data = payloads()
/** An entry as it lies in the store: the floor writes as many bytes. */
const stored = payloads(168)

const calls = ({ quick }) => (quick ? 300 : 500)

export const row = {
  title: 'durable append, one writer (p50)',
  unit: 'µs',
  slices: 4,
  contestants: [
    {
      name: OURS,
      async prepare(folder, context) {
        const log = await Log.open(folder)
        return {
          measure: () => typicalMicros(calls(context), (i) => log.append(data[i & 63])),
          close: () => log.close(),
        }
      },
    },
    {
      name: FLOOR,
      async prepare(folder, context) {
        const fd = preallocate(join(folder, 'floor'), FLOOR_FILE_BYTES)
        let at = 0
        const write = (i) => {
          writeSync(fd, stored[i & 63], 0, 168, at)
          at = (at + 168) % (FLOOR_FILE_BYTES - 168)
          return datasync(fd)
        }
        return {
          measure: () => typicalMicros(calls(context), write),
          close: () => closeSync(fd),
        }
      },
    },
    {
      name: 'classic-level, sync',
      async prepare(folder, context) {
        const db = await openLevel(folder)
        let next = 0
        const put = (i) => db.put(String(next++).padStart(12, '0'), data[i & 63], { sync: true })
        return {
          measure: () => typicalMicros(calls(context), put),
          close: () => db.close(),
        }
      },
    },
  ],
  bars: [{ against: FLOOR, atMost: 1.15 }],
}
