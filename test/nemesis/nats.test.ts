import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { BUILD } from '../kill/quorum/planted-build.ts'
import { endsWithItsTests } from './left-over.ts'
import { NATS } from './nats.ts'
import { play } from './scenario.ts'

endsWithItsTests()

// The longer ones are left to `npm run nemesis -- --scenario=all`, which .ci/run plays.
describe('what Jepsen has found in NATS 2.12.1', { concurrency: 2 }, () => {
  for (const scenario of NATS) {
    if (scenario.isLong) continue
    it(`${scenario.name}: ${scenario.text}`, async (t) => {
      const seed = Math.floor(Math.random() * 2 ** 32)
      t.diagnostic(`seed ${seed}`)
      const { faults, acknowledged } = await play(scenario, BUILD, seed)
      t.diagnostic(`${acknowledged} acknowledged`)
      assert.deepEqual(faults, [])
    })
  }
})
