// Windows, one after the other, in each of which some faults strike and are healed.
import { setTimeout as delay } from 'node:timers/promises'
import { Draws, seededRandom } from '#dist/testing/index.js'
import type { Availability } from './availability.ts'
import type { Cluster } from './cluster.ts'
import type { Fault, Strike } from './fault.ts'

const WINDOW_MS = { min: 2000, max: 7000 }
const CALM = 0.25
const AT_ONCE = [1, 1, 2, 2, 3]
const WORDS = 0x9e3779b1

export interface StormOptions {
  readonly cluster: Cluster
  readonly faults: readonly Fault[]
  readonly seed: number
  readonly ms: number
  readonly availability: Availability
  readonly isOver: () => boolean
  readonly onStrike: (fault: Fault, strike: Strike) => void
}

/** Resolves when all that has struck is healed. */
export async function storm(options: StormOptions): Promise<void> {
  const end = performance.now() + options.ms
  for (let number = 0; performance.now() < end && !options.isOver(); number++) {
    // What one window draws does not depend on how long those before it took.
    const draws = new Draws(seededRandom((options.seed + number * WORDS) >>> 0))
    const left = Math.max(0, end - performance.now())
    const ms = Math.min(left, draws.integer(WINDOW_MS.min, WINDOW_MS.max))
    if (options.faults.length === 0 || draws.chance(CALM)) {
      await delay(ms)
      continue
    }
    const struck = draws.shuffle(options.faults).slice(0, draws.pick(AT_ONCE))
    const own = struck.map(() => new Draws(seededRandom(draws.uint32())))
    await Promise.all(struck.map((fault, i) => one(options, fault, own[i]!, ms)))
  }
}

async function one(options: StormOptions, fault: Fault, draws: Draws, ms: number): Promise<void> {
  const { cluster, availability, onStrike } = options
  const wait = draws.between(0, ms / 3)
  const hold = draws.between(ms / 6, (2 * ms) / 3)
  await delay(wait)
  const strike = await fault.strike({ cluster, draws })
  if (!strike) return
  onStrike(fault, strike)
  availability.harm(strike.harmed)
  await delay(hold)
  await strike.heal()
  availability.heal(strike.harmed)
}
