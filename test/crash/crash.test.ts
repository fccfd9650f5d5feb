// A slice of the crash ring, for every run of the tests; `npm run crash` is the whole of it.
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { loadLibrary, realBuild } from './library.ts'
import { findPlantedBugs, PLANTED_BUGS, patchOf } from './planted-bugs.ts'
import { runRing } from './ring.ts'

/** From here on they are found soon; `npm run crash -- --seed=1` has the way there. */
const BUGS_SEED = 24

it('opens after every crash with all that was promised', async (t) => {
  const library = await loadLibrary(realBuild)
  const seed = Number(process.env.TIDEMARK_SEED ?? 20_261_121)
  const result = await runRing(library, { seed, states: 1000, seconds: 60 })
  t.diagnostic(`seed ${seed}: ${result.distinct} distinct images, ${result.checked} checks`)
  assert.deepEqual(result.faults, [])
  assert.ok(result.distinct >= 1000, `only ${result.distinct} distinct images in 60 s`)
})

it('finds bugs that were planted', async (t) => {
  const quick = PLANTED_BUGS.filter(({ name }) =>
    /without its sync|directory|page cache/.test(name),
  )
  assert.equal(quick.length, 3)
  assert.equal(await findPlantedBugs(BUGS_SEED, (line) => t.diagnostic(line), quick), 0)
})

it('knows where to plant each bug', () => {
  for (const bug of PLANTED_BUGS) patchOf(bug)
  assert.ok(PLANTED_BUGS.length >= 10)
})
