// What one simulated run is like: everything is drawn from its seed.
import {
  Draws,
  drawNetwork,
  FAULTLESS_NETWORK,
  type NetworkParameters,
  seededRandom,
} from 'tidemark/testing'
import type { PipelineSettings } from '#dist/quorum/append-pipeline.js'
import type { HostSettings } from '#dist/quorum/replica-host.js'
import { asWalk, mayWalk, type WalkSettings } from './walk-settings.ts'

/** Kinds of faults, each of which a run may be told to go without. */
export const FAULTS = [
  'network',
  'kill',
  'power',
  'pause',
  'clock',
  'slow',
  'eio',
  'full',
  'rot',
  'wipe',
  'members',
  'transfer',
  'trim',
  'cut',
] as const

export type Fault = (typeof FAULTS)[number]

/** How clients append in a run in which they do not ask the leader's host themselves. */
export interface AppendSettings {
  readonly pipeline: PipelineSettings & { timeoutMs: number }
  /** How many appends a client makes at once, at most. */
  readonly burst: number
  /** Offsets that some entries take: with many, what is remembered of appends ends soon. */
  readonly width: number
}

export interface SimSettings {
  readonly seed: number
  readonly members: number
  readonly network: NetworkParameters
  /** The probability that bits of a frame are turned under way. */
  readonly flips: number
  readonly host: Omit<HostSettings, 'id'> & { readonly tickMs: number }
  readonly segmentBytes: number
  /** How long a write, and a sync, takes on average, in ms. */
  readonly writeMs: number
  readonly syncMs: number
  /** Mean time between two faults of a kind, in ms; 0: it does not happen. */
  readonly everyMs: Readonly<Record<Fault, number>>
  /** Undefined: clients ask hosts. */
  readonly appends: AppendSettings | undefined
  readonly clients: number
  /** Mean time between two operations of a client, in ms. */
  readonly thinkMs: number
  /** The run goes on until so many events have happened and so many appends were acknowledged, ... */
  readonly eventsMin: number
  readonly ackedMin: number
  /** ...or until so much time has passed. */
  readonly endMs: number
  /** Undefined: members change at random, if they do. */
  readonly walk: WalkSettings | undefined
}

/** Mean time between two faults of a kind that strikes. */
const EVERY_MS: Readonly<Record<Fault, readonly [min: number, max: number]>> = {
  network: [0, 0],
  kill: [2_000, 20_000],
  power: [2_000, 20_000],
  pause: [2_000, 20_000],
  clock: [1_000, 10_000],
  slow: [3_000, 20_000],
  eio: [5_000, 40_000],
  full: [5_000, 40_000],
  rot: [2_000, 15_000],
  wipe: [8_000, 40_000],
  members: [500, 8_000],
  transfer: [500, 8_000],
  trim: [1_000, 10_000],
  cut: [200, 6_000],
}

/** The probability that a kind of fault does not happen in a run. */
const OFF = 0.35

/** With `isWalk`, of a run in which the members walk. */
export function drawSettings(
  seed: number,
  without: readonly Fault[] = [],
  isWalk = false,
): SimSettings {
  const settings = drawStay(seed, without)
  return isWalk ? asWalk(settings) : mayWalk(settings)
}

function drawStay(seed: number, without: readonly Fault[]): SimSettings {
  const draws = new Draws(seededRandom(seed))
  const network = drawNetwork(draws.fork())
  const shape = draws.fork()
  const faults = draws.fork()
  const everyMs = {} as Record<Fault, number>
  for (const fault of FAULTS) {
    const [min, max] = EVERY_MS[fault]
    const ms = faults.between(min, max)
    const isOff = faults.chance(OFF)
    everyMs[fault] = isOff || without.includes(fault) ? 0 : ms
  }
  const electionTicks = shape.integer(5, 15)
  return {
    seed,
    members: shape.pick([1, 2, 3, 3, 3, 3, 4, 5, 5, 7]),
    network: without.includes('network') ? FAULTLESS_NETWORK : network,
    flips: without.includes('network') ? 0 : drawFlips(seed, network),
    host: {
      tickMs: shape.pick([30, 50, 80]),
      electionTicks,
      heartbeatTicks: shape.integer(1, Math.max(1, electionTicks >> 2)),
      appendBytesMax: shape.pick([200, 1000, 10_000]),
      inflightMax: shape.pick([1, 3, 16]),
      inflightBytesMax: shape.pick([500, 5_000, 100_000]),
      uncommittedBytesMax: shape.pick([2_000, 100_000]),
      recentBytesMax: shape.pick([0, 500, 100_000]),
    },
    segmentBytes: shape.pick([1024, 4096, 65_536]),
    writeMs: shape.pick([0, 0.1, 1]),
    syncMs: shape.pick([0.2, 2, 10, 40]),
    everyMs,
    appends: drawAppends(seed, 2 * network.delayMeanMs + 20),
    clients: shape.integer(1, 5),
    thinkMs: shape.pick([20, 60, 150]),
    eventsMin: 5_000,
    ackedMin: 100,
    endMs: 240_000,
    walk: undefined,
  }
}

/** Never in a run whose network does nothing but delay. */
function drawFlips(seed: number, network: NetworkParameters): number {
  const draws = new Draws(seededRandom(seed ^ 0xb175))
  const { loss, duplication, pathCapacity, clog, partitionsPerSecond, hangsPerSecond } = network
  const troubles = [loss, duplication, pathCapacity, clog, partitionsPerSecond, hangsPerSecond]
  const isOff = draws.chance(OFF) || troubles.every((each) => each === 0)
  return isOff ? 0 : draws.between(0, 0.05)
}

/** The probability that clients append by way of any member. */
const BY_MEMBERS = 0.6

/** `roundMs`: about what it takes to ask and to be answered. */
function drawAppends(seed: number, roundMs: number): AppendSettings | undefined {
  const draws = new Draws(seededRandom(seed ^ 0xa99e))
  if (!draws.chance(BY_MEMBERS)) return undefined
  return {
    pipeline: {
      timeoutMs: roundMs * draws.pick([2, 6, 20, 60, 150]),
      groupBytesMax: draws.pick([1, 60, 300, 10_000]),
      underWayMax: draws.pick([1, 2, 4, 16]),
      waitingBytesMax: draws.pick([400, 100_000]),
    },
    burst: draws.integer(1, 5),
    width: draws.pick([1, 1, 3_000, 12_000]),
  }
}
