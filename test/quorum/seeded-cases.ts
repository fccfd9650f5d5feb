// Runs a test many times with draws of its own each time, and says how to have the failing one again.
import type { TestContext } from 'node:test'
import { Draws, seededRandom } from 'tidemark/testing'

const seed = Number(process.env.TIDEMARK_SEED ?? 20_270_114)

export function seededCases(t: TestContext, count: number, run: (draws: Draws) => void): void {
  const only = process.env.TIDEMARK_CASE
  t.diagnostic(`seed ${seed}: ${count} cases`)
  for (let number = 0; number < count; number++) {
    if (only !== undefined && number !== Number(only)) continue
    try {
      run(new Draws(seededRandom(Math.imul(seed, 1_000_003) + number)))
    } catch (error) {
      const what = error instanceof Error ? error.message : String(error)
      const again = `TIDEMARK_SEED=${seed} TIDEMARK_CASE=${number}`
      throw new Error(`${what}\n  again: ${again}, test "${t.name}"`, { cause: error })
    }
  }
}
