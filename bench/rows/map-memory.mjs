import { runChild } from '../child.mjs'
import { OURS } from '../verdict.mjs'

const MAP = 'a plain Map of the same strings'

const keys = ({ quick }) => (quick ? 200_000 : 1_000_000)
const bytesOf = (kind) => ({
  name: kind === 'durable' ? OURS : MAP,
  prepare(folder, context) {
    const count = keys(context)
    return {
      async measure() {
        const { bytes } = await runChild('map-memory.mjs', { folder, count, kind, small: false })
        return bytes / count
      },
    }
  },
})

export const row = {
  title: 'memory of a map for each key (16 B, values of 100 B)',
  unit: 'B',
  note: 'growth of the heap and of buffers while a million keys are set, after a collection of garbage',
  needsNoWarmup: true,
  contestants: [bytesOf('durable'), bytesOf('plain')],
  bars: [],
}
