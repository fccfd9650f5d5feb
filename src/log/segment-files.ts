import { dirname } from 'node:path'
import { errnoOf, invariant, TidemarkError } from '../base/index.ts'
import type { File, Files } from '../io/index.ts'
import { ENTRY_HEADER_BYTES } from './entry-format.ts'
import { readWholeSync } from './file-steps.ts'
import {
  decodeIndex,
  INDEX_HEADER_BYTES,
  INDEX_POINT_BYTES,
  type IndexImage,
} from './index-format.ts'
import { OffsetIndex } from './offset-index.ts'
import type { LogSettings } from './options.ts'
import type { Segment } from './segment.ts'
import { SEGMENT_HEADER_BYTES } from './segment-format.ts'
import {
  type BadEntry,
  type FoundHeader,
  type ScanResult,
  type ScanStart,
  scanEntries,
  searchHeader,
  segmentStart,
} from './segment-scan.ts'
import type { Steps } from './steps.ts'

/** Descriptors kept open for segments that nobody reads at the moment. */
const IDLE_FILES_MAX = 4
/** Indexes of sealed segments kept in memory, in all. */
const INDEX_BYTES_MAX = 8 * 1024 * 1024

interface OpenFile {
  readonly file: File
  users: number
}

/** The files of segments as readers need them: a bounded number of open stores and loaded indexes. */
export class SegmentFiles {
  readonly #files: Files
  readonly #intervalBytes: number
  /** In order of last use, the oldest first. */
  readonly #open = new Map<Segment, OpenFile>()
  readonly #indexed = new Set<Segment>()
  #indexBytes = 0
  #isClosed = false

  constructor(settings: LogSettings) {
    this.#files = settings.files
    this.#intervalBytes = settings.indexIntervalBytes
  }

  /** The segment's store, open for reading until it is released. Throws TRIMMED if it is gone. */
  acquire(segment: Segment): File {
    const open = this.#open.get(segment) ?? { file: this.#openStore(segment), users: 0 }
    open.users++
    this.#open.delete(segment)
    this.#open.set(segment, open)
    return open.file
  }

  release(segment: Segment): void {
    const open = this.#open.get(segment)
    invariant(open && open.users > 0, `${segment.name} is released more often than acquired`)
    open.users--
    this.#closeIdle(this.#isClosed ? 0 : IDLE_FILES_MAX)
  }

  /** Closes the stores that no reader uses now. */
  closeIdle(): void {
    this.#closeIdle(0)
  }

  /** Closes every store, those in use when their readers release them. */
  close(): void {
    this.#isClosed = true
    this.#closeIdle(0)
  }

  #openStore(segment: Segment): File {
    try {
      return this.#files.openSync(segment.storePath, 'read')
    } catch (error) {
      const isFolderGone = !this.#files.existsSync(dirname(segment.storePath))
      if (errnoOf(error) !== 'ENOENT' || isFolderGone) throw error
      throw new TidemarkError(
        'TRIMMED',
        `${segment.storePath} is gone: the log was trimmed or cut past offset ${segment.base}`,
        { offset: segment.base },
        error,
      )
    }
  }

  #closeIdle(keep: number): void {
    let excess = -keep
    for (const open of this.#open.values()) if (open.users === 0) excess++
    for (const [segment, open] of this.#open) {
      if (excess <= 0) return
      if (open.users > 0) continue
      this.#open.delete(segment)
      open.file.closeSync()
      excess--
    }
  }

  /**
   * The segment's offset index: from memory, from its file, or rebuilt from the store. Behind damage it
   * has a point where sound entries begin again.
   */
  *index(segment: Segment): Steps<OffsetIndex> {
    const { index, indexedOffset, endOffset, endPosition } = segment
    if (index && (indexedOffset === undefined || indexedOffset >= endOffset)) return index
    const made = index ?? this.#load(segment) ?? new OffsetIndex(this.#intervalBytes)
    if (made.coveredBytes !== endPosition) yield* this.#extend(segment, made, endOffset)
    if (indexedOffset !== undefined) segment.indexedOffset = endOffset
    segment.index ??= made
    const known = segment.index
    if (segment.isSealed) this.admit(segment)
    return known
  }

  /** Makes the index anew from the store: what was known of it may be of damage that is there no more. */
  *rebuild(segment: Segment): Steps {
    const made = new OffsetIndex(this.#intervalBytes)
    yield* this.#extend(segment, made, segment.endOffset)
    if (this.#indexed.has(segment)) this.#drop(segment)
    segment.index = made
    if (segment.isSealed) this.admit(segment)
  }

  /** Notes that a sealed segment's index may be dropped when memory is short. */
  admit(segment: Segment): void {
    if (!segment.index || this.#indexed.has(segment)) return
    this.#indexed.add(segment)
    this.#indexBytes += segment.index.bytes
    for (const oldest of this.#indexed) {
      if (this.#indexBytes <= INDEX_BYTES_MAX || oldest === segment) return
      this.#drop(oldest)
    }
  }

  #drop(segment: Segment): void {
    this.#indexed.delete(segment)
    this.#indexBytes -= segment.index?.bytes ?? 0
    segment.index = undefined
  }

  #load(segment: Segment): OffsetIndex | undefined {
    const points = Math.ceil(segment.endPosition / ENTRY_HEADER_BYTES)
    const limit = INDEX_HEADER_BYTES + points * INDEX_POINT_BYTES
    const bytes = readWholeSync(this.#files, segment.indexPath, limit)
    const image = bytes && decodeIndex(bytes)
    if (!image || image.segmentId !== segment.id) return undefined
    if (image.coveredBytes !== segment.endPosition || !fits(image, segment)) return undefined
    return new OffsetIndex(this.#intervalBytes, image)
  }

  /**
   * Reads on from the last point of the index and notes what has come since, up to `endOffset`: what
   * lies behind may still be taken back.
   */
  *#extend(segment: Segment, index: OffsetIndex, endOffset: number): Steps {
    const limit = segment.endPosition
    const last = index.count - 1
    const start =
      last < 0
        ? segmentStart(segment)
        : { offset: segment.base + index.lsnAt(last), position: index.positionAt(last), term: 0 }
    const file = this.acquire(segment)
    try {
      let from: ScanStart | undefined = start
      while (from) {
        const scan: ScanResult = yield* scanEntries(
          file,
          segment,
          from,
          limit,
          (header, position) => {
            if (segment.base + header.lsn >= endOffset) return false
            index.note(header.lsn, position, header.timestamp)
            return true
          },
        )
        from = scan.bad && (yield* resumeBehind(file, segment, index, scan.bad, endOffset))
      }
    } finally {
      this.release(segment)
    }
  }
}

/** Finds the first sound header behind damage, so that what follows can be reached without passing it. */
function* resumeBehind(
  file: File,
  segment: Segment,
  index: OffsetIndex,
  bad: BadEntry,
  endOffset: number,
): Steps<ScanStart | undefined> {
  const { after, offset } = bad
  const isWanted = (found: FoundHeader) => found.offset < endOffset
  const next = yield* searchHeader(file, segment, after, segment.endPosition, offset + 1, isWanted)
  if (!next) return undefined
  index.resume(next.offset - segment.base, next.position)
  return { offset: next.offset, position: next.position, term: 0 }
}

/** True if the points of an index are in order and lie in the segment. */
function fits(image: IndexImage, segment: Segment): boolean {
  const { count, lsns, positions } = image
  for (let i = 1; i < count; i++) {
    if (lsns[i]! <= lsns[i - 1]! || positions[i]! <= positions[i - 1]!) return false
  }
  if (count === 0) return segment.isEmpty
  const isInside = segment.base + lsns[count - 1]! < segment.endOffset
  return (
    isInside && positions[0] === SEGMENT_HEADER_BYTES && positions[count - 1]! < segment.endPosition
  )
}
