import { KIB } from '../base/index.ts'
import type { ReadOptions } from './commit-log.ts'
import { corruptEntry, decodeEntries, type MakeEntry } from './decode.ts'
import type { BatchSource } from './entry-iterator.ts'
import { checkNotTrimmed, seekTimestamp } from './locate.ts'
import type { LogView } from './log-view.ts'
import { segmentAt } from './segment.ts'
import { SEGMENT_HEADER_BYTES } from './segment-format.ts'
import { finish } from './steps.ts'

const CHUNK_BYTES = 64 * KIB

/** Reads a log from the newest entry to the oldest: stretches between index points, each turned round. */
export class ReverseReader<E extends { readonly offset: number }> implements BatchSource<E> {
  readonly #view: LogView
  readonly #make: MakeEntry<E>
  readonly #options: ReadOptions
  #from = 0
  /** Everything from here on has been delivered. */
  #to = -1

  constructor(view: LogView, make: MakeEntry<E>, options: ReadOptions) {
    this.#view = view
    this.#make = make
    this.#options = options
  }

  async nextBatch(): Promise<E[] | undefined> {
    if (this.#to < 0) await this.#begin()
    this.#options.signal?.throwIfAborted()
    if (this.#to <= this.#from) return undefined
    checkNotTrimmed(this.#view, this.#from)
    const entries = await this.#readBefore(this.#to)
    this.#to = entries[0]?.offset ?? this.#from
    return entries.reverse()
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

  /** The entries of the last stretch before `end`, in order. */
  async #readBefore(end: number): Promise<E[]> {
    const { segments, files } = this.#view
    const segment = segments[segmentAt(segments, end - 1)]!
    const index = await finish(files.index(segment))
    const last = index.floor(end - 1 - segment.base)
    let first = Math.max(0, last)
    const stop = last + 1 < index.count ? index.positionAt(last + 1) : segment.endPosition
    while (first > 0 && stop - index.positionAt(first - 1) <= CHUNK_BYTES) first--
    const cursor = {
      segment,
      offset: last < 0 ? segment.base : segment.base + index.lsnAt(first),
      position: last < 0 ? SEGMENT_HEADER_BYTES : index.positionAt(first),
      term: 0,
    }
    const chunk = Buffer.allocUnsafeSlow(stop - cursor.position)
    const entries: E[] = []
    const file = files.acquire(segment)
    try {
      const count = await file.read(chunk, cursor.position)
      const bytes = chunk.subarray(0, count)
      const need = decodeEntries(bytes, cursor, this.#from, end, this.#make, entries)
      if (need > 0) throw corruptEntry(cursor, 'the store ends before the entry does')
    } finally {
      files.release(segment)
    }
    return entries
  }
}
