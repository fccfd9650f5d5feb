// What a replica's log holds, kept beside it: as its core has it, or as its disk does.
import type { Batch, Persist, Point } from '#dist/quorum/core/index.js'

export class ShadowLog {
  low: Point = { term: 0, mark: 0 }
  #batches: Batch[] = []

  get last(): Point {
    const last = this.#batches.at(-1)
    return last ? { term: last.term, mark: last.end } : this.low
  }

  get batches(): readonly Batch[] {
    return this.#batches
  }

  clone(): ShadowLog {
    const copy = new ShadowLog()
    copy.low = this.low
    copy.#batches = [...this.#batches]
    return copy
  }

  apply({ reset, truncate, batches, trim }: Persist): void {
    if (reset) {
      this.low = reset
      this.#batches = []
    }
    if (truncate !== undefined) {
      while (this.#batches.length > 0 && this.#batches.at(-1)!.end > truncate) this.#batches.pop()
    }
    for (const batch of batches) {
      if (batch.start !== this.last.mark) {
        throw new Error(`a batch at ${batch.start} is written behind ${this.last.mark}`)
      }
      this.#batches.push(batch)
    }
    if (trim !== undefined) this.#trim(trim)
  }

  /** The batch that ends at the mark, if it is here. */
  endingAt(mark: number): Batch | undefined {
    const batch = this.#batches[this.#indexOf(mark)]
    return batch?.end === mark ? batch : undefined
  }

  /** Batches that end above `from` and not above `to`. */
  between(from: number, to: number): Batch[] {
    const found: Batch[] = []
    for (let i = this.#indexOf(from + 1); i < this.#batches.length; i++) {
      if (this.#batches[i]!.end > to) break
      found.push(this.#batches[i]!)
    }
    return found
  }

  /** True if the log holds the point, or has it below its low mark. */
  has({ term, mark }: Point): boolean {
    if (mark <= this.low.mark) return true
    return this.endingAt(mark)?.term === term
  }

  #trim(mark: number): void {
    const term = this.endingAt(mark)?.term
    if (term === undefined) throw new Error(`a trim to ${mark}, inside a batch`)
    this.low = { term, mark }
    this.#batches = this.#batches.filter(({ end }) => end > mark)
  }

  /** The first batch whose end is not below the mark. */
  #indexOf(mark: number): number {
    let low = 0
    let high = this.#batches.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#batches[middle]!.end < mark) low = middle + 1
      else high = middle
    }
    return low
  }
}

/** What a batch holds, in a few words: equal for equal batches. */
export function contentOf({ term, start, end, kind, payload }: Batch): string {
  const entries = payload as readonly { type: number; timestamp: number; data: Buffer }[]
  const texts = entries.map(
    ({ type, timestamp, data }) => `${type}@${timestamp}:${data.toString('latin1')}`,
  )
  return `${term}/${start}-${end} ${kind} ${texts.join('|')}`
}
