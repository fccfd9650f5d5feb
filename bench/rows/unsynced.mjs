import { concurrently, perSecond } from '../measure.mjs'
import { openSqlite, payloads } from '../stores.mjs'
import { Log } from '../tidemark.mjs'
import { OURS } from '../verdict.mjs'

const SQLITE = 'better-sqlite3, OFF, one by one'
const IN_FLIGHT = 256
const data = payloads()

export const row = {
  title: 'append without sync, 256 in flight',
  unit: '/s',
  note: 'acknowledged means: in the kernel, safe from the end of the process but not of the machine.',
  contestants: [
    {
      name: OURS,
      async prepare(folder, { quick }) {
        const log = await Log.open(folder, { sync: 'never' })
        const count = IN_FLIGHT * (quick ? 1000 : 2000)
        const work = () => concurrently(IN_FLIGHT, count, (i) => log.append(data[i & 63]))
        return { measure: () => perSecond(count, work), close: () => log.close() }
      },
    },
    {
      name: SQLITE,
      prepare(folder, { quick }) {
        const { db, insert } = openSqlite(folder, 'OFF')
        const count = quick ? 30_000 : 60_000
        const work = async () => {
          for (let i = 0; i < count; i++) insert.run(data[i & 63])
        }
        return { measure: () => perSecond(count, work), close: () => db.close() }
      },
    },
  ],
  bars: [{ against: SQLITE, atLeast: 10 }],
}
