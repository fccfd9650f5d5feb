import { invariant } from '../../base/index.ts'
import type { Point } from './messages.ts'

/** Batches of one term, one behind the other. */
interface Run {
  readonly term: number
  /** The mark where the first of them begins. */
  readonly start: number
}

/**
 * Which term wrote which part of a log: one row for each term, however long the log. (Kafka calls it the
 * leader epoch cache.) The ends of runs are ends of batches in this log.
 *
 * Invariant: the starts of the rows strictly increase, and so do their terms, from that of the low mark on.
 */
export class TermTable {
  #runs: Run[] = []
  #low: Point

  /** `low`: the low-water mark, and the term of the entry before it. */
  constructor(low: Point) {
    this.#low = low
  }

  get low(): Point {
    return this.#low
  }

  /** Everything from `mark` on, until something else is said, is of this term. */
  begin(mark: number, term: number): void {
    const last = this.#runs.at(-1)
    const before = last?.term ?? this.#low.term
    if (before === term) return
    invariant(term > before, `term ${term} follows term ${before}`)
    const start = last?.start ?? this.#low.mark - 1
    invariant(mark > start, `a run at mark ${mark} follows one at ${start}`)
    this.#runs.push({ term, start: mark })
  }

  /** The term of the entry before `mark`, which lies from the low mark to the end of the log. */
  at(mark: number): number {
    const run = this.#runs[this.#before(mark)]
    return run ? run.term : this.#low.term
  }

  /**
   * The highest end of a run that is not above `limit.mark` and whose term is not above `limit.term`; the
   * low mark if there is none.
   */
  floor(limit: Point): Point {
    // Each run ends where the next begins, so it is that one which must not begin above the limit.
    for (let i = this.#before(limit.mark + 1); i >= 0; i--) {
      const term = this.#runs[i - 1]?.term ?? this.#low.term
      if (term <= limit.term) return { term, mark: this.#runs[i]!.start }
    }
    return this.#low
  }

  /** Forgets what lies above `mark`. */
  cut(mark: number): void {
    while (this.#runs.length > 0 && this.#runs.at(-1)!.start >= mark) this.#runs.pop()
  }

  /** Forgets what lies below `mark`. */
  trim(mark: number): void {
    if (mark <= this.#low.mark) return
    // A run that reaches over the mark needs no row: its term is that of the entry before.
    const low = { term: this.at(mark), mark }
    this.#runs = this.#runs.filter((run) => run.start >= mark)
    this.#low = low
  }

  /** The log begins anew at a point. */
  reset(low: Point): void {
    this.#runs = []
    this.#low = low
  }

  /** Says again which terms wrote the part from `from` to `to`, of which nothing was known. */
  replace(from: number, to: number, runs: readonly Run[]): void {
    const behind = this.#runs.filter((run) => run.start >= to)
    const termBehind = this.at(to + 1)
    this.cut(from)
    for (const { term, start } of runs) this.begin(start, term)
    this.begin(to, termBehind)
    for (const { term, start } of behind) this.begin(start, term)
  }

  /** The index of the run that holds the entry before `mark`; -1 if that is below the low mark. */
  #before(mark: number): number {
    let low = 0
    let high = this.#runs.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#runs[middle]!.start < mark) low = middle + 1
      else high = middle
    }
    return low - 1
  }
}
