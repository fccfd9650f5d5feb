import type { File } from '../io/index.ts'
import { ENTRY_HEADER_BYTES } from './entry-format.ts'
import type { Segment } from './segment.ts'
import { type ScanResult, scanEntries, searchHeader, segmentStart } from './segment-scan.ts'
import type { Steps } from './steps.ts'

/** A place in a store, between two entries. */
export interface StorePoint {
  readonly offset: number
  readonly position: number
  /** Term of the entry before. */
  readonly term: number
}

/** Offsets of a segment whose entries are not sound, and the bytes where they lay. */
export interface BadStretch extends StorePoint {
  readonly endOffset: number
  /** The byte behind the stretch; undefined where the segment is active and nothing sound follows. */
  readonly endPosition: number | undefined
  /** Where the last whole batch before the stretch ends. */
  readonly batchEnd: StorePoint
  /** The highest timestamp before. */
  readonly timestamp: number
  readonly problem: string
}

/** What is known from elsewhere of how far a segment goes. */
export interface Extent {
  /** Bytes of the store that may hold entries. */
  readonly size: number
  /** Where a sealed segment ends, as far as its successor says; undefined for the active one. */
  readonly end: { readonly offset: number; readonly position: number | undefined } | undefined
  /** An offset below which everything was once synced, for the active one. */
  readonly proven: number
}

export interface Stretches {
  readonly bad: readonly BadStretch[]
  /** Where the segment ends: its last stretch, or its last whole batch. */
  readonly endOffset: number
  readonly endPosition: number | undefined
  readonly lastTerm: number
  readonly maxTimestamp: number
}

/**
 * Reads a whole store and finds all that is not sound in it. In a sealed segment that is whatever is
 * missing up to its end. In the active one it is what is proven to have been synced, as an opening judges
 * it (`examineTail`): behind that the tail is torn, and nobody was promised it.
 */
export function* findStretches(file: File, segment: Segment, extent: Extent): Steps<Stretches> {
  const { size, end } = extent
  const limit = Math.min(size, end?.position ?? size)
  const stop = end?.offset ?? Number.POSITIVE_INFINITY
  const bad: BadStretch[] = []
  let proven = extent.proven
  let maxTimestamp = 0
  let point = startOf(segment)
  for (;;) {
    if (point.offset >= stop) break
    const scan: ScanResult = yield* scanEntries(file, segment, point, limit, (header, position) => {
      const offset = segment.base + header.lsn + header.count
      point = { offset, position: position + header.size, term: header.term }
      maxTimestamp = Math.max(maxTimestamp, header.timestamp)
      return offset < stop
    })
    if (point.offset >= stop) break
    proven = Math.max(proven, scan.witnessed)
    const batchEnd = batchEndOf(scan)
    const after = scan.bad?.after ?? limit
    if (!end) {
      const least = scan.endOffset + 1
      const witness = yield* searchHeader(file, segment, after, limit, least, (found) => {
        return found.witnessed > scan.endOffset
      })
      proven = Math.max(proven, witness?.witnessed ?? 0)
      if (proven <= scan.endOffset) return { bad, ...endAt(batchEnd, undefined), maxTimestamp }
    }
    const least = point.position + ENTRY_HEADER_BYTES
    const next = yield* searchHeader(file, segment, after, limit, point.offset + 1, (found) => {
      return found.offset < stop && (found.position >= least || bad.length > 0)
    })
    // Where less than an entry fits in between, what was read before was none: bytes of the segment
    // itself, inside of what is bad, which somebody has appended as data.
    const phantom = next && next.position < least ? bad.pop() : undefined
    if (phantom) point = phantom
    const endOffset = next?.offset ?? end?.offset ?? Math.max(proven, point.offset)
    const endPosition = next?.position ?? (end && (end.position ?? Math.max(size, least)))
    const problem = scan.bad?.problem ?? 'the store ends here'
    const timestamp = phantom?.timestamp ?? maxTimestamp
    const from = { ...point, batchEnd: phantom?.batchEnd ?? batchEnd, timestamp }
    bad.push({ ...from, endOffset, endPosition, problem })
    if (!next) return { bad, endOffset, endPosition, lastTerm: point.term, maxTimestamp }
    point = { offset: next.offset, position: next.position, term: point.term }
  }
  // Entries that are sound but not where they were: bytes have been taken out, or put in, before them.
  if (end?.position !== undefined && point.position !== end.position) {
    const first = bad.pop() ?? { ...startOf(segment), batchEnd: startOf(segment), timestamp: 0 }
    const problem = 'what follows is not where it was'
    bad.push({ ...first, endOffset: end.offset, endPosition: end.position, problem })
  }
  return { bad, ...endAt(point, end), maxTimestamp }
}

function startOf(segment: Segment): StorePoint {
  const { offset, position, term } = segmentStart(segment)
  return { offset, position, term }
}

function batchEndOf({ endOffset, endPosition, lastTerm }: ScanResult): StorePoint {
  return { offset: endOffset, position: endPosition, term: lastTerm }
}

function endAt({ offset, position, term }: StorePoint, end: Extent['end']) {
  return { endOffset: offset, endPosition: end?.position ?? position, lastTerm: term }
}
