import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { CORPUS } from './sim/corpus.ts'
import { Invariants, Violation } from './sim/invariants.ts'
import { runSeed } from './sim/run-seed.ts'
import { ShadowLog } from './sim/shadow-log.ts'

/** So many of the seeds that failed once; `npm run sim -- --corpus` runs all. */
const SEEDS = CORPUS.slice(0, 3)

describe('a simulated cluster', () => {
  for (const seed of SEEDS) {
    it(`keeps its word, seed ${seed}`, async () => {
      const { report, fault } = await runSeed(seed)
      assert.equal(fault, undefined)
      assert(report.events >= 5_000, `${report.events} events`)
      assert(report.acked >= 100, `${report.acked} appends`)
    })
  }

  it('is the same for the same seed, bit for bit, and another for another', async () => {
    const runs = [await runSeed(71), await runSeed(71), await runSeed(80)]
    const [first, again, other] = runs.map(({ report }) => report)
    assert.deepEqual(first, again)
    assert.notEqual(first!.trace, other!.trace)
  })

  it('goes without the kinds of faults that it is told to leave out', async () => {
    const { report, fault } = await runSeed(2, [
      'network',
      'kill',
      'power',
      'eio',
      'full',
      'rot',
      'wipe',
    ])
    assert.equal(fault, undefined)
    for (const kind of ['lost', 'kill', 'power loss', 'failed sync', 'rot', 'wiped disk']) {
      assert.equal(report.faults[kind] ?? 0, 0, kind)
    }
  })
})

describe('members that walk from three to five and to another three', () => {
  for (const seed of [1, 2, 3, 4, 5, 6]) {
    it(`keep their word at every stage, seed ${seed}`, async () => {
      const { report, fault } = await runSeed(seed, [], true)
      assert.equal(fault, undefined)
      for (const stage of ['learner appended', 'joint appended', 'settled appended']) {
        assert((report.faults[`walk: ${stage}`] ?? 0) > 0, stage)
      }
    })
  }
})

describe('npm run sim', () => {
  const main = fileURLToPath(new URL('sim/main.js', import.meta.url))
  for (const word of ['--bogus', 'word', '--seeds=', '--seed=1e3', '--seconds=-1', '--without=x']) {
    it(`ends with 2 and a line for ${word}`, () => {
      const { status, stderr } = spawnSync(process.execPath, [main, '--seeds=0', word])
      assert.equal(status, 2)
      assert.match(stderr.toString(), /^sim: .*\n$/)
    })
  }
})

describe('the invariants see', () => {
  const hard = { term: 3, vote: 0, promised: undefined, configurations: [] }

  it('two votes in one term, also across a restart', () => {
    const invariants = new Invariants()
    const watched = invariants.watch(1, hard, new ShadowLog())
    invariants.saved(watched, { ...hard, term: 4, vote: 2 })
    assert.throws(() => invariants.saved(watched, { ...hard, term: 4, vote: 3 }), Violation)
    const forgets = { ...hard, term: 4, vote: 0 }
    assert.throws(() => invariants.watch(1, forgets, new ShadowLog()), Violation)
  })

  it('a message of a term that is not on the disk', () => {
    const invariants = new Invariants()
    const watched = invariants.watch(1, hard, new ShadowLog())
    const message = { kind: 'transfer', term: 4 } as const
    assert.throws(() => invariants.sent(watched, { to: 2, message }), Violation)
    invariants.sent(watched, { to: 2, message: { ...message, term: 3 } })
  })

  it('a log that has forgotten what was synced', () => {
    const invariants = new Invariants()
    const log = new ShadowLog()
    const batch = { term: 3, start: 0, end: 2, bytes: 9, kind: 'data', payload: [] } as const
    log.apply({ number: 1, batches: [batch] })
    invariants.watch(1, hard, log)
    assert.throws(() => invariants.watch(1, hard, new ShadowLog()), Violation)
  })
})
