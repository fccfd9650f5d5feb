import { fill, keyOf, mapOptions, textOf } from '../keys.mjs'
import { DurableMap, Log } from '../tidemark.mjs'
import { OURS } from '../verdict.mjs'

const keys = ({ quick }) => (quick ? 200_000 : 1_000_000)
const WRITERS = 16

/** The longest time between two turns of the event loop while `work` is under way, in ms. */
async function longestPause(work) {
  let longest = 0
  let last = performance.now()
  let isDone = false
  const tick = () => {
    const now = performance.now()
    longest = Math.max(longest, now - last)
    last = now
    if (!isDone) setImmediate(tick)
  }
  setImmediate(tick)
  await work()
  isDone = true
  return longest
}

export const row = {
  title: 'longest pause during a snapshot of a million keys',
  unit: 'ms',
  note: 'between two turns of the event loop, while 16 writers go on setting keys at random',
  contestants: [
    {
      name: OURS,
      async prepare(folder, context) {
        const count = keys(context)
        const log = await Log.open(folder, { sync: 'never' })
        const map = await DurableMap.open(log, mapOptions)
        await fill(map, count)
        let isDone = false
        const write = async () => {
          for (let i = 7; !isDone; i = (i * 48_271) % 2_147_483_647) {
            await map.set(keyOf(i % count), textOf(i))
          }
        }
        const measure = async () => {
          isDone = false
          const writing = Array.from({ length: WRITERS }, write)
          const pause = await longestPause(() => map.snapshot())
          isDone = true
          await Promise.all(writing)
          return pause
        }
        const close = async () => {
          await map.close()
          await log.close()
        }
        return { measure, close }
      },
    },
  ],
  bars: [{ atMost: 20 }],
}
