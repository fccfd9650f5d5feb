import { TidemarkError } from '../base/index.ts'
import { type Cursor, corruptEntry } from './decode.ts'
import type { LogView } from './log-view.ts'
import { segmentAt } from './segment.ts'
import { SEGMENT_HEADER_BYTES } from './segment-format.ts'
import { scanEntries, segmentStart } from './segment-scan.ts'
import type { Steps } from './steps.ts'

/** A cursor at or shortly before `offset`: at the last index point that is not behind it. */
export function* locate(view: LogView, offset: number): Steps<Cursor> {
  const segment = view.segments[Math.max(0, segmentAt(view.segments, offset))]!
  const index = yield* view.files.index(segment)
  const point = index.floor(offset - segment.base)
  if (point < 0) {
    return {
      segment,
      offset: segment.base,
      position: SEGMENT_HEADER_BYTES,
      term: segment.header.previousTerm,
    }
  }
  return {
    segment,
    offset: segment.base + index.lsnAt(point),
    position: index.positionAt(point),
    term: 0,
  }
}

/** Throws TRIMMED if the low-water mark has passed `offset`. */
export function checkNotTrimmed(view: LogView, offset: number): void {
  if (offset >= view.lowWaterMark) return
  throw new TidemarkError(
    'TRIMMED',
    `offset ${offset} of the log ${view.folder} was trimmed: it begins at ${view.lowWaterMark}`,
    { offset, lowWaterMark: view.lowWaterMark },
  )
}

/**
 * The offset of the first entry, not below the low-water mark, whose timestamp is at least `timestamp`;
 * the high-water mark if there is none. Timestamps need not be in order.
 */
export function* seekTimestamp(view: LogView, timestamp: number): Steps<number> {
  const { segments, lowWaterMark, highWaterMark } = view
  for (let i = 0; i < segments.length; i++) {
    // A segment's header holds the highest timestamp before it: one look skips its predecessor.
    const next = segments[i + 1]
    if (next && next.header.priorTimestamp < timestamp) continue
    const segment = segments[i]!
    const index = yield* view.files.index(segment)
    const point = index.floorTime(timestamp)
    const start =
      point < 0
        ? segmentStart(segment)
        : { offset: segment.base + index.lsnAt(point), position: index.positionAt(point), term: 0 }
    let found: number | undefined
    const file = view.files.acquire(segment)
    try {
      const scan = yield* scanEntries(file, segment, start, segment.endPosition, (header) => {
        const offset = segment.base + header.lsn
        if (offset >= highWaterMark) return false
        if (header.timestamp < timestamp || offset + header.count <= lowWaterMark) return true
        found = offset
        return false
      })
      // Behind damage there may be an entry that is wanted: it must not be stepped over in silence.
      if (
        found === undefined &&
        scan.bad &&
        scan.bad.offset < Math.min(highWaterMark, segment.endOffset)
      ) {
        throw corruptEntry({ segment, ...scan.bad, term: 0 }, scan.bad.problem)
      }
    } finally {
      view.files.release(segment)
    }
    if (found !== undefined) return Math.max(found, lowWaterMark)
  }
  return highWaterMark
}
