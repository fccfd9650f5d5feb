/** How often a value fell into each of some ranges. */
export interface HistogramCounts {
  /** The highest value of each range, ascending; the last range, behind them, has no bound. */
  readonly bounds: readonly number[]
  /** How many values fell into each range: one more than there are bounds, not summed up. */
  readonly counts: readonly number[]
  readonly count: number
  readonly sum: number
}

/** Counts values in fixed ranges. */
export class Histogram {
  readonly #bounds: readonly number[]
  readonly #counts: number[]
  #sum = 0

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds
    this.#counts = new Array<number>(bounds.length + 1).fill(0)
  }

  add(value: number): void {
    const bounds = this.#bounds
    let at = 0
    while (at < bounds.length && value > bounds[at]!) at++
    this.#counts[at]! += 1
    this.#sum += value
  }

  counts(): HistogramCounts {
    const counts = [...this.#counts]
    const count = counts.reduce((sum, each) => sum + each, 0)
    return { bounds: this.#bounds, counts, count, sum: this.#sum }
  }
}
