import type { Segment } from './segment.ts'
import type { Span } from './span.ts'

/** The stretch from one index point to the next. */
interface Slot {
  readonly segment: Segment
  readonly point: number
  readonly span: Span
  /** Set at each use, cleared when the hand passes: a span in use gets a second chance. */
  isUsed: boolean
}

/**
 * The stretches of stores that `get` has read, up to a number of bytes. What goes first is what was
 * not used since it was last considered (the clock algorithm): a hit costs one write.
 */
export class SpanCache {
  readonly #bytesMax: number
  readonly #slots = new Map<Segment, (Slot | undefined)[]>()
  readonly #ring: Slot[] = []
  #hand = 0
  #bytes = 0
  /** The segment that was asked for last, and its slots. */
  #lastSegment: Segment | undefined
  #lastSlots: (Slot | undefined)[] | undefined

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  get(segment: Segment, point: number): Span | undefined {
    if (segment !== this.#lastSegment) {
      this.#lastSegment = segment
      this.#lastSlots = this.#slots.get(segment)
    }
    const slot = this.#lastSlots?.[point]
    if (!slot) return undefined
    slot.isUsed = true
    return slot.span
  }

  set(segment: Segment, point: number, span: Span): void {
    if (span.size > this.#bytesMax || this.#slots.get(segment)?.[point]) return
    while (this.#bytes + span.size > this.#bytesMax) this.#evict()
    const slot = { segment, point, span, isUsed: false }
    let slots = this.#slots.get(segment)
    if (!slots) {
      slots = []
      this.#slots.set(segment, slots)
      this.#lastSegment = undefined
    }
    slots[point] = slot
    this.#ring.push(slot)
    this.#bytes += span.size
  }

  #evict(): void {
    for (;;) {
      if (this.#hand >= this.#ring.length) this.#hand = 0
      const slot = this.#ring[this.#hand]!
      if (!slot.isUsed) {
        this.#remove(slot)
        return
      }
      slot.isUsed = false
      this.#hand++
    }
  }

  #remove(slot: Slot): void {
    const last = this.#ring.pop()!
    if (last !== slot) this.#ring[this.#hand] = last
    const slots = this.#slots.get(slot.segment)
    if (slots) slots[slot.point] = undefined
    this.#bytes -= slot.span.size
  }

  /** Forgets the spans of segments that are no longer part of the log, or have been cut. */
  clear(): void {
    this.#slots.clear()
    this.#lastSegment = undefined
    this.#lastSlots = undefined
    this.#ring.length = 0
    this.#hand = 0
    this.#bytes = 0
  }
}
