import { closeSync, fdatasyncSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { preallocate } from '../disk.mjs'
import { typicalMicrosSync } from '../measure.mjs'
import { openSqlite, payloads } from '../stores.mjs'
import { Log } from '../tidemark.mjs'
import { OURS } from '../verdict.mjs'

const FLOOR = 'writeSync + fdatasyncSync'
const SQLITE = 'better-sqlite3, FULL'
const FLOOR_FILE_BYTES = 8 * 2 ** 20
const data = payloads()
/** An entry as it lies in the store: the floor writes as many bytes. */
const stored = payloads(168)

const calls = ({ quick }) => (quick ? 300 : 500)

export const row = {
  title: 'durable appendSync (p50)',
  unit: 'µs',
  slices: 4,
  contestants: [
    {
      name: OURS,
      async prepare(folder, context) {
        const log = await Log.open(folder)
        return {
          measure: () => typicalMicrosSync(calls(context), (i) => log.appendSync(data[i & 63])),
          close: () => log.close(),
        }
      },
    },
    {
      name: FLOOR,
      prepare(folder, context) {
        const fd = preallocate(join(folder, 'floor'), FLOOR_FILE_BYTES)
        let at = 0
        const write = (i) => {
          writeSync(fd, stored[i & 63], 0, 168, at)
          at = (at + 168) % (FLOOR_FILE_BYTES - 168)
          fdatasyncSync(fd)
        }
        return {
          measure: () => typicalMicrosSync(calls(context), write),
          close: () => closeSync(fd),
        }
      },
    },
    {
      name: SQLITE,
      prepare(folder, context) {
        const { db, insert } = openSqlite(folder, 'FULL')
        return {
          measure: () => typicalMicrosSync(calls(context), (i) => insert.run(data[i & 63])),
          close: () => db.close(),
        }
      },
    },
  ],
  bars: [
    { against: FLOOR, atMost: 1.15 },
    { against: SQLITE, below: 1 },
  ],
}
