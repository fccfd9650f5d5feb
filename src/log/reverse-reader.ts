import { KIB, TidemarkError } from '../base/index.ts'
import type { ReadOptions } from './commit-log.ts'
import { type Cursor, corruptEntry, decodeEntries, type MakeEntry } from './decode.ts'
import type { BatchSource } from './entry-iterator.ts'
import { checkNotTrimmed, seekTimestamp } from './locate.ts'
import type { LogView } from './log-view.ts'
import type { OffsetIndex } from './offset-index.ts'
import { type Segment, segmentAt } from './segment.ts'
import { type FoundHeader, type ScanStart, searchHeader, segmentStart } from './segment-scan.ts'
import { finish } from './steps.ts'

const STRETCH_BYTES = 64 * KIB

/** Bytes of a store from an entry on. */
interface Stretch {
  readonly first: ScanStart
  readonly stop: number
  /** True if there is only one index point in it. */
  readonly isSingle: boolean
}

/** Reads a log from the newest entry to the oldest: stretches between index points, each turned round. */
export class ReverseReader<E extends { readonly offset: number }> implements BatchSource<E> {
  readonly #view: LogView
  readonly #make: MakeEntry<E>
  readonly #options: ReadOptions
  #from = 0
  /** Everything from here on has been delivered. */
  #to = -1
  #stretchBytes = STRETCH_BYTES

  constructor(view: LogView, make: MakeEntry<E>, options: ReadOptions) {
    this.#view = view
    this.#make = make
    this.#options = options
  }

  async nextBatch(): Promise<E[] | undefined> {
    if (this.#to < 0) await this.#begin()
    for (;;) {
      this.#options.signal?.throwIfAborted()
      if (this.#to <= this.#from) return undefined
      checkNotTrimmed(this.#view, this.#from)
      const { entries, start } = await this.#readBefore(this.#to)
      // A stretch that a repair has given up delivers nothing.
      this.#to = entries[0]?.offset ?? start
      if (entries.length > 0) return entries.reverse()
    }
  }

  release(): void {}

  async #begin(): Promise<void> {
    await this.#view.refresh()
    const { from, to = Number.POSITIVE_INFINITY, fromTimestamp } = this.#options
    this.#from = from ?? this.#view.lowWaterMark
    if (fromTimestamp !== undefined) {
      this.#from = await finish(seekTimestamp(this.#view, fromTimestamp))
    }
    this.#to = Math.min(to, this.#view.highWaterMark)
  }

  /** The entries of the last stretch before `end`, in order, and the offset at which it begins. */
  async #readBefore(end: number): Promise<{ entries: E[]; start: number }> {
    const { segments, files } = this.#view
    const segment = segments[segmentAt(segments, end - 1)]!
    const index = await finish(files.index(segment))
    for (;;) {
      const stretch = this.#stretchBefore(segment, index, end)
      try {
        const entries = await this.#read(segment, stretch.first, stretch.stop, end)
        return { entries, start: stretch.first.offset }
      } catch (error) {
        if (!isDamage(error)) throw error
        // What lies behind the damage is delivered first: from one index point at a time...
        this.#stretchBytes = 0
        if (!stretch.isSingle) continue
        // ...and there from the first sound entry on.
        return this.#readBehind(segment, error, stretch.stop, end)
      }
    }
  }

  /** The entries between damage and `end`, where `stop` is. Throws the damage if it reaches up to there. */
  async #readBehind(segment: Segment, first: TidemarkError, stop: number, end: number) {
    let damage = first
    for (;;) {
      const { position = stop, offset = end } = damage.details
      const isWanted = (found: FoundHeader) => found.offset < end
      const next = await this.#search(segment, position + 1, stop, offset + 1, isWanted)
      if (!next) throw damage
      try {
        const first = { offset: next.offset, position: next.position, term: 0 }
        return { entries: await this.#read(segment, first, stop, end), start: next.offset }
      } catch (error) {
        if (!isDamage(error)) throw error
        // There is more than one: only what lies behind the last of them comes before all others.
        damage = error
      }
    }
  }

  async #search(
    segment: Segment,
    from: number,
    stop: number,
    offsetMin: number,
    accept: (found: FoundHeader) => boolean,
  ): Promise<FoundHeader | undefined> {
    const file = this.#view.files.acquire(segment)
    try {
      return await finish(searchHeader(file, segment, from, stop, offsetMin, accept))
    } finally {
      this.#view.files.release(segment)
    }
  }

  /** The bytes from an index point to the end of what was not delivered: many points, if they are near. */
  #stretchBefore(segment: Segment, index: OffsetIndex, end: number): Stretch {
    const last = index.floor(end - 1 - segment.base)
    const stop = last + 1 < index.count ? index.positionAt(last + 1) : segment.endPosition
    if (last < 0) {
      return { first: segmentStart(segment), stop, isSingle: true }
    }
    const lowest = Math.max(0, index.floor(this.#from - segment.base))
    let point = last
    while (point > lowest && stop - index.positionAt(point - 1) <= this.#stretchBytes) point--
    const offset = segment.base + index.lsnAt(point)
    const first = { offset, position: index.positionAt(point), term: 0 }
    return { first, stop, isSingle: point === last }
  }

  async #read(segment: Segment, first: ScanStart, stop: number, end: number): Promise<E[]> {
    const cursor: Cursor = { segment, ...first }
    const chunk = Buffer.allocUnsafeSlow(stop - first.position)
    const entries: E[] = []
    const file = this.#view.files.acquire(segment)
    try {
      const count = await file.read(chunk, first.position)
      const bytes = chunk.subarray(0, count)
      const need = decodeEntries(bytes, cursor, this.#from, end, this.#make, entries)
      if (need > 0) throw corruptEntry(cursor, 'the store ends before the entry does')
      return entries
    } finally {
      this.#view.files.release(segment)
    }
  }
}

function isDamage(error: unknown): error is TidemarkError {
  return error instanceof TidemarkError && error.code === 'CORRUPT'
}
