// Whole logs whose files were changed in several ways at once. Always an error with a code, or the data as
// it was; never another exception, a wrong entry, an endless loop, or memory without measure.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { readFolder } from '../golden/dump.ts'
import { closedLog, FOLDER, killedLog, replicaLog, type Specimen } from '../golden/specimens.ts'
import { below, runCases } from './cases.ts'
import { examine } from './examine.ts'
import {
  type Contents,
  copyContents,
  type Mutation,
  mutate,
  mutateSealed,
  sizeOf,
} from './mutations.ts'

const specimens: readonly [name: string, make: () => Promise<Specimen>][] = [
  ['a closed log', closedLog],
  ['a killed log', killedLog],
  ['a killed log of a replica', replicaLog],
]

/**
 * True if these changes took what proves that there is more: in the killed log the marks file, in any log
 * everything by which it is known to be one.
 */
function tookEvidence(mutations: readonly Mutation[], before: Contents, after: Contents): boolean {
  const isClean = (before.get('meta')![6]! & 1) !== 0
  if (!isClean && mutations.some(({ names }) => names.includes('marks'))) return true
  const stores = [...before.keys()].filter((name) => name.endsWith('.store'))
  return !after.has('meta') && !stores.some((name) => after.has(name))
}

for (const [name, make] of specimens) {
  describe(`${name} that was changed`, () => {
    it('is read as it was or reported', async (t) => {
      const { files, contents, dead } = await make()
      const original = readFolder(files, FOLDER)
      let reports = 0
      const count = await runCases(t, 500, async ({ random, guard }) => {
        const changed = copyContents(original)
        const mutations: Mutation[] = []
        for (let i = below(random, 4); i >= 0; i--) mutations.push(mutate(random, changed))
        guard.allow(sizeOf(changed))
        const mayLoseSilently = tookEvidence(mutations, original, changed)
        try {
          const expected = { contents, isResealed: false, mayLoseSilently, dead }
          if ((await examine(changed, expected)).length > 0) reports++
        } catch (error) {
          throw withHistory(error, mutations)
        }
      })
      t.diagnostic(`${reports} of them reported`)
      assert.ok(reports > count / 4 || count === 1)
    })

    it('fails with a code, though every checksum fits', async (t) => {
      const { files, contents } = await make()
      const original = readFolder(files, FOLDER)
      await runCases(t, 500, async ({ random, guard }) => {
        const changed = copyContents(original)
        const mutations: Mutation[] = []
        for (let i = below(random, 3); i >= 0; i--) mutations.push(mutateSealed(random, changed))
        if (below(random, 4) === 0) mutations.push(mutate(random, changed))
        guard.allow(sizeOf(changed))
        try {
          await examine(changed, { contents, isResealed: true, mayLoseSilently: true })
        } catch (error) {
          throw withHistory(error, mutations)
        }
      })
    })
  })
}

function withHistory(error: unknown, mutations: readonly Mutation[]): Error {
  const message = error instanceof Error ? error.message : String(error)
  const history = mutations.map(({ what }) => `    ${what}`).join('\n')
  return new Error(`${message}\n  after\n${history}`, { cause: error })
}
