import type { Retention } from './options.ts'
import type { Segment } from './segment.ts'
import type { Steps } from './steps.ts'
import type { WriterState } from './writer-state.ts'

/**
 * Where the low-water mark has to be at `now` so that the log keeps to its retention: behind each segment,
 * from the oldest on, whose newest entry is older than `maxAgeMs`, or without which the stores still
 * hold more than `maxBytes`. Never in the active segment, and never above the high-water mark.
 */
export function* retentionMark(w: WriterState, retention: Retention, now: number): Steps<number> {
  const { maxAgeMs = Number.POSITIVE_INFINITY, maxBytes = Number.POSITIVE_INFINITY } = retention
  const { segments } = w
  let bytes = segments.reduce((sum, segment) => sum + segment.endPosition, 0)
  let mark = w.lowWaterMark
  for (let i = 0; i + 1 < segments.length; i++) {
    const segment = segments[i]!
    const isDue =
      bytes > maxBytes || (yield* newestTimestamp(w, segment, segments[i + 1]!)) < now - maxAgeMs
    if (!isDue) break
    mark = Math.max(mark, segment.endOffset)
    bytes -= segment.endPosition
  }
  return Math.min(mark, w.highWaterMark)
}

/** The highest timestamp in a sealed segment. */
function* newestTimestamp(w: WriterState, segment: Segment, next: Segment): Steps<number> {
  const { priorTimestamp } = next.header
  // Where the segment has raised the highest timestamp of the log, its successor says to what.
  if (priorTimestamp > segment.header.priorTimestamp) return priorTimestamp
  const index = yield* w.files.index(segment)
  w.files.admit(segment)
  return index.maxTimestamp
}
