import { invariant } from '../base/index.ts'
import type { Random } from '../io/index.ts'
import { requireNotNegative } from './arguments.ts'
import { Draws } from './draws.ts'
import type { NetworkParameters } from './network-parameters.ts'
import { type NetworkFaults, NetworkPath, noFaults, type Packet } from './network-path.ts'
import { type Cut, cutBetween, cutButOne, cutButRing } from './partitions.ts'
import type { SimulatedTime } from './simulated-time.ts'

/** What a member does with a message that has reached it. */
export type Receive<M> = (from: number, message: M) => void

export interface NetworkOptions<M> {
  /** Makes a copy that shares nothing with the original that anybody changes. Without it messages are handed on. */
  readonly copy?: (message: M) => M
}

/** One life of a member on the network. */
interface Attachment<M> {
  readonly receive: Receive<M>
}

/**
 * The network between the members of a simulation: it delays, reorders, loses and repeats messages, and its paths
 * overflow and clog, as {@link NetworkParameters} and the source of randomness decide. Partitions and hangs are made
 * by hand, or by a `networkStorm`. What a member sends to itself comes at once, whatever befalls the network.
 *
 * It carries datagrams, and connections only so far: a message that is under way to a member that is detached is
 * dropped, even if the member is attached again before it comes, as nothing gets from one connection to the next. What
 * a member has sent before it was detached still arrives.
 *
 * For a member that can be paused or stopped, attach `(from, message) => clock.enter(() => ...)`.
 */
export class SimulatedNetwork<M> {
  readonly parameters: NetworkParameters
  /** How often each fault has struck. */
  readonly faults: NetworkFaults = noFaults()
  readonly #time: SimulatedTime
  readonly #copy: (message: M) => M
  /** A stream for each, so that a fault that is switched off does not shift the others. */
  readonly #delays: Draws
  readonly #losses: Draws
  readonly #repeats: Draws
  readonly #overflows: Draws
  readonly #clogs: Draws
  readonly #attached = new Map<number, Attachment<M>>()
  readonly #paths = new Map<number, Map<number, NetworkPath<M>>>()
  readonly #hung = new Set<number>()
  #partition: Cut | undefined
  #core: ReadonlySet<number> | undefined
  #isCalm = false
  #delivered = 0

  constructor(
    time: SimulatedTime,
    random: Random,
    parameters: NetworkParameters,
    { copy = (message) => message }: NetworkOptions<M> = {},
  ) {
    const draws = new Draws(random)
    this.#time = time
    this.parameters = parameters
    this.#copy = copy
    this.#delays = draws.fork()
    this.#losses = draws.fork()
    this.#repeats = draws.fork()
    this.#overflows = draws.fork()
    this.#clogs = draws.fork()
  }

  /** How many messages have been delivered, repeated ones included. */
  get delivered(): number {
    return this.#delivered
  }

  /** How many messages are under way, those that a clog holds back included. */
  get underWay(): number {
    let count = 0
    for (const path of this.#allPaths()) count += path.size
    return count
  }

  /** Whether chance does nothing any more; see {@link calm}. */
  get isCalm(): boolean {
    return this.#isCalm
  }

  /** Begins a life of the member `id`, which must not be attached. */
  attach(id: number, receive: Receive<M>): void {
    invariant(!this.#attached.has(id), `member ${id} is attached to the network twice`)
    this.#attached.set(id, { receive })
  }

  /** Ends it: nothing reaches the member or is taken from it, and if it hung, the next life does not. */
  detach(id: number): void {
    this.#attached.delete(id)
    this.#hung.delete(id)
  }

  /** Sends a message. The sender never learns what becomes of it. */
  send(from: number, to: number, message: M): void {
    const receiver = this.#attached.get(to)
    if (!this.#attached.has(from) || !receiver) {
      this.faults.detached += 1
    } else if (from === to) {
      const copy = this.#copy(message)
      this.#time.schedule(0, () => this.#handOver({ from, to, message: copy, receiver }))
    } else if (this.#hung.has(from)) {
      this.faults.swallowed += 1
    } else if (this.#isCut(from, to)) {
      this.faults.blocked += 1
    } else {
      this.#clogByChance(from, to)
      if (this.#strikes(this.#losses, this.parameters.loss)) this.faults.lost += 1
      else this.#dispatch({ from, to, message: this.#copy(message), receiver })
    }
  }

  /**
   * Cuts the paths between groups, in place of any other partition; who is in no group reaches all. Unless
   * `symmetric`, which is the default, only what a later group sends to an earlier one is lost. INVALID_ARGUMENT if a
   * member is in two groups. A message that meets a cut when it is sent or when it arrives is lost.
   */
  partition(groups: readonly (readonly number[])[], options: { symmetric?: boolean } = {}): void {
    this.partitionBy(cutBetween(groups, options.symmetric ?? true))
  }

  /** A partition in which of all `members` only `via` reaches `id`, and is reached by it. */
  strand(id: number, via: number, members: readonly number[]): void {
    this.partitionBy(cutButOne(id, via, members))
  }

  /** A partition in which each of `members` reaches only the one before and the one after it. */
  ring(members: readonly number[]): void {
    this.partitionBy(cutButRing(members))
  }

  /** A partition of any shape. */
  partitionBy(cut: Cut): void {
    this.#partition = cut
    this.faults.partitions += 1
  }

  /** Ends the partition, and nothing else. */
  unite(): void {
    this.#partition = undefined
  }

  /** Cuts one direction between two members. */
  block(from: number, to: number): void {
    this.#path(from, to).isBlocked = true
  }

  unblock(from: number, to: number): void {
    this.#path(from, to).isBlocked = false
  }

  /** For `ms` milliseconds nothing arrives on a path; then all that it held back does, in order. */
  clog(from: number, to: number, ms: number): void {
    requireNotNegative(ms, 'ms')
    this.faults.clogs += 1
    this.#path(from, to).clog(ms)
  }

  /** All that a member sends is swallowed, while it still receives. */
  hang(id: number): void {
    this.#hung.add(id)
    this.faults.hangs += 1
  }

  unhang(id: number): void {
    this.#hung.delete(id)
  }

  /** Ends whatever was begun: partition, blocks, clogs, hangs, {@link healAmong}. Chance goes on. */
  heal(): void {
    this.#partition = undefined
    this.#core = undefined
    this.#hung.clear()
    for (const path of this.#allPaths()) path.clear()
  }

  /** From now on chance loses, repeats, drops and clogs nothing, and no storm strikes; messages still take their time. */
  calm(): void {
    this.#isCalm = true
  }

  /**
   * For the end of a run: heals everything and calms the network, except that these members and all others do not
   * reach each other until {@link heal}.
   */
  healAmong(ids: readonly number[]): void {
    this.heal()
    this.calm()
    this.#core = new Set(ids)
  }

  #isCut(from: number, to: number): boolean {
    if (this.#core && this.#core.has(from) !== this.#core.has(to)) return true
    return this.#path(from, to).isBlocked || (this.#partition?.(from, to) ?? false)
  }

  #strikes(draws: Draws, probability: number): boolean {
    return draws.chance(probability) && !this.#isCalm
  }

  #clogByChance(from: number, to: number): void {
    const isClogged = this.#strikes(this.#clogs, this.parameters.clog)
    const ms = this.#clogs.exponential(this.parameters.clogMeanMs)
    if (isClogged) this.clog(from, to, ms)
  }

  #dispatch(packet: Packet<M>): void {
    const { delayMinMs, delayMeanMs, pathCapacity } = this.parameters
    const delay = delayMinMs + this.#delays.exponential(delayMeanMs - delayMinMs)
    const path = this.#path(packet.from, packet.to)
    if (pathCapacity > 0 && path.size >= pathCapacity && !this.#isCalm) {
      path.drop(this.#overflows.integer(0, path.size - 1))
      this.faults.overflowed += 1
    }
    path.carry(packet, delay)
  }

  /** A message has come to the end of its path. */
  #arrive(packet: Packet<M>): void {
    if (this.#isCut(packet.from, packet.to)) {
      this.faults.blocked += 1
      return
    }
    if (this.#strikes(this.#repeats, this.parameters.duplication)) {
      this.faults.duplicated += 1
      this.#dispatch({ ...packet, message: this.#copy(packet.message) })
    }
    this.#handOver(packet)
  }

  #handOver({ from, to, message, receiver }: Packet<M>): void {
    if (this.#attached.get(to) !== receiver) {
      this.faults.detached += 1
      return
    }
    this.#delivered += 1
    receiver.receive(from, message)
  }

  #path(from: number, to: number): NetworkPath<M> {
    const known = this.#paths.get(from)?.get(to)
    if (known) return known
    const path = new NetworkPath<M>(this.#time, (packet) => this.#arrive(packet))
    const paths = this.#paths.get(from)
    if (paths) paths.set(to, path)
    else this.#paths.set(from, new Map([[to, path]]))
    return path
  }

  *#allPaths(): Iterable<NetworkPath<M>> {
    for (const paths of this.#paths.values()) yield* paths.values()
  }
}
