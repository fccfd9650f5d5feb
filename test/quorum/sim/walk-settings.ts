// What a run is like in which the members of a cluster walk: from three to five, and back to another three.
import { Draws, FAULTLESS_NETWORK, seededRandom } from 'tidemark/testing'
import type { SimSettings } from './settings.ts'

export interface WalkSettings {
  /** Who is to vote, one set after the other; the run begins with replicas 1 to 3. */
  readonly targets: readonly (readonly number[])[]
  /** How often each leader looks whether its log has the members that it is to have. */
  readonly lookMs: number
  /** The probability that somebody is struck at a stage of the way. */
  readonly strike: number
  /** The probability that the next set is wanted before the members are those that were wanted last. */
  readonly haste: number
  /** Who has left deletes what it had. */
  readonly forgets: boolean
}

const FIRST = 3
const ALL = [1, 2, 3, 4, 5] as const
const LAST = 6

/** What `settings` would be, were the members to walk: the walk is what goes wrong, and it is short. */
export function asWalk(settings: SimSettings): SimSettings {
  const draws = new Draws(seededRandom(settings.seed ^ 0x3a1c))
  const everyMs = { ...settings.everyMs }
  for (const fault of Object.keys(everyMs) as (keyof typeof everyMs)[]) {
    const stays = fault === 'trim' || fault === 'transfer' || fault === 'cut'
    if (!stays) everyMs[fault] = 0
  }
  const { host, network } = settings
  const isCalm = draws.chance(0.5)
  const delayMinMs = draws.between(0, 2)
  const delayMeanMs = delayMinMs + draws.between(1, 8)
  const ticks = draws.integer(5, 8)
  return {
    ...settings,
    members: FIRST,
    network: { ...(isCalm ? FAULTLESS_NETWORK : network), delayMinMs, delayMeanMs },
    flips: isCalm ? 0 : settings.flips,
    host: { ...host, tickMs: draws.pick([50, 80]), electionTicks: ticks, heartbeatTicks: 2 },
    syncMs: draws.pick([0.2, 2, 10]),
    everyMs,
    clients: 2,
    thinkMs: 100,
    eventsMin: 0,
    ackedMin: 20,
    endMs: 30_000,
    walk: drawWalk(draws),
  }
}

/** In some runs in which members change they walk, while everything else goes wrong as well. */
export function mayWalk(settings: SimSettings): SimSettings {
  const { seed, members, everyMs } = settings
  const draws = new Draws(seededRandom(seed ^ 0x3a1c))
  const isFit = members === FIRST && everyMs.members > 0 && everyMs.wipe === 0
  if (!draws.chance(0.5) || !isFit) return settings
  return { ...settings, everyMs: { ...everyMs, members: 0 }, walk: drawWalk(draws) }
}

function drawWalk(draws: Draws): WalkSettings {
  const order = draws.shuffle(ALL)
  const leaving: readonly number[] = draws.chance(0.5) ? [1, 2] : order.slice(0, 2)
  const staying = order.filter((id) => !leaving.includes(id)).slice(0, FIRST)
  const replaced = draws.pick(staying)
  const forgets = draws.chance(0.7)
  // One that has left comes back with nothing, under the number that it had.
  const comesBack = draws.chance(0.3) && forgets ? draws.pick(leaving) : LAST
  const without = (ids: readonly number[]) => ids.filter((id) => id !== replaced)
  const last = [...without(staying), comesBack]
  const isEarly = draws.chance(0.5) && comesBack === LAST
  return {
    targets: [ALL, isEarly ? [...without(ALL), LAST] : staying, last],
    lookMs: draws.pick([20, 60, 150]),
    strike: draws.between(0.1, 0.5),
    haste: comesBack === LAST && draws.chance(0.3) ? 0.05 : 0,
    forgets,
  }
}
