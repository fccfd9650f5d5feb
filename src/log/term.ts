import { TidemarkError } from '../base/index.ts'
import { type Segment, segmentAt } from './segment.ts'
import { scanEntries } from './segment-scan.ts'
import type { Steps } from './steps.ts'
import type { WriterState } from './writer-state.ts'

/** An entry as a search by offset finds it. */
export interface EntryPlace {
  readonly offset: number
  readonly endOffset: number
  readonly position: number
  readonly endPosition: number
  readonly term: number
  /** True if it is the last of its batch. */
  readonly endsBatch: boolean
}

/** The term of the entry at `offset`, which is at least the low-water mark minus one. */
export function* termAt(w: WriterState, offset: number): Steps<number> {
  if (offset === w.lowWaterMark - 1) return w.lowTerm
  const segment = w.segments[segmentAt(w.segments, offset)]
  if (!segment || offset < w.lowWaterMark || offset >= w.active.endOffset) {
    throw new TidemarkError(
      'INVALID_ARGUMENT',
      `offset ${offset} has no term: the log reaches from ${w.lowWaterMark} to ${w.active.endOffset}`,
    )
  }
  if (offset === segment.endOffset - 1) return segment.lastTerm
  return (yield* findEntry(w, segment, offset)).term
}

/** Finds the entry of a segment that holds `offset`. Throws CORRUPT where damage is in the way. */
export function* findEntry(w: WriterState, segment: Segment, offset: number): Steps<EntryPlace> {
  const index = yield* w.files.index(segment)
  const point = Math.max(0, index.floor(offset - segment.base))
  const start = {
    offset: segment.base + index.lsnAt(point),
    position: index.positionAt(point),
    term: 0,
  }
  let found: EntryPlace | undefined
  const limit = point + 1 < index.count ? index.positionAt(point + 1) : segment.endPosition
  const file = w.files.acquire(segment)
  try {
    yield* scanEntries(file, segment, start, limit, (header, position) => {
      const first = segment.base + header.lsn
      if (offset < first || offset >= first + header.count) return true
      found = {
        offset: first,
        endOffset: first + header.count,
        position,
        endPosition: position + header.size,
        term: header.term,
        endsBatch: !header.more,
      }
      return false
    })
  } finally {
    w.files.release(segment)
  }
  if (found) return found
  throw new TidemarkError(
    'CORRUPT',
    `${segment.storePath} is damaged before the entry at offset ${offset}`,
    { file: segment.name, offset },
  )
}
