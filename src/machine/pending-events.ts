import { TidemarkError } from '../base/index.ts'
import type { Codec } from '../log/index.ts'
import type { BytesIn } from './bytes-in.ts'
import type { BytesOut } from './bytes-out.ts'

/** An event that a command emitted. */
export interface MachineEvent<E> {
  /** The offset of the command: with `index`, the same at every delivery, so a receiver can ignore a repetition. */
  readonly offset: number
  /** Which of the command's events it is, from 0. */
  readonly index: number
  readonly event: E
}

/** What was emitted and is not known to be delivered, in order. Part of the state. */
export class PendingEvents<E> {
  readonly #codec: Codec<E>
  #events: MachineEvent<E>[] = []
  /** Those before were delivered, and are dropped when they are many. */
  #head = 0

  constructor(codec: Codec<E>) {
    this.#codec = codec
  }

  get count(): number {
    return this.#events.length - this.#head
  }

  add(offset: number, index: number, event: E): void {
    this.#events.push({ offset, index, event })
  }

  /** The first that lies behind the given one; undefined if there is none. */
  after(offset: number, index: number): MachineEvent<E> | undefined {
    let low = this.#head
    let high = this.#events.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (isUpTo(this.#events[middle]!, offset, index)) low = middle + 1
      else high = middle
    }
    return this.#events[low]
  }

  /** All up to this one were delivered. */
  delivered(offset: number, index: number): void {
    while (this.#head < this.#events.length && isUpTo(this.#events[this.#head]!, offset, index)) {
      this.#head++
    }
    if (this.#head * 2 <= this.#events.length) return
    this.#events = this.#events.slice(this.#head)
    this.#head = 0
  }

  write(out: BytesOut): void {
    out.u32(this.count)
    for (const { offset, index, event } of this.#events.slice(this.#head)) {
      out.u48(offset)
      out.u32(index)
      const encoded = this.#codec.encode(event)
      out.sized(typeof encoded === 'string' ? Buffer.from(encoded) : encoded)
    }
  }

  /** Takes over what {@link write} wrote, of commands below `next`. Throws CORRUPT. */
  read(from: BytesIn, next: number): void {
    for (let left = from.u32(); left > 0; left--) {
      const offset = from.u48()
      const index = from.u32()
      const last = this.#events.at(-1)
      // The search for an event relies on their order.
      if (offset >= next || (last && isUpTo({ offset, index }, last.offset, last.index))) {
        throw corrupt(`event ${index} of offset ${offset} is out of place`)
      }
      this.#events.push({ offset, index, event: this.#decode(Buffer.from(from.sized())) })
    }
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

function isUpTo(event: { offset: number; index: number }, offset: number, index: number): boolean {
  return event.offset < offset || (event.offset === offset && event.index <= index)
}
