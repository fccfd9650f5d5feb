// Runs many small random cases, each from a seed of its own, under three guards: none may take long, none
// may allocate far more than there is to read, and a failure says how to run that one case again.

import type { TestContext } from 'node:test'
import { Worker } from 'node:worker_threads'
import { type Random, seededRandom } from '#dist/io/index.js'
import { caseCount } from '../cases.ts'
import { type AllocationGuard, guardAllocations } from './allocations.ts'

/** The seed of all cases; another one is given as TIDEMARK_SEED. */
export const seed = Number(process.env.TIDEMARK_SEED ?? 20_261_121)
/** Run only this case, to look at a failure. */
const only = process.env.TIDEMARK_CASE === undefined ? undefined : Number(process.env.TIDEMARK_CASE)
/** Multiplies the number of cases, for a longer hunt. */
const times = Number(process.env.TIDEMARK_FUZZ ?? caseCount(1, 0.25))

/** After so long a case counts as one that never ends. */
const CASE_MS_MAX = 10_000

export interface Case {
  readonly random: Random
  readonly guard: AllocationGuard
  readonly number: number
}

export function below(random: Random, bound: number): number {
  return random.uint32() % bound
}

export function oneOf<T>(random: Random, choices: readonly T[]): T {
  return choices[below(random, choices.length)]!
}

/** Runs `count` cases, and says how many. What a case does must follow from its random source alone. */
export async function runCases(
  t: TestContext,
  count: number,
  run: (one: Case) => void | Promise<void>,
): Promise<number> {
  const watch = new Watch(t.name)
  const guard = guardAllocations()
  const [first, last] = only === undefined ? [0, Math.ceil(count * times)] : [only, only + 1]
  const begun = performance.now()
  let slowest = 0
  let number = first
  // What nobody awaited fails the test without a word about the case, unless it is said here.
  const escaped = () => t.diagnostic(`case ${number}, seed ${seed}: an error that nobody caught`)
  process.prependListener('unhandledRejection', escaped)
  try {
    for (; number < last; number++) {
      const random = seededRandom(Math.imul(seed, 1_000_003) + number)
      guard.reset()
      watch.begins(number)
      const from = performance.now()
      try {
        await run({ random, guard, number })
        if (guard.refused) throw guard.refused
      } catch (error) {
        throw new Error(
          `case ${number}: ${error instanceof Error ? error.message : String(error)}\n  again: TIDEMARK_SEED=${seed} TIDEMARK_CASE=${number}, test "${t.name}"`,
          { cause: error },
        )
      }
      slowest = Math.max(slowest, performance.now() - from)
    }
  } finally {
    guard.release()
    process.off('unhandledRejection', escaped)
    await watch.end()
  }
  const took = ((performance.now() - begun) / 1000).toFixed(1)
  t.diagnostic(
    `seed ${seed}: ${last - first} cases in ${took} s, the slowest ${slowest.toFixed(0)} ms`,
  )
  return last - first
}

/**
 * Watches from another thread, since an endless loop lets nothing else run in its own: it names the
 * case and ends the process.
 */
class Watch {
  readonly #worker: Worker
  readonly #current = new Int32Array(new SharedArrayBuffer(4))

  constructor(name: string) {
    const data = { current: this.#current, name, seed, limitMs: CASE_MS_MAX }
    this.#worker = new Worker(new URL('./watch-worker.js', import.meta.url), { workerData: data })
    this.#worker.unref()
  }

  begins(number: number): void {
    Atomics.store(this.#current, 0, number + 1)
  }

  async end(): Promise<void> {
    await this.#worker.terminate()
  }
}
