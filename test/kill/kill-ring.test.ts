import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { freshLog } from '../cli/tidemark.js'
import { kvRing } from './kv-ring.js'
import { killRing } from './ring.js'

/** `npm run kill` has more of them. */
const ROUNDS = 3
const KV_ROUNDS = 2

describe('kill -9', () => {
  it('loses nothing that was acknowledged, and invents nothing', async (t) => {
    const seed = Math.floor(Math.random() * 2 ** 32)
    t.diagnostic(`seed ${seed}`)
    const rounds = await killRing({
      log: freshLog(t),
      rounds: ROUNDS,
      seed,
      lifeMs: { min: 300, max: 900 },
    })
    const acknowledged = rounds.reduce((sum, round) => sum + round.acknowledged, 0)
    t.diagnostic(`${ROUNDS} kills, ${acknowledged} lines acknowledged, none lost`)
    assert.ok(acknowledged > 0)
  })

  it('leaves each key that was acknowledged its value', async (t) => {
    const seed = Math.floor(Math.random() * 2 ** 32)
    t.diagnostic(`seed ${seed}`)
    const folder = freshLog(t)
    const lifeMs = { min: 600, max: 1500 }
    const rounds = await kvRing({ folder, rounds: KV_ROUNDS, seed, lifeMs })
    const acknowledged = rounds.reduce((sum, round) => sum + round.acknowledged, 0)
    t.diagnostic(`${KV_ROUNDS} kills, ${acknowledged} keys acknowledged, none lost`)
    assert.ok(acknowledged > 0)
  })
})
