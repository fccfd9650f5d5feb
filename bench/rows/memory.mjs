import { runChild } from '../child.mjs'
import { OURS } from '../verdict.mjs'

export const row = {
  title: 'memory (peak RSS) while appending and scanning',
  unit: 'MiB',
  note: 'one run: 256 writers, synced, then a scan, a GiB at a time: 1 GiB, or 10 with --full. Node itself takes about 45 MiB.',
  needsNoWarmup: true,
  isMeasuredOnce: true,
  contestants: [
    {
      name: OURS,
      prepare(folder, { full }) {
        const gibibytes = full ? 10 : 1
        return {
          async measure() {
            const { peakBytes } = await runChild('append-and-scan.mjs', { folder, gibibytes })
            return peakBytes / 2 ** 20
          },
        }
      },
    },
  ],
  bars: [{ atMost: 150 }],
}
