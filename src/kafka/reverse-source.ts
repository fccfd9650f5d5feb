import { MIB } from '../base/index.ts'
import type { BatchSource, Entry, ReadOptions } from '../log/index.ts'
import { ForwardSource } from './forward-source.ts'
import type { PartitionView } from './partition-view.ts'

const WINDOW_MIN = 16
const WINDOW_MAX = 16_384
/** Windows grow as long as what is in one takes less. */
const WINDOW_BYTES = MIB

/** Reads a partition from the newest entry to the oldest: a window forward, then turned round, then the one before it. */
export class ReverseSource implements BatchSource<Entry> {
  readonly #view: PartitionView
  readonly #options: ReadOptions
  /** What is at and above it was given; undefined before the first. */
  #end: number | undefined
  #begin = 0
  #window = WINDOW_MIN
  #isReleased = false

  constructor(view: PartitionView, options: ReadOptions) {
    this.#view = view
    this.#options = options
  }

  async nextBatch(): Promise<Entry[] | undefined> {
    this.#options.signal?.throwIfAborted()
    if (this.#end === undefined) await this.#findEnds()
    while (!this.#isReleased && this.#end! > this.#begin) {
      const from = Math.max(this.#begin, this.#end! - this.#window)
      const entries = await this.#readWindow(from, this.#end!)
      this.#end = from
      if (entries.length > 0) return entries.reverse()
    }
    return undefined
  }

  release(): void {
    this.#isReleased = true
  }

  async #findEnds(): Promise<void> {
    const { marks, partition } = this.#view
    const { from, to = Number.POSITIVE_INFINITY, fromTimestamp } = this.#options
    if (from !== undefined) this.#view.checkNotTrimmed(from)
    this.#begin = from ?? marks.low
    this.#end = Math.min(to, marks.high)
    if (fromTimestamp === undefined) return
    const { isCommittedOnly } = partition.settings
    this.#begin = (await partition.offsetAt(fromTimestamp, isCommittedOnly)) ?? this.#end
  }

  async #readWindow(from: number, to: number): Promise<Entry[]> {
    const { signal } = this.#options
    const source = new ForwardSource(this.#view, { from, to, signal })
    const entries: Entry[] = []
    let bytes = 0
    for (;;) {
      const batch = await source.nextBatch()
      if (!batch) break
      for (const entry of batch) bytes += entry.data.length
      entries.push(...batch)
    }
    if (bytes < WINDOW_BYTES) this.#window = Math.min(WINDOW_MAX, 4 * this.#window)
    else this.#window = Math.max(WINDOW_MIN, this.#window >> 1)
    return entries
  }
}
