import type { Segment } from './segment.ts'

/** A stretch of a store between two index points, checked, as it lies in the file. */
interface Span {
  readonly segment: Segment
  readonly point: number
  readonly bytes: Buffer
  /** Set at each use, cleared when the hand passes: a span in use gets a second chance. */
  isUsed: boolean
}

/**
 * The stretches of stores that `get` has read, up to a number of bytes. What goes first is what was
 * not used since it was last considered (the clock algorithm): a hit costs one write.
 */
export class SpanCache {
  readonly #bytesMax: number
  readonly #spans = new Map<Segment, (Span | undefined)[]>()
  readonly #ring: Span[] = []
  #hand = 0
  #bytes = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  get(segment: Segment, point: number): Buffer | undefined {
    const span = this.#spans.get(segment)?.[point]
    if (!span) return undefined
    span.isUsed = true
    return span.bytes
  }

  set(segment: Segment, point: number, bytes: Buffer): void {
    if (bytes.length > this.#bytesMax || this.#spans.get(segment)?.[point]) return
    while (this.#bytes + bytes.length > this.#bytesMax) this.#evict()
    const span = { segment, point, bytes, isUsed: false }
    let spans = this.#spans.get(segment)
    if (!spans) {
      spans = []
      this.#spans.set(segment, spans)
    }
    spans[point] = span
    this.#ring.push(span)
    this.#bytes += bytes.length
  }

  #evict(): void {
    for (;;) {
      if (this.#hand >= this.#ring.length) this.#hand = 0
      const span = this.#ring[this.#hand]!
      if (!span.isUsed) {
        this.#remove(span)
        return
      }
      span.isUsed = false
      this.#hand++
    }
  }

  #remove(span: Span): void {
    const last = this.#ring.pop()!
    if (last !== span) this.#ring[this.#hand] = last
    const spans = this.#spans.get(span.segment)
    if (spans) spans[span.point] = undefined
    this.#bytes -= span.bytes.length
  }

  /** Forgets the spans of segments that are no longer part of the log, or have been cut. */
  clear(): void {
    this.#spans.clear()
    this.#ring.length = 0
    this.#hand = 0
    this.#bytes = 0
  }
}
