import { invariant } from '../../base/index.ts'
import type { Hole, LATER, LogView, StoredLog } from './log-view.ts'
import type { Batch, Point } from './messages.ts'
import { TermTable } from './term-table.ts'

/**
 * The log as the core knows it: the terms of all of it, and the batches that are not known to be on the
 * disk.
 *
 * Invariants: low <= committed; low <= stable <= last.mark; the batches of `#unstable` follow one another and
 * end at last.mark; they hold everything above `stable`.
 */
export class CoreLog {
  readonly #view: LogView
  readonly #terms: TermTable
  #last: Point
  /** Everything below is synced here, and will stay. */
  #stable: number
  #committed: number
  #unstable: Batch[] = []
  /** Damage of which nothing is known yet, in order. */
  #holes: Hole[]
  /** Damage whose batches are known again, and on their way to the disk. */
  #filling: Hole[] = []
  /** The log begins anew, and the disk does not know yet. */
  #beginning: Hole | undefined

  constructor(view: LogView, stored: StoredLog) {
    this.#view = view
    this.#terms = new TermTable(stored.low)
    for (const { term, start } of stored.terms) this.#terms.begin(start, term)
    this.#last = stored.last
    this.#stable = stored.last.mark
    this.#committed = stored.commit
    this.#holes = [...stored.holes]
    const { low, commit, last } = stored
    invariant(low.mark <= commit && commit <= last.mark, `committed ${commit} lies in the log`)
    invariant(this.#terms.at(last.mark) === last.term, `the log ends with term ${last.term}`)
  }

  get low(): Point {
    return this.#terms.low
  }

  get last(): Point {
    return this.#last
  }

  get stable(): number {
    return this.#stable
  }

  get committed(): number {
    return this.#committed
  }

  /** The holes that are left, in order. */
  get holes(): readonly Hole[] {
    return this.#holes
  }

  /** The mark below which everything is sound and synced here. */
  get sound(): number {
    return Math.min(this.#stable, ...[...this.#holes, ...this.#filling].map(({ from }) => from))
  }

  /** The mark below which the disk has everything as it is here. */
  get onDisk(): number {
    return this.#beginning ? 0 : this.sound
  }

  /** True if the batches from `from` to `to` are all on the disk, and sound. */
  isSound(from: number, to: number): boolean {
    if (from < this.low.mark || to > this.#stable || this.#beginning) return false
    return ![...this.#holes, ...this.#filling].some((hole) => hole.from < to && hole.to > from)
  }

  /** True if the mark lies within damage whose batches are on their way to the disk. */
  isFilling(mark: number): boolean {
    return this.#filling.some(({ from, to }) => from < mark && mark < to)
  }

  /** The term of the entry before `mark`; undefined outside of the log and within damage. */
  termAt(mark: number): number | undefined {
    if (mark < this.low.mark || mark > this.#last.mark) return undefined
    const hole = this.#holes.find(({ from, to }) => mark > from && mark <= to)
    if (hole) return mark === hole.to ? hole.term : undefined
    return this.#terms.at(mark)
  }

  /** True if this log holds the point, and so the same as every other log that does. */
  has(point: Point): boolean {
    return this.termAt(point.mark) === point.term
  }

  pointAt(mark: number): Point {
    const term = this.termAt(mark)
    invariant(term !== undefined, `mark ${mark} lies in the log`)
    return { term, mark }
  }

  /** True if nothing that was once synced here is missing. */
  get isWhole(): boolean {
    const isMended = this.#holes.length === 0 && this.#filling.length === 0
    return isMended && this.#beginning === undefined
  }

  /**
   * Where this log may agree with one that holds `prev`, as this one does not. It may lie within a batch
   * here, but then the other log has another term there, and takes the end of a batch below.
   */
  hint(prev: Point): Point {
    const mark = Math.min(prev.mark, this.#last.mark)
    const term = this.#terms.at(mark)
    return term <= prev.term ? { term, mark } : this.#terms.floor({ term: prev.term, mark })
  }

  /** The last end of a batch that is not above `limit`, neither by mark nor by term. */
  floor(limit: Point): Point {
    const mark = Math.min(limit.mark, this.#last.mark)
    if (mark < this.low.mark) return this.low
    const term = this.#terms.at(mark)
    if (term === limit.term) return { term, mark }
    if (term < limit.term && mark === this.#last.mark) return this.#last
    return this.#terms.floor({ term: limit.term, mark })
  }

  /** Whole batches from `from` on, some of `maxBytes` together; LATER if they are not in memory. */
  batches(from: number, maxBytes: number): readonly Batch[] | typeof LATER {
    if (from === this.#last.mark) return []
    const first = this.#unstable[0]
    if (first === undefined || from < first.start) {
      const damage = [...this.#holes, ...this.#filling].filter((hole) => hole.from >= from)
      const to = Math.min(this.#stable, ...damage.map((hole) => hole.from))
      return this.#view.batches(from, to, maxBytes)
    }
    const at = this.#unstable.findIndex((batch) => batch.start === from)
    invariant(at >= 0, `mark ${from} is the start of a batch`)
    let end = at
    for (let bytes = 0; end < this.#unstable.length; end++) {
      bytes += this.#unstable[end]!.bytes
      if (bytes > maxBytes && end > at) break
    }
    return this.#unstable.slice(at, end)
  }

  append(batches: readonly Batch[]): void {
    for (const batch of batches) {
      const { mark } = this.#last
      invariant(batch.start === mark, `a batch at ${batch.start} follows the mark ${mark}`)
      invariant(batch.end > batch.start, `the batch at ${batch.start} has entries`)
      this.#terms.begin(batch.start, batch.term)
      this.#unstable.push(batch)
      this.#last = { term: batch.term, mark: batch.end }
    }
  }

  /** Forgets everything above `mark`, which is the end of a batch and not below what is committed. */
  truncate(mark: number): void {
    invariant(mark >= this.#committed, `committed ${this.#committed} is never cut, not at ${mark}`)
    while (this.#unstable.length > 0 && this.#unstable.at(-1)!.end > mark) this.#unstable.pop()
    this.#holes = this.#holes.filter((hole) => hole.to <= mark)
    this.#filling = this.#filling.filter((hole) => hole.to <= mark)
    this.#terms.cut(mark)
    this.#last = { term: this.#terms.at(mark), mark }
    this.#stable = Math.min(this.#stable, mark)
  }

  /**
   * The log begins anew at a point: above what is committed, or above damage. What it returns is
   * {@link filled} when the disk has done so too.
   */
  reset(point: Point): Hole {
    const isAhead = point.mark > Math.min(this.#committed, this.sound)
    invariant(isAhead, `a reset to ${point.mark} goes forward from ${this.#committed}`)
    this.#terms.reset(point)
    this.#unstable = []
    this.#holes = []
    this.#filling = []
    this.#last = point
    this.#stable = point.mark
    this.#committed = point.mark
    this.#beginning = { from: 0, to: point.mark, term: point.term }
    return this.#beginning
  }

  /** Everything below `mark` is on the disk. */
  persisted(mark: number): void {
    invariant(mark <= this.#last.mark, `persisted ${mark} lies in the log`)
    if (mark <= this.#stable) return
    this.#stable = mark
    const kept = this.#unstable.findIndex((batch) => batch.end > mark)
    this.#unstable = kept < 0 ? [] : this.#unstable.slice(kept)
  }

  /** True if the mark has moved. */
  commit(mark: number): boolean {
    if (mark <= this.#committed) return false
    invariant(mark <= this.#last.mark, `committed ${mark} lies in the log`)
    this.#committed = mark
    return true
  }

  trim(mark: number): void {
    invariant(mark <= this.#committed, `only what is committed is trimmed, not ${mark}`)
    this.#terms.trim(mark)
    this.#holes = this.#holes.filter((hole) => hole.to > mark)
    this.#filling = this.#filling.filter((hole) => hole.to > mark)
  }

  /**
   * The batches of the first hole are known again; they count only once they are {@link filled}. Returns what
   * they fill: less than the hole if the rest of it is to be cut.
   */
  know(hole: Hole, batches: readonly Batch[]): Hole {
    invariant(this.#holes[0] === hole, `the hole at ${hole.from} is the first`)
    this.#terms.replace(hole.from, hole.to, batches)
    this.#holes.shift()
    const { end, term } = batches.at(-1)!
    const filling = { from: hole.from, to: end, term }
    this.#filling.push(filling)
    return filling
  }

  /** The batches of a hole are on the disk again. */
  filled(hole: Hole): void {
    this.#filling = this.#filling.filter((other) => other !== hole)
    if (this.#beginning === hole) this.#beginning = undefined
  }
}
