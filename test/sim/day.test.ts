// A part of a simulated day under each sync policy, for every run of the tests; `npm run sim` has more of them.
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { Day } from './day.ts'

/** The first policy has half a day, the others a part of it: `npm run sim -- --days=N` makes whole ones. */
const HOURS = [12, 5, 5]

it('lives through a day of appends, retention, consumers, backups, crashes and set clocks', async (t) => {
  const policies = new Set<string>()
  const base = Number(process.env.TIDEMARK_SEED ?? 20_261_121)
  for (let seed = base; policies.size < 3 && seed < base + 20; seed++) {
    const hours = HOURS[policies.size]!
    const day = new Day({ seed, hours })
    if (policies.has(day.report.sync)) continue
    policies.add(day.report.sync)
    const report = await day.run()
    t.diagnostic(`seed ${seed}: ${JSON.stringify(report)}`)
    assert.equal(report.backups, hours)
    // A segment ends every 20 minutes if not sooner, and the first hours are forgotten in the last ones.
    assert.ok(report.rolls >= (hours - 1) * 3, `${report.rolls} rolls`)
    assert.ok(report.forgotten > 0)
    assert.ok(report.commits > 40 * hours)
    if (hours === 12) assert.ok(report.kills > 0 && report.powerLosses > 0)
    if (report.sync === '"always"') assert.equal(report.lost, 0)
  }
  assert.equal(policies.size, 3)
})

it('makes the same day of the same seed', async () => {
  const traces = new Set<string>()
  for (let i = 0; i < 2; i++) traces.add((await new Day({ seed: 7, hours: 2 }).run()).trace)
  traces.add((await new Day({ seed: 8, hours: 2 }).run()).trace)
  assert.equal(traces.size, 2)
})
