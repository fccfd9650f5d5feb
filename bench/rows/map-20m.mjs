import { runChild } from '../child.mjs'
import { OURS } from '../verdict.mjs'

export const row = {
  title: 'a map of 20 million small keys, set a thousand at a time',
  unit: '/s',
  note: 'keys of 16 B, values of 8; 2 million without --full. One run, of a log that is not synced; then it is closed, opened by a replay, and counted.',
  needsNoWarmup: true,
  isMeasuredOnce: true,
  contestants: [
    {
      name: OURS,
      prepare(folder, { full }) {
        const count = full ? 20_000_000 : 2_000_000
        return {
          async measure() {
            const job = { folder, count, kind: 'durable', small: true }
            const { seconds } = await runChild('map-memory.mjs', job)
            return count / seconds
          },
        }
      },
    },
  ],
  bars: [],
}
