import { keyOf, mapOptions, textOf } from '../keys.mjs'
import { concurrently, perSecond } from '../measure.mjs'
import { payloads } from '../stores.mjs'
import { DurableMap, Log } from '../tidemark.mjs'
import { OURS } from '../verdict.mjs'

const BARE = "the bare log's append of as many bytes"
const WRITERS = 256
/** What a set of a key with 16 bytes and a value with 100 becomes in the log. */
const COMMAND_BYTES = 2 + 14 + 116

const calls = ({ quick }) => WRITERS * (quick ? 300 : 800)

export const row = {
  title: 'durable map.set, 256 writers',
  unit: '/s',
  contestants: [
    {
      name: OURS,
      async prepare(folder, context) {
        const log = await Log.open(folder)
        const map = await DurableMap.open(log, mapOptions)
        const count = calls(context)
        let next = 0
        const work = () =>
          concurrently(WRITERS, count, () => {
            const i = next++ % 100_000
            return map.set(keyOf(i), textOf(i))
          })
        const close = async () => {
          await map.close()
          await log.close()
        }
        return { measure: () => perSecond(count, work), close }
      },
    },
    {
      name: BARE,
      async prepare(folder, context) {
        const log = await Log.open(folder)
        const count = calls(context)
        const data = payloads(COMMAND_BYTES)
        const work = () => concurrently(WRITERS, count, (i) => log.append(data[i & 63]))
        return { measure: () => perSecond(count, work), close: () => log.close() }
      },
    },
  ],
  bars: [{ against: BARE, atLeast: 0.7 }],
}
