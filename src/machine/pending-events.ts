import { TidemarkError } from '../base/index.ts'
import type { Codec } from '../log/index.ts'
import type { BytesIn } from './bytes-in.ts'
import type { BytesOut } from './bytes-out.ts'

/** An event that a command emitted. */
export interface MachineEvent<E> {
  /**
   * How many were emitted up to this one, from 1. The same in every copy of the log and at every delivery: what
   * a receiver should remember to ignore a repetition.
   */
  readonly number: number
  /** The offset of the command that emitted it. In a copy of the log it may be another. */
  readonly offset: number
  /** Which of the command's events it is, from 0. */
  readonly index: number
  readonly event: E
}

/** One that has no number yet: version 1 of the format has none. */
export const UNNUMBERED = 0

type Pending<E> = { -readonly [K in keyof MachineEvent<E>]: MachineEvent<E>[K] }

/**
 * What was emitted and is not known to be delivered, in order. Part of the state.
 *
 * Invariant: numbers rise by one, up to `numbered`; those without are behind all others.
 */
export class PendingEvents<E> {
  readonly #codec: Codec<E>
  #events: Pending<E>[] = []
  /** Those before were delivered, and are dropped when they are many. */
  #head = 0
  #hasUnnumbered = false
  /** The number of the last that has one. */
  numbered = 0

  constructor(codec: Codec<E>) {
    this.#codec = codec
  }

  get count(): number {
    return this.#events.length - this.#head
  }

  /** A command has emitted it; one of version 1 without a number. */
  add(offset: number, index: number, event: E, hasNumber: boolean): void {
    const number = hasNumber ? ++this.numbered : UNNUMBERED
    if (!hasNumber) this.#hasUnnumbered = true
    this.#events.push({ number, offset, index, event })
  }

  /** Those that have none get their numbers, in order. */
  giveNumbers(): void {
    if (!this.#hasUnnumbered) return
    for (let i = this.#head; i < this.#events.length; i++) {
      const event = this.#events[i]!
      if (event.number === UNNUMBERED) event.number = ++this.numbered
    }
    this.#hasUnnumbered = false
  }

  /** The first behind the one with this number; undefined if there is none. Its own is `UNNUMBERED` if it has none yet. */
  after(number: number): MachineEvent<E> | undefined {
    let low = this.#head
    let high = this.#events.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (hasNumberUpTo(this.#events[middle]!, number)) low = middle + 1
      else high = middle
    }
    return this.#events[low]
  }

  /** All up to the one with this number were delivered. */
  delivered(number: number): void {
    this.#drop((event) => hasNumberUpTo(event, number))
  }

  /** The same, as version 1 has said it. */
  deliveredAt(offset: number, index: number): void {
    this.#drop((event) => isUpTo(event, offset, index))
  }

  #drop(isDelivered: (event: Pending<E>) => boolean): void {
    while (this.#head < this.#events.length && isDelivered(this.#events[this.#head]!)) this.#head++
    if (this.#head * 2 <= this.#events.length) return
    this.#events = this.#events.slice(this.#head)
    this.#head = 0
  }

  write(out: BytesOut): void {
    out.u32(this.count)
    for (const { number, offset, index, event } of this.#events.slice(this.#head)) {
      out.u48(number)
      out.u48(offset)
      out.u32(index)
      const encoded = this.#codec.encode(event)
      out.sized(typeof encoded === 'string' ? Buffer.from(encoded) : encoded)
    }
  }

  /**
   * Takes over what {@link write} wrote, of commands below `next`, when the last number was `numbered`; undefined: as
   * version 1 wrote it, without numbers. Throws CORRUPT.
   */
  read(from: BytesIn, numbered: number | undefined, next: number): void {
    this.numbered = numbered ?? 0
    for (let left = from.u32(); left > 0; left--) {
      const number = numbered === undefined ? UNNUMBERED : from.u48()
      const offset = from.u48()
      const index = from.u32()
      const last = this.#events.at(-1)
      // The search for an event relies on their order.
      if (offset >= next || (last && isUpTo({ offset, index }, last.offset, last.index))) {
        throw corrupt(`event ${index} of offset ${offset} is out of place`)
      }
      if (!this.#canFollow(number, last)) throw corrupt(`event ${number} is out of order`)
      if (number === UNNUMBERED) this.#hasUnnumbered = true
      this.#events.push({ number, offset, index, event: this.#decode(Buffer.from(from.sized())) })
    }
    const last = this.#events.findLast(({ number }) => number !== UNNUMBERED)
    if (last && last.number !== this.numbered) {
      throw corrupt(`event ${last.number} is the last, of ${this.numbered}`)
    }
  }

  #canFollow(number: number, last: Pending<E> | undefined): boolean {
    if (number === UNNUMBERED || last === undefined) return true
    return last.number !== UNNUMBERED && number === last.number + 1
  }

  #decode(bytes: Buffer): E {
    try {
      return this.#codec.decode(bytes)
    } catch (error) {
      throw corrupt('the codec cannot read an event', error)
    }
  }
}

function corrupt(problem: string, cause?: unknown): TidemarkError {
  return new TidemarkError('CORRUPT', `the events in a snapshot: ${problem}`, {}, cause)
}

function hasNumberUpTo({ number: own }: { number: number }, number: number): boolean {
  return own !== UNNUMBERED && own <= number
}

function isUpTo(event: { offset: number; index: number }, offset: number, index: number): boolean {
  return event.offset < offset || (event.offset === offset && event.index <= index)
}
