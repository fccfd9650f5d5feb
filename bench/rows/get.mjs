import assert from 'node:assert/strict'
import { filledLmdb, filledLog } from '../filled.mjs'
import { perSecond } from '../measure.mjs'
import { OURS } from '../verdict.mjs'

const LMDB = 'lmdb, get'
const ENTRIES = 200_000

/** Every offset once, in an order that is random and always the same. */
function shuffledOffsets() {
  const offsets = Uint32Array.from({ length: ENTRIES }, (_, i) => i)
  let state = 0x9e3779b9
  for (let i = ENTRIES - 1; i > 0; i--) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    const j = (state >>> 0) % (i + 1)
    const swapped = offsets[i]
    offsets[i] = offsets[j]
    offsets[j] = swapped
  }
  return offsets
}

const offsets = shuffledOffsets()

export const row = {
  title: 'random get of 200,000 entries, warm',
  unit: '/s',
  contestants: [
    {
      name: OURS,
      async prepare(folder) {
        const log = await filledLog(folder, ENTRIES)
        const work = async () => {
          let sum = 0
          for (const offset of offsets) {
            const entry = await log.get(offset)
            sum += entry.data[0]
          }
          assert.ok(sum > 0)
        }
        return { measure: () => perSecond(ENTRIES, work), close: () => log.close() }
      },
    },
    {
      name: LMDB,
      async prepare(folder) {
        const db = await filledLmdb(folder, ENTRIES)
        const work = async () => {
          let sum = 0
          for (const offset of offsets) sum += db.get(offset)[0]
          assert.ok(sum > 0)
        }
        return { measure: () => perSecond(ENTRIES, work), close: () => db.close() }
      },
    },
  ],
  bars: [{ against: LMDB, atLeast: 1 }],
}
