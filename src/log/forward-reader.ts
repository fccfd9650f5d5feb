import { KIB, TidemarkError } from '../base/index.ts'
import type { File } from '../io/index.ts'
import type { ReadOptions } from './commit-log.ts'
import { type Cursor, corruptEntry, decodeEntries, type MakeEntry } from './decode.ts'
import type { BatchSource } from './entry-iterator.ts'
import { checkNotTrimmed, locate, seekTimestamp } from './locate.ts'
import type { LogView } from './log-view.ts'
import { finish } from './steps.ts'

const CHUNK_BYTES_MIN = 16 * KIB
const CHUNK_BYTES_MAX = 256 * KIB

/**
 * Reads a log forward, a chunk at a time. Each chunk is a buffer of its own that is never written
 * again, so the data of entries can point into it.
 */
export class ForwardReader<E> implements BatchSource<E> {
  readonly #view: LogView
  readonly #make: MakeEntry<E>
  readonly #options: ReadOptions
  #from: number
  #cursor: Cursor | undefined
  #file: File | undefined
  /** The list of segments in which the cursor was found. */
  #segments: LogView['segments'] | undefined
  #chunkBytes = CHUNK_BYTES_MIN
  #begun = false
  #unwatch: (() => void) | undefined
  #isReading = false
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
        if (entries.length > 0) return entries
        continue
      }
      if (!follow || this.#from >= to || this.#view.isClosed) return undefined
      if (this.#view.failure) throw this.#view.failure
      this.#unwatch ??= this.#view.watch()
      await this.#view.advance.wait(signal)
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
    } else {
      this.#from = from ?? this.#view.lowWaterMark
    }
  }

  async #readChunk(limit: number): Promise<E[]> {
    const cursor = await this.#enterSegment()
    const entries: E[] = []
    const { segment } = cursor
    let wanted = this.#chunkBytes
    for (;;) {
      const room = segment.endPosition - cursor.position
      const chunk = Buffer.allocUnsafeSlow(Math.min(wanted, room))
      const count = await this.#file!.read(chunk, cursor.position)
      const end = Math.min(limit, segment.endOffset)
      const need = decodeEntries(
        chunk.subarray(0, count),
        cursor,
        this.#from,
        end,
        this.#make,
        entries,
      )
      if (cursor.offset >= end || entries.length > 0) break
      // Nothing was delivered: the entry is larger than the chunk, or lies behind it, or is not there.
      if (need > room || count < chunk.length) {
        throw corruptEntry(
          cursor,
          `the store ends before the entry at offset ${cursor.offset} does`,
        )
      }
      wanted = Math.max(this.#chunkBytes, need)
    }
    this.#chunkBytes = Math.min(CHUNK_BYTES_MAX, this.#chunkBytes * 2)
    this.#from = Math.max(this.#from, cursor.offset)
    return entries
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
    this.#file = this.#view.files.acquire(found.segment)
    this.#cursor = found
    this.#segments = segments
    return found
  }

  #leaveSegment(): void {
    if (this.#cursor) this.#view.files.release(this.#cursor.segment)
    this.#cursor = undefined
    this.#file = undefined
  }
}
