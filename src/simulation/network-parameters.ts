import type { Random } from '../io/index.ts'
import { Draws } from './draws.ts'
import { PARTITION_SHAPES, type PartitionShape } from './partitions.ts'

/** How a network behaves in one run. A probability, a capacity or a rate of 0 switches what it is about off. */
export interface NetworkParameters {
  /** No message takes less, in ms. */
  readonly delayMinMs: number
  /** What a message takes on average, in ms, at least `delayMinMs`; what is beyond that is exponential. */
  readonly delayMeanMs: number
  /** The probability that a message is lost. */
  readonly loss: number
  /**
   * The probability, less than 1, that a message which arrives does so once more, after another delay; and that again,
   * with the same probability.
   */
  readonly duplication: number
  /** How many messages can be under way from one member to another. One more, and a random one is dropped. */
  readonly pathCapacity: number
  /** The probability that sending a message clogs the path that it takes. */
  readonly clog: number
  /** How long such a clog lasts on average, in ms; exponential. */
  readonly clogMeanMs: number
  /** The shapes of partition that a storm draws from. */
  readonly partitionShapes: readonly PartitionShape[]
  /** The probability that a partition of two groups cuts one direction only. */
  readonly partitionAsymmetry: number
  /** How often a storm makes partitions, in times per second without one. */
  readonly partitionsPerSecond: number
  /** No partition of a storm is shorter, in ms, ... */
  readonly partitionMinMs: number
  /** ... and it lasts so much longer on average, in ms; exponential. */
  readonly partitionMeanMs: number
  /** For so long after a partition a storm makes no other, in ms. */
  readonly partitionGapMs: number
  /** How often a storm makes some member hang, in times per second in which none does. */
  readonly hangsPerSecond: number
  /** How long a member hangs on average, in ms; exponential. */
  readonly hangMeanMs: number
}

/** A network that delays every message by 1 ms and does nothing else: to begin from in tests of single faults. */
export const FAULTLESS_NETWORK: NetworkParameters = {
  delayMinMs: 1,
  delayMeanMs: 1,
  loss: 0,
  duplication: 0,
  pathCapacity: 0,
  clog: 0,
  clogMeanMs: 0,
  partitionShapes: PARTITION_SHAPES,
  partitionAsymmetry: 0,
  partitionsPerSecond: 0,
  partitionMinMs: 0,
  partitionMeanMs: 0,
  partitionGapMs: 0,
  hangsPerSecond: 0,
  hangMeanMs: 0,
}

/** In one run of so many the network does nothing but delay. */
const FAULTLESS_RUNS = 0.2
/** The probability that a class of faults is off in a run that has faults. */
const CLASS_OFF = 0.3

/**
 * Draws how a network behaves in one run. Whole classes of faults are off in many runs, and in some all are: a fault
 * that is always there hides what only happens without it.
 */
export function drawNetwork(random: Random): NetworkParameters {
  const draws = new Draws(random).fork()
  const isFaultless = draws.chance(FAULTLESS_RUNS)
  // Drawn in any case, so that a class which is off does not shift the next.
  const unlessOff = (value: number): number => (draws.chance(CLASS_OFF) || isFaultless ? 0 : value)
  return {
    delayMinMs: draws.between(0, 30),
    delayMeanMs: draws.between(30, 100),
    loss: unlessOff(draws.between(0, 0.3)),
    duplication: unlessOff(draws.between(0, 0.5)),
    pathCapacity: unlessOff(draws.integer(2, 20)),
    clog: unlessOff(draws.between(0, 0.02)),
    clogMeanMs: draws.between(0, 5000),
    partitionShapes: drawShapes(draws),
    partitionAsymmetry: draws.pick([0, 0.5, 1]),
    partitionsPerSecond: unlessOff(draws.between(0, 3)),
    partitionMinMs: draws.between(0, 2000),
    partitionMeanMs: draws.between(100, 1000),
    partitionGapMs: draws.between(0, 5000),
    hangsPerSecond: unlessOff(draws.between(0, 0.2)),
    hangMeanMs: draws.between(0, 10_000),
  }
}

/** All of them or a single one: a run of one shape repeats it often enough to find what needs it twice. */
function drawShapes(draws: Draws): readonly PartitionShape[] {
  const only = draws.pick(PARTITION_SHAPES)
  return draws.chance(0.5) ? PARTITION_SHAPES : [only]
}
