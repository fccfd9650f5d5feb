import { perSecond } from '../measure.mjs'
import { openSqlite, payloads } from '../stores.mjs'
import { Log } from '../tidemark.mjs'
import { OURS } from '../verdict.mjs'

const SQLITE = 'better-sqlite3, FULL, transactions'
const BATCH = 256
const batch = payloads(128, BATCH)

const batches = ({ quick }) => (quick ? 300 : 800)

export const row = {
  title: 'durable appendBatch of 256 (entries)',
  unit: '/s',
  contestants: [
    {
      name: OURS,
      async prepare(folder, context) {
        const log = await Log.open(folder)
        const count = batches(context)
        const work = async () => {
          for (let i = 0; i < count; i++) await log.appendBatch(batch)
        }
        return { measure: () => perSecond(count * BATCH, work), close: () => log.close() }
      },
    },
    {
      name: SQLITE,
      prepare(folder, context) {
        const { db, insert } = openSqlite(folder, 'FULL')
        const count = batches(context)
        const transaction = db.transaction((entries) => {
          for (const entry of entries) insert.run(entry)
        })
        const work = async () => {
          for (let i = 0; i < count; i++) transaction(batch)
        }
        return { measure: () => perSecond(count * BATCH, work), close: () => db.close() }
      },
    },
  ],
  bars: [{ against: SQLITE, atLeast: 2 }],
}
