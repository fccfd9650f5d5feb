import { TidemarkError, viewOf } from '../base/index.ts'
import { type Codec, bytes as plainBytes } from './codec.ts'
import type { Entry } from './commit-log.ts'
import { type Cursor, corruptEntry, decodeEntries } from './decode.ts'
import { ENTRY_HEADER_BYTES, EntryHeader, isSystemType } from './entry-format.ts'
import { ioError, withIoErrors } from './io-error.ts'
import type { LogView } from './log-view.ts'
import type { OffsetIndex } from './offset-index.ts'
import type { Segment } from './segment.ts'
import { segmentAt } from './segment.ts'
import { SEGMENT_HEADER_BYTES } from './segment-format.ts'
import { Span } from './span.ts'
import { SpanCache } from './span-cache.ts'
import { finish } from './steps.ts'

const header = new EntryHeader()

/** Reads single entries by offset, from memory where the neighbourhood was read before. */
export class RandomAccess<T> {
  readonly #view: LogView
  readonly #codec: Codec<T, never>
  readonly #failed: (error: unknown) => void
  readonly #cache: SpanCache
  /** Plain bytes handed out must not be views of the cache: the caller may write into them. */
  readonly #copies: boolean
  #segments: LogView['segments']

  /** `failed` is told of what keeps an entry from being read. */
  constructor(view: LogView, codec: Codec<T, never>, failed: (error: unknown) => void) {
    this.#view = view
    this.#failed = failed
    this.#codec = codec
    this.#cache = new SpanCache(view.settings.cacheBytes)
    this.#copies = (codec as unknown) === plainBytes
    this.#segments = view.segments
  }

  get(offset: number): Promise<Entry<T> | undefined> {
    const view = this.#view
    if (offset >= view.highWaterMark) return this.#getLater(offset)
    if (offset < view.lowWaterMark) return Promise.resolve(undefined)
    const segment = view.segments[segmentAt(view.segments, offset)]!
    const { index } = segment
    if (!index || view.segments !== this.#segments) return this.#getFromDisk(segment, offset)
    const point = index.floor(offset - segment.base)
    const span = this.#cache.get(segment, point)
    if (!span) return this.#getFromDisk(segment, offset)
    const lsn = offset - segment.base
    if (!span.holds(lsn)) {
      // The segment was repaired since: its index was made anew, and has other points.
      this.#cache.clear()
      return this.#getFromDisk(segment, offset)
    }
    const at = span.startOf(lsn)
    header.readChecked(span.view, at)
    return Promise.resolve(this.#entry(segment, span.bytes, at))
  }

  /** Another process may have appended it since this one last looked. */
  async #getLater(offset: number): Promise<Entry<T> | undefined> {
    await withIoErrors(`read the log ${this.#view.folder}`, () => this.#view.refresh())
    return offset < this.#view.highWaterMark ? this.get(offset) : undefined
  }

  async #getFromDisk(segment: Segment, offset: number): Promise<Entry<T> | undefined> {
    try {
      return await this.#read(segment, offset)
    } catch (error) {
      this.#failed(error)
      throw ioError(`read the log ${this.#view.folder}`, error)
    }
  }

  async #read(segment: Segment, offset: number): Promise<Entry<T> | undefined> {
    const { segments, files } = this.#view
    if (segments !== this.#segments) {
      this.#segments = segments
      this.#cache.clear()
    }
    const index = await finish(files.index(segment))
    if (segment !== segments.at(-1)) files.admit(segment)
    const point = Math.max(0, index.floor(offset - segment.base))
    const span = await this.#load(segment, index, point, offset)
    return this.#pick(segment, index, point, span, offset)
  }

  /**
   * Reads the stretch from `point` to the next one and checks the wanted entry. A stretch in which
   * every entry is sound is kept: damage to a neighbour hurts nobody else.
   */
  async #load(
    segment: Segment,
    index: OffsetIndex,
    point: number,
    offset: number,
  ): Promise<Buffer> {
    const isWhole = point + 1 < index.count
    const position = index.count === 0 ? SEGMENT_HEADER_BYTES : index.positionAt(point)
    const stop = isWhole ? index.positionAt(point + 1) : segment.endPosition
    const start: Cursor = { segment, offset: segment.base + index.lsnAt(point), position, term: 0 }
    const span = Buffer.allocUnsafeSlow(stop - position)
    const file = this.#view.files.acquire(segment)
    try {
      const count = await file.read(span, position)
      const bytes = span.subarray(0, count)
      const cursor = { ...start }
      const need = decodeEntries(bytes, cursor, offset, offset + 1, () => undefined, [])
      if (need > 0) throw corruptEntry(cursor, 'the store ends before the entry does')
      if (isWhole && isSound(bytes, { ...start }, segment.base + index.lsnAt(point + 1))) {
        this.#cache.set(segment, point, new Span(span, index.lsnAt(point)))
      }
      return span
    } finally {
      this.#view.files.release(segment)
    }
  }

  /** Hops to the entry in a stretch of which it alone has been checked. */
  #pick(
    segment: Segment,
    index: OffsetIndex,
    point: number,
    span: Buffer,
    wanted: number,
  ): Entry<T> | undefined {
    const { base, id } = segment
    const view = viewOf(span)
    let at = 0
    let offset = base + index.lsnAt(point)
    for (;;) {
      if (!header.read(view, at, id) || base + header.lsn !== offset) {
        const cursor = { segment, offset, position: index.positionAt(point) + at, term: 0 }
        throw corruptEntry(cursor, 'entry header checksum')
      }
      if (offset + header.count > wanted) return this.#entry(segment, span, at)
      offset += header.count
      at += header.size
    }
  }

  /** What is delivered of the entry at `at`, whose header has just been read; nothing of one that is the system's. */
  #entry(segment: Segment, bytes: Buffer, at: number): Entry<T> | undefined {
    const { lsn, term, type, timestamp, count, length } = header
    if (isSystemType(type)) return undefined
    const start = at + ENTRY_HEADER_BYTES
    const view = bytes.subarray(start, start + length)
    const data = this.#copies ? copyOf(view) : view
    const offset = segment.base + lsn
    return { offset, term, type, timestamp, count, data: this.#codec.decode(data) }
  }
}

/** Faster than `Buffer.from`, which finds out first what it was given. */
function copyOf(bytes: Buffer): Buffer {
  const copy = Buffer.allocUnsafe(bytes.length)
  copy.set(bytes)
  return copy
}

/** True if these bytes are the entries from the cursor up to the offset `to`, all sound, and nothing else. */
function isSound(bytes: Buffer, cursor: Cursor, to: number): boolean {
  try {
    const end = cursor.position + bytes.length
    const isWhole = decodeEntries(bytes, cursor, 0, to, () => undefined, []) === 0
    return isWhole && cursor.position === end
  } catch (error) {
    if (error instanceof TidemarkError && error.code === 'CORRUPT') return false
    throw error
  }
}
