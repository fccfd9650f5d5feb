import assert from 'node:assert/strict'
import type {
  Batch,
  HardState,
  Hole,
  LogView,
  Persist,
  Point,
  StoredLog,
} from '#dist/quorum/core/index.js'

export const EMPTY: Point = { term: 0, mark: 0 }

/**
 * The disk of one replica as arrays. A piece of work is done in the order of its fields, and a crash may
 * come between any two of them. What the core may not ask of a disk fails here.
 */
export class ArrayDisk {
  hard: HardState
  low: Point = EMPTY
  batches: Batch[] = []
  /** Where batches begin that are not sound. */
  readonly damaged = new Set<number>()
  /** Damage took the end, and the replica has not written yet that it knows. */
  lostEnd: number | undefined
  /** What the host remembers to have shown. */
  shown = 0

  constructor(hard: HardState) {
    this.hard = hard
  }

  get last(): Point {
    const batch = this.batches.at(-1)
    return batch ? { term: batch.term, mark: batch.end } : this.low
  }

  /** Does a piece of work, or only its first `steps` parts. */
  write(piece: Persist, steps = Number.POSITIVE_INFINITY): void {
    for (const part of this.#parts(piece).slice(0, steps)) part()
  }

  countParts(piece: Persist): number {
    return this.#parts(piece).length
  }

  #parts({ hard, reset, fill, truncate, batches, trim }: Persist): (() => void)[] {
    const parts: (() => void)[] = []
    if (hard) parts.push(() => this.#keep(hard))
    if (reset) parts.push(() => this.#reset(reset))
    if (fill) parts.push(() => this.#fill(fill.hole, fill.batches))
    if (truncate !== undefined) parts.push(() => this.#truncate(truncate))
    for (const batch of batches) parts.push(() => this.#append(batch))
    if (trim !== undefined) parts.push(() => this.#trim(trim))
    return parts
  }

  #keep(hard: HardState): void {
    assert.ok(hard.term >= this.hard.term, 'the term on the disk decreases')
    if (hard.term === this.hard.term && this.hard.vote !== 0) {
      assert.equal(hard.vote, this.hard.vote, 'the vote on the disk changes within a term')
    }
    this.hard = hard
    this.lostEnd = undefined
  }

  #reset(point: Point): void {
    this.low = point
    this.batches = []
    this.damaged.clear()
    this.shown = point.mark
  }

  #fill(hole: Hole, batches: readonly Batch[]): void {
    const first = this.batches.findIndex(({ start }) => start === hole.from)
    const behind = this.batches.findIndex(({ end }) => end === hole.to) + 1
    assert.deepEqual(batches, this.batches.slice(first, behind), 'other batches were lost here')
    for (const { start } of batches) this.damaged.delete(start)
  }

  #truncate(mark: number): void {
    const least = Math.min(this.shown, ...this.damaged)
    assert.ok(mark >= least, `what was shown, ${this.shown}, is cut at ${mark}`)
    this.shown = Math.min(this.shown, mark)
    this.batches = this.batches.filter(({ end }) => end <= mark)
    assert.equal(this.last.mark, mark, 'a cut is at the end of a batch')
    for (const start of this.damaged) if (start >= mark) this.damaged.delete(start)
  }

  #append(batch: Batch): void {
    assert.equal(batch.start, this.last.mark, 'a batch follows the end of the log')
    assert.ok(batch.term <= this.hard.term, `term ${batch.term} is on the disk before its entries`)
    this.batches.push(batch)
  }

  #trim(mark: number): void {
    const at = this.batches.findIndex(({ end }) => end === mark)
    assert.ok(at >= 0, `the low-water mark ${mark} is the end of a batch`)
    this.low = { term: this.batches[at].term, mark }
    for (const { start } of this.batches.splice(0, at + 1)) this.damaged.delete(start)
  }

  /** What a replica finds that starts with this disk. */
  stored(): StoredLog {
    const terms: { term: number; start: number }[] = []
    for (const { term, start } of this.#known()) {
      if (term !== (terms.at(-1)?.term ?? this.low.term)) terms.push({ term, start })
    }
    const { low, last, lostEnd, shown: commit } = this
    return { low, last, lostEnd, terms, holes: this.holes(), commit: Math.min(commit, last.mark) }
  }

  holes(): Hole[] {
    const holes: Hole[] = []
    for (const { start, end, term } of this.batches) {
      if (!this.damaged.has(start)) continue
      const before = holes.at(-1)
      if (before?.to === start) holes[holes.length - 1] = { from: before.from, to: end, term }
      else holes.push({ from: start, to: end, term })
    }
    return holes
  }

  /** The batches, with holes as if each were one batch: that is all that can be seen of them. */
  #known(): { term: number; start: number }[] {
    const holes = this.holes()
    return this.batches
      .filter(({ start }) => !holes.some(({ from, to }) => start > from && start < to))
      .map(({ start, term }) => ({
        start,
        term: holes.find(({ from }) => from === start)?.term ?? term,
      }))
  }

  /** Batches that begin in the range are not sound any more. */
  damage(from: number, to: number): void {
    for (const { start } of this.batches) if (start >= from && start < to) this.damaged.add(start)
  }

  /** Everything from the mark on is lost, and it can be seen that there was something. */
  loseEnd(from: number): void {
    this.lostEnd = Math.max(this.last.mark, this.lostEnd ?? 0)
    this.batches = this.batches.filter(({ end }) => end <= from)
    for (const start of this.damaged) if (start >= this.last.mark) this.damaged.delete(start)
    this.shown = Math.min(this.shown, this.last.mark)
  }

  /** True if the batch is here, or was before damage took it. */
  holds({ end, term }: { end: number; term: number }): boolean {
    if (end <= this.low.mark) return true
    return this.batches.some((batch) => batch.end === end && batch.term === term)
  }

  /** How the core reads: what it has been told is on the disk, and nothing else. */
  readonly view: LogView = {
    batches: (from, to, maxBytes) => this.#read(from, to, maxBytes),
  }

  #read(from: number, to: number, maxBytes: number): readonly Batch[] {
    const first = this.batches.findIndex(({ start }) => start === from)
    assert.ok(first >= 0, `a batch begins at ${from}`)
    let end = first
    for (let bytes = 0; end < this.batches.length && this.batches[end].end <= to; end++) {
      assert.ok(!this.damaged.has(this.batches[end].start), `what is read at ${from} is sound`)
      bytes += this.batches[end].bytes
      if (bytes > maxBytes && end > first) break
    }
    assert.ok(end > first, `something is on the disk from ${from} to ${to}`)
    return this.batches.slice(first, end)
  }
}
