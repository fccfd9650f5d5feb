import { crc32OfView, MIB, skipZeros, viewOf } from '../base/index.ts'
import type { File } from '../io/index.ts'
import { ENTRY_HEADER_BYTES, EntryHeader, mayBeHeader, TYPE_INVALID } from './entry-format.ts'
import type { Segment } from './segment.ts'
import { SEGMENT_HEADER_BYTES } from './segment-format.ts'
import type { Step, Steps } from './steps.ts'

const CHUNK_BYTES = MIB

/** What is wrong with the first entry that is not sound. */
export interface BadEntry {
  readonly position: number
  readonly offset: number
  readonly problem: string
  /** The first position at which the next entry could begin. */
  readonly after: number
}

export interface ScanResult {
  /** Where the last whole batch ends. */
  readonly endOffset: number
  readonly endPosition: number
  /** Term of the last entry before that end. */
  readonly lastTerm: number
  /** The highest offset that any sound header vouches for: everything below was synced. */
  readonly witnessed: number
  /** What ended the scan before the limit; undefined if it got there. */
  readonly bad: BadEntry | undefined
}

export interface ScanStart {
  readonly offset: number
  readonly position: number
  readonly term: number
}

/**
 * Called for each sound entry, in order; `data` is where its data lies in `chunk`. The scan stops
 * behind the entry for which it returns false.
 */
export type EntryVisitor = (
  header: EntryHeader,
  position: number,
  chunk: Uint8Array,
  data: number,
) => boolean | undefined

/** Reads a file piece by piece for a scan, keeping what the scan has not used yet. */
class ScanWindow {
  readonly #file: File
  readonly #limit: number
  bytes: Uint8Array
  view: DataView
  /** Position in the file of the first byte of the window. */
  position: number
  length = 0

  constructor(file: File, position: number, limit: number) {
    this.#file = file
    this.#limit = limit
    this.position = position
    this.bytes = new Uint8Array(Math.max(0, Math.min(CHUNK_BYTES, limit - position)))
    this.view = viewOf(this.bytes)
  }

  /** Moves the window so that it begins at `position` and holds `wanted` bytes, if the file has them. */
  *fill(position: number, wanted: number): Steps {
    const used = position - this.position
    const kept = Math.max(0, this.length - used)
    const target = wanted > this.bytes.length ? new Uint8Array(wanted) : this.bytes
    if (kept > 0) target.set(this.bytes.subarray(used, used + kept))
    if (target !== this.bytes) this.view = viewOf(target)
    this.bytes = target
    this.position = position
    this.length = kept
    const room = Math.min(target.length, this.#limit - position) - kept
    if (room <= 0) return
    const read = new ReadStep(this.#file, target.subarray(kept, kept + room), position + kept)
    yield read
    this.length += read.count
  }
}

/** A step that reads; `count` says how much came. */
export class ReadStep implements Step {
  readonly #file: File
  readonly buffer: Uint8Array
  readonly #position: number
  count = 0

  constructor(file: File, buffer: Uint8Array, position: number) {
    this.#file = file
    this.buffer = buffer
    this.#position = position
  }

  async run(): Promise<void> {
    this.count = await this.#file.read(this.buffer, this.#position)
  }

  runSync(): void {
    this.count = this.#file.readSync(this.buffer, this.#position)
  }
}

/** Where a scan of a whole segment begins. */
export function segmentStart(segment: Segment): ScanStart {
  const { base, previousTerm } = segment.header
  return { offset: base, position: SEGMENT_HEADER_BYTES, term: previousTerm }
}

/**
 * Reads the entries of a store from `start` up to the byte `limit`, checking both checksums, the
 * continuity of offsets and the order of terms, and stops at the first that is not sound.
 */
export function* scanEntries(
  file: File,
  segment: Segment,
  start: ScanStart,
  limit: number,
  visit: EntryVisitor,
): Steps<ScanResult> {
  const header = new EntryHeader()
  const window = new ScanWindow(file, start.position, limit)
  let { position, offset, term } = start
  let witnessed = segment.base
  // Where the last whole batch ended.
  let endOffset = offset
  let endPosition = position
  let lastTerm = term
  let bad: BadEntry | undefined
  while (position < limit) {
    let at = position - window.position
    if (at + ENTRY_HEADER_BYTES > window.length) {
      yield* window.fill(position, ENTRY_HEADER_BYTES)
      at = 0
    }
    let problem = headerProblem(window, at, segment, header, offset, term, limit - position)
    if (problem === undefined && at + header.size > window.length) {
      yield* window.fill(position, header.size)
      at = 0
    }
    let after = position + 1
    if (problem === undefined) {
      problem = dataProblem(window, at, header)
      after = position + header.size
    }
    if (problem !== undefined) {
      bad = { position, offset, problem, after }
      break
    }
    const goOn = visit(header, position, window.bytes, at + ENTRY_HEADER_BYTES)
    position += header.size
    offset += header.count
    term = header.term
    witnessed = Math.max(witnessed, segment.base + header.witness)
    if (!header.more) {
      endOffset = offset
      endPosition = position
      lastTerm = term
    }
    if (goOn === false) return { endOffset, endPosition, lastTerm, witnessed, bad }
  }
  if (!bad && endPosition !== position) {
    bad = { position: endPosition, offset: endOffset, problem: 'an incomplete batch', after: limit }
  }
  return { endOffset, endPosition, lastTerm, witnessed, bad }
}

function headerProblem(
  window: ScanWindow,
  at: number,
  segment: Segment,
  header: EntryHeader,
  offset: number,
  term: number,
  room: number,
): string | undefined {
  if (at + ENTRY_HEADER_BYTES > window.length) {
    return `only ${window.length - at} of ${ENTRY_HEADER_BYTES} bytes of an entry header`
  }
  if (!header.read(window.view, at, segment.id)) {
    const end = at + ENTRY_HEADER_BYTES
    return skipZeros(window.bytes, at, end) === end ? 'no entry (zeros)' : 'entry header checksum'
  }
  if (segment.base + header.lsn !== offset) return `entry says offset ${segment.base + header.lsn}`
  if (header.term < term) return `term ${header.term} follows term ${term}`
  if (header.size > room) return `${header.length} bytes of data end beyond the store`
  return undefined
}

function dataProblem(window: ScanWindow, at: number, header: EntryHeader): string | undefined {
  const from = at + ENTRY_HEADER_BYTES
  const to = from + header.length
  if (to > window.length) return `only ${window.length - from} of ${header.length} bytes of data`
  return crc32OfView(window.view, from, to) === header.dataCrc ? undefined : 'data checksum'
}

/** A sound header that was found by searching. */
export interface FoundHeader {
  readonly position: number
  readonly offset: number
  readonly term: number
  /** Everything below this offset was synced when the header was written. */
  readonly witnessed: number
  readonly size: number
}

/**
 * Searches the bytes `[from, limit)` of a store, one by one, for sound headers of entries at or above
 * `offsetMin`, and returns the first that `accept` takes.
 */
export function* searchHeader(
  file: File,
  segment: Segment,
  from: number,
  limit: number,
  offsetMin: number,
  accept: (found: FoundHeader) => boolean,
): Steps<FoundHeader | undefined> {
  const header = new EntryHeader()
  const window = new ScanWindow(file, from, limit)
  const lsnMin = offsetMin - segment.base
  let position = from
  while (limit - position >= ENTRY_HEADER_BYTES) {
    if (position - window.position + ENTRY_HEADER_BYTES > window.length) {
      yield* window.fill(position, ENTRY_HEADER_BYTES)
      if (window.length < ENTRY_HEADER_BYTES) return undefined
    }
    const { bytes, view } = window
    const last = window.length - ENTRY_HEADER_BYTES
    let at = position - window.position
    for (; at <= last; at++) {
      if (bytes[at + ENTRY_HEADER_BYTES - 2] === TYPE_INVALID) {
        // A header's type is not zero: skip a stretch of zeros as fast as it can be read.
        at = Math.max(at, skipZeros(bytes, at + ENTRY_HEADER_BYTES - 2, window.length) - 39)
        continue
      }
      if (!mayBeHeader(bytes, at, limit - window.position - at, lsnMin)) continue
      if (!header.read(view, at, segment.id)) continue
      const found = {
        position: window.position + at,
        offset: segment.base + header.lsn,
        term: header.term,
        witnessed: segment.base + header.witness,
        size: header.size,
      }
      if (accept(found)) return found
    }
    position = window.position + at
  }
  return undefined
}
