import { invariant } from '../base/index.ts'
import type { Cancel } from '../io/index.ts'
import type { SimulatedTime } from './simulated-time.ts'

/** How often each fault of a network has struck. Each but the last three counts messages. */
export interface NetworkFaults extends Record<string, number> {
  /** Lost by chance. */
  lost: number
  /** Delivered once more. */
  duplicated: number
  /** Dropped at random from a path that was full. */
  overflowed: number
  /** Met a cut: a partition, a block, or the border of what was healed. */
  blocked: number
  /** Sent by a member that hangs. */
  swallowed: number
  /** Sent by or to a member that was not attached, or under way to an earlier life of it. */
  detached: number
  clogs: number
  partitions: number
  hangs: number
}

export function noFaults(): NetworkFaults {
  return {
    lost: 0,
    duplicated: 0,
    overflowed: 0,
    blocked: 0,
    swallowed: 0,
    detached: 0,
    clogs: 0,
    partitions: 0,
    hangs: 0,
  }
}

/** A message under way. */
export interface Packet<M> {
  readonly from: number
  readonly to: number
  readonly message: M
  /** The life of the member that it was sent to: no other gets it. */
  readonly receiver: { receive(from: number, message: M): void }
}

/** A packet and where it is. */
interface Slot<M> {
  readonly packet: Packet<M>
  /** Its place in the list of all that are under way. */
  index: number
  /** Of the event with which it arrives, while there is one. */
  cancel: Cancel
}

/** One direction between two members. */
export class NetworkPath<M> {
  /** While it is set, whoever asks loses what is sent here. */
  isBlocked = false
  readonly #time: SimulatedTime
  readonly #arrive: (packet: Packet<M>) => void
  /** In no order that means anything, since the last takes the place of one that leaves. */
  readonly #slots: Slot<M>[] = []
  /** Those that have come to a clog, in that order. */
  readonly #heldBack = new Set<Slot<M>>()
  #cloggedUntil = 0
  #cancelUnclog: Cancel | undefined

  /** Calls `arrive` with each packet that has come to the end. */
  constructor(time: SimulatedTime, arrive: (packet: Packet<M>) => void) {
    this.#time = time
    this.#arrive = arrive
  }

  /** How many packets are on it. */
  get size(): number {
    return this.#slots.length
  }

  /** Takes a packet, to arrive after `delayMs` milliseconds, or when the path is free again. */
  carry(packet: Packet<M>, delayMs: number): void {
    const slot: Slot<M> = { packet, index: this.#slots.length, cancel: () => {} }
    this.#slots.push(slot)
    this.#schedule(slot, delayMs)
  }

  /** Drops the packet with this index, which is less than `size`. */
  drop(index: number): void {
    const slot = this.#slots[index]
    invariant(slot !== undefined, `packet ${index} of ${this.#slots.length} is dropped`)
    slot.cancel()
    this.#remove(slot)
  }

  /** Holds back whatever arrives for `ms` milliseconds, or longer if it does so already. */
  clog(ms: number): void {
    const until = this.#time.now + ms
    if (until <= this.#cloggedUntil) return
    this.#cloggedUntil = until
    this.#cancelUnclog?.()
    this.#cancelUnclog = this.#time.schedule(ms, () => this.#unclog())
  }

  /** Ends block and clog. */
  clear(): void {
    this.isBlocked = false
    this.#unclog()
  }

  #unclog(): void {
    this.#cancelUnclog?.()
    this.#cancelUnclog = undefined
    this.#cloggedUntil = 0
    // Each arrives with an event of its own, so that what one sets off has run before the next.
    for (const slot of this.#heldBack) this.#schedule(slot, 0)
    this.#heldBack.clear()
  }

  #schedule(slot: Slot<M>, delayMs: number): void {
    slot.cancel = this.#time.schedule(delayMs, () => {
      if (this.#cancelUnclog) {
        this.#heldBack.add(slot)
        return
      }
      this.#remove(slot)
      this.#arrive(slot.packet)
    })
  }

  #remove(slot: Slot<M>): void {
    const last = this.#slots.pop()
    invariant(last !== undefined, 'a packet leaves a path that has none')
    if (last !== slot) {
      this.#slots[slot.index] = last
      last.index = slot.index
    }
    this.#heldBack.delete(slot)
  }
}
