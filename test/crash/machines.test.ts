// A slice of the crash ring for durable maps, for every run of the tests; `npm run crash` has more of it.
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { loadLibrary, realBuild } from './library.ts'
import { findMachineBugs, MACHINE_BUGS, runMachineRing } from './machine-ring.ts'
import { patchOf } from './planted-bugs.ts'

/** From here on they are found soon; `npm run crash -- --seed=1` has the way there. */
const BUGS_SEED = 7

it('a durable map is in a state that it was in, and was promised, after every crash', async (t) => {
  const seed = Number(process.env.TIDEMARK_SEED ?? 20_261_121)
  const library = await loadLibrary(realBuild)
  const limits = { states: 400, seconds: 60 }
  const { distinct, checked, fault } = await runMachineRing(library, { seed, ...limits })
  t.diagnostic(`seed ${seed}: ${distinct} distinct images, ${checked} checks`)
  assert.equal(fault, undefined)
  assert.ok(distinct >= 400, `only ${distinct} distinct images in 60 s`)
})

it('finds bugs that were planted into durable maps', async (t) => {
  const quick = MACHINE_BUGS.filter(({ name }) =>
    /sessions are not in|before the snapshot is written|clock on the wall/.test(name),
  )
  assert.equal(quick.length, 3)
  assert.equal(await findMachineBugs(BUGS_SEED, (line) => t.diagnostic(line), quick), 0)
})

it('knows where to plant each bug of durable maps', () => {
  for (const bug of MACHINE_BUGS) patchOf(bug)
  assert.ok(MACHINE_BUGS.length >= 10)
})
