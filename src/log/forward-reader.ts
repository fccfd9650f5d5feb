import { KIB, TidemarkError } from '../base/index.ts'
import { ChunkReader } from './chunk-reader.ts'
import type { ReadOptions } from './commit-log.ts'
import { type Cursor, corruptEntry, decodeEntries, type MakeEntry } from './decode.ts'
import { ENTRY_HEADER_BYTES } from './entry-format.ts'
import type { BatchSource } from './entry-iterator.ts'
import { checkNotTrimmed, locate, seekTimestamp } from './locate.ts'
import type { LogView } from './log-view.ts'
import type { Segment } from './segment.ts'
import { finish } from './steps.ts'

const CHUNK_BYTES_MIN = 16 * KIB
const CHUNK_BYTES_MAX = 256 * KIB
/** So much is read without the thread pool, by a reader that waited for it. */
const HOT_BYTES_MAX = 128 * KIB

/**
 * Reads a log forward, a chunk at a time. Each chunk is a buffer of its own that is never written
 * again, so the data of entries can point into it.
 */
export class ForwardReader<E extends { readonly timestamp: number }> implements BatchSource<E> {
  readonly #view: LogView
  readonly #make: MakeEntry<E>
  readonly #options: ReadOptions
  #from: number
  #cursor: Cursor | undefined
  #chunks: ChunkReader | undefined
  /** The list of segments in which the cursor was found. */
  #segments: LogView['segments'] | undefined
  #chunkBytes = CHUNK_BYTES_MIN
  #begun = false
  #unwatch: (() => void) | undefined
  #isReading = false
  #isSeeking = false
  /** True once the reader has waited: what it reads next was written a moment ago. */
  #isAtEnd = false
  #isReleased = false

  constructor(view: LogView, make: MakeEntry<E>, options: ReadOptions) {
    this.#view = view
    this.#make = make
    this.#options = options
    this.#from = options.from ?? -1
  }

  async nextBatch(): Promise<E[] | undefined> {
    if (!this.#begun) await this.#begin()
    const { to = Number.POSITIVE_INFINITY, follow, signal } = this.#options
    for (;;) {
      signal?.throwIfAborted()
      if (this.#isReleased) return undefined
      checkNotTrimmed(this.#view, this.#from)
      const limit = Math.min(to, this.#view.highWaterMark)
      if (this.#from < limit) {
        this.#isReading = true
        const entries = await this.#readChunk(limit).finally(() => {
          this.#isReading = false
          if (this.#isReleased) this.#leaveSegment()
        })
        const wanted = this.#notOlder(entries)
        if (wanted.length > 0) return wanted
        continue
      }
      if (!follow || this.#from >= to || this.#view.isClosed) return undefined
      if (this.#view.failure) throw this.#view.failure
      this.#unwatch ??= this.#view.watch()
      await this.#view.advance.wait(signal)
      this.#isAtEnd = true
    }
  }

  release(): void {
    this.#isReleased = true
    this.#unwatch?.()
    this.#unwatch = undefined
    // A read under way still uses the file; whoever waits here is woken to find that it is over.
    if (!this.#isReading) this.#leaveSegment()
    this.#view.advance.fire()
  }

  async #begin(): Promise<void> {
    this.#begun = true
    await this.#view.refresh()
    const { from, fromTimestamp } = this.#options
    if (fromTimestamp !== undefined) {
      this.#from = await finish(seekTimestamp(this.#view, fromTimestamp))
      // If there is no such entry yet, whoever follows waits for it.
      this.#isSeeking = true
    } else {
      this.#from = from ?? this.#view.lowWaterMark
    }
  }

  /** Drops what comes before the first entry that is not older than `fromTimestamp`. */
  #notOlder(entries: E[]): E[] {
    const { fromTimestamp } = this.#options
    if (!this.#isSeeking || fromTimestamp === undefined) return entries
    const first = entries.findIndex(({ timestamp }) => timestamp >= fromTimestamp)
    if (first < 0) return []
    this.#isSeeking = false
    return entries.slice(first)
  }

  async #readChunk(limit: number): Promise<E[]> {
    const cursor = await this.#enterSegment()
    const { segment } = cursor
    const end = Math.min(limit, segment.endOffset)
    const entries: E[] = []
    let need = ENTRY_HEADER_BYTES
    for (;;) {
      const room = segment.endPosition - cursor.position
      const wanted = Math.min(Math.max(need, this.#chunkBytes), room)
      const chunk = await this.#read(cursor.position, wanted, need)
      if (chunk.length < need) {
        const problem = `the store ends before the entry at offset ${cursor.offset} does`
        throw corruptEntry(cursor, problem)
      }
      this.#readAhead(cursor.position + chunk.length, segment)
      need = this.#decode(chunk, cursor, end, entries)
      // Without an entry to deliver, the next one is larger than the chunk, or the first lies behind it.
      if (cursor.offset >= end || entries.length > 0) break
    }
    this.#chunkBytes = Math.min(CHUNK_BYTES_MAX, this.#chunkBytes * 2)
    this.#from = Math.max(this.#from, cursor.offset)
    return entries
  }

  /**
   * At the end of the log the bytes are in the page cache still, where a blocking read takes less time than
   * the way to the thread pool and back; and many writers may wait for what this reader does with them.
   */
  #read(position: number, wanted: number, minimum: number): Buffer | Promise<Buffer> {
    if (!this.#isAtEnd || wanted > HOT_BYTES_MAX) {
      return this.#chunks!.read(position, wanted, minimum)
    }
    this.#isAtEnd = false
    return this.#chunks!.readSync(position, wanted)
  }

  #decode(chunk: Buffer, cursor: Cursor, end: number, entries: E[]): number {
    try {
      return decodeEntries(chunk, cursor, this.#from, end, this.#make, entries)
    } catch (error) {
      // What is sound before the damage is delivered first; the next call meets the damage again.
      if (entries.length === 0) throw error
      return 0
    }
  }

  /**
   * Once it is clear that the reading goes on, the next chunk is read while this one is worked on.
   * Only what can no longer change: a segment that lies below the high-water mark to its end.
   */
  #readAhead(position: number, segment: Segment): void {
    if (this.#chunkBytes < CHUNK_BYTES_MAX || segment.indexedOffset !== undefined) return
    if (segment.endOffset > this.#view.highWaterMark) return
    this.#chunks!.readAhead(position, this.#chunkBytes, segment.endPosition)
  }

  /** The cursor, in the segment that holds the next offset. */
  async #enterSegment(): Promise<Cursor> {
    const { segments } = this.#view
    const cursor = this.#cursor
    // After a cut or a roll the list is another one, and the segment may be dead.
    const known = this.#segments === segments || (cursor && segments.includes(cursor.segment))
    if (cursor && known && cursor.offset < cursor.segment.endOffset) {
      this.#segments = segments
      return cursor
    }
    this.#leaveSegment()
    const found = await finish(locate(this.#view, this.#from))
    if (found.offset >= found.segment.endOffset) {
      throw new TidemarkError(
        'CORRUPT',
        `${found.segment.storePath} ends at offset ${found.offset}, and no segment has offset ${this.#from}`,
        { file: found.segment.name, offset: this.#from },
      )
    }
    this.#chunks = new ChunkReader(this.#view.files.acquire(found.segment))
    this.#cursor = found
    this.#segments = segments
    return found
  }

  #leaveSegment(): void {
    if (this.#cursor) this.#view.files.release(this.#cursor.segment)
    this.#cursor = undefined
    this.#chunks = undefined
  }
}
