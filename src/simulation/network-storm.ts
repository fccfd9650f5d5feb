import type { Cancel, Random } from '../io/index.ts'
import { Draws } from './draws.ts'
import type { NetworkParameters } from './network-parameters.ts'
import { drawCut } from './partitions.ts'
import type { SimulatedTime } from './simulated-time.ts'

/** What a storm does to a network; a `SimulatedNetwork` is one. */
export interface StormyNetwork {
  readonly parameters: NetworkParameters
  readonly isCalm: boolean
  partitionBy(cut: (from: number, to: number) => boolean): void
  unite(): void
  hang(id: number): void
  unhang(id: number): void
}

/**
 * Lets partitions and hangs come and go among `members`, as often and for as long as the network's parameters say,
 * until it is cancelled or the network is calmed. What is going on then goes on until somebody heals it.
 */
export function networkStorm(
  time: SimulatedTime,
  random: Random,
  network: StormyNetwork,
  members: readonly number[],
): Cancel {
  const draws = new Draws(random)
  const { parameters } = network
  const canSplit = members.length > 1 && parameters.partitionShapes.length > 0
  const partitions = draws.fork()
  const cancels = [
    recur(time, network, {
      waitMs: waitFor(partitions, canSplit ? parameters.partitionsPerSecond : 0),
      strike() {
        const shape = partitions.pick(parameters.partitionShapes)
        const isSymmetric = !partitions.chance(parameters.partitionAsymmetry)
        network.partitionBy(drawCut(partitions, members, shape, isSymmetric))
        return () => network.unite()
      },
      lastMs: () => parameters.partitionMinMs + partitions.exponential(parameters.partitionMeanMs),
      gapMs: parameters.partitionGapMs,
    }),
  ]
  const hangs = draws.fork()
  cancels.push(
    recur(time, network, {
      waitMs: waitFor(hangs, members.length > 0 ? parameters.hangsPerSecond : 0),
      strike() {
        const id = hangs.pick(members)
        network.hang(id)
        return () => network.unhang(id)
      },
      lastMs: () => hangs.exponential(parameters.hangMeanMs),
      gapMs: 0,
    }),
  )
  return () => {
    for (const cancel of cancels) cancel()
  }
}

/** Draws the time until a fault strikes, in ms; undefined if it never does. */
function waitFor(draws: Draws, perSecond: number): (() => number) | undefined {
  return perSecond > 0 ? () => draws.exponential(1000 / perSecond) : undefined
}

interface Recurring {
  readonly waitMs: (() => number) | undefined
  /** Returns what ends it. */
  readonly strike: () => () => void
  readonly lastMs: () => number
  /** Between an end and the wait for the next. */
  readonly gapMs: number
}

function recur(time: SimulatedTime, network: StormyNetwork, fault: Recurring): Cancel {
  const { waitMs } = fault
  if (!waitMs) return () => {}
  let cancel: Cancel
  const begin = (gapMs: number): void => {
    cancel = time.schedule(gapMs + waitMs(), () => {
      if (network.isCalm) return
      const end = fault.strike()
      cancel = time.schedule(fault.lastMs(), () => {
        if (network.isCalm) return
        end()
        begin(fault.gapMs)
      })
    })
  }
  begin(0)
  return () => cancel()
}
