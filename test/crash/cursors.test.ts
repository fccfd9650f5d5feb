// A slice of the crash ring for cursors, for every run of the tests; `npm run crash` has more of it.
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { findCursorBugs, runCursorRing } from './cursor-ring.ts'
import { loadLibrary, realBuild } from './library.ts'

/** From here on they are found soon; `npm run crash -- --seed=1` has the way there. */
const BUGS_SEED = 15

it('cursors are where they were promised to be after every crash', async (t) => {
  const seed = Number(process.env.TIDEMARK_SEED ?? 20_261_121)
  const library = await loadLibrary(realBuild)
  const limits = { states: 700, seconds: 60 }
  const { distinct, checked, fault } = await runCursorRing(library, { seed, ...limits })
  t.diagnostic(`seed ${seed}: ${distinct} distinct images, ${checked} checks`)
  assert.equal(fault, undefined)
  assert.ok(distinct >= 700, `only ${distinct} distinct images in 60 s`)
})

it('finds the bugs that were planted into cursors', async (t) => {
  assert.equal(await findCursorBugs(BUGS_SEED, (line) => t.diagnostic(line)), 0)
})
