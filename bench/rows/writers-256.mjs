import { concurrently, perSecond } from '../measure.mjs'
import { openLmdb, payloads } from '../stores.mjs'
import { Log } from '../tidemark.mjs'
import { OURS } from '../verdict.mjs'

const LMDB = 'lmdb, put + flushed'
const WRITERS = 256
const data = payloads()

const calls = ({ quick }) => WRITERS * (quick ? 300 : 800)

export const row = {
  title: 'durable append, 256 writers',
  unit: '/s',
  contestants: [
    {
      name: OURS,
      async prepare(folder, context) {
        const log = await Log.open(folder)
        const count = calls(context)
        const work = () => concurrently(WRITERS, count, (i) => log.append(data[i & 63]))
        return { measure: () => perSecond(count, work), close: () => log.close() }
      },
    },
    {
      name: LMDB,
      prepare(folder, context) {
        const db = openLmdb(folder)
        const count = calls(context)
        let next = 0
        const put = async (i) => {
          await db.put(next++, data[i & 63])
          await db.flushed
        }
        const work = () => concurrently(WRITERS, count, put)
        return { measure: () => perSecond(count, work), close: () => db.close() }
      },
    },
  ],
  bars: [{ against: LMDB, atLeast: 2 }],
}
