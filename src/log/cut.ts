import { TidemarkError } from '../base/index.ts'
import { markUnclean } from './meta-file.ts'
import { createSegment, writeIndex } from './roll.ts'
import type { Segment } from './segment.ts'
import { segmentAt } from './segment.ts'
import type { SegmentHeader } from './segment-format.ts'
import type { Steps } from './steps.ts'
import { syncWritten } from './sync-written.ts'
import { findEntry } from './term.ts'
import { removeSegments } from './trim.ts'
import type { WriterState } from './writer-state.ts'

type Successor = Omit<SegmentHeader, 'id' | 'createdAt'>

/**
 * Cuts the back of the log off: the next entry will have the offset `from`, which is not below the
 * high-water mark and lies between two batches.
 *
 * No store is rewritten. A new segment is created whose predecessor ends at the cut; the directory
 * sync of its name is the commit point. What lies behind the cut is dead from then on.
 */
export function* cutFrom(w: WriterState, from: number): Steps {
  if (from < w.highWaterMark || from > w.active.endOffset) {
    throw new TidemarkError(
      'INVALID_ARGUMENT',
      `cannot cut at offset ${from}: it must be from the high-water mark ${w.highWaterMark} to the end ${w.active.endOffset}`,
    )
  }
  if (from === w.active.endOffset) return
  if (from === w.lowWaterMark && w.damage.length > 0) {
    // Nothing is left, and what lies before the cut may be damaged: nobody asks for it any more.
    yield* resetTo(w, from, w.lowTerm)
    return
  }
  // Damage behind the cut goes with it; nothing says what lies between other damage and the cut.
  const damaged = w.damage.find(
    ({ offset, endOffset }) => offset < from && endOffset > w.lowWaterMark,
  )
  if (damaged) {
    throw new TidemarkError(
      'CORRUPT',
      `cannot cut the log ${w.folder} at offset ${from}, because offset ${damaged.offset} is damaged: repair it first`,
      { offset: damaged.offset },
    )
  }
  const at = segmentAt(w.segments, from)
  const hurt = w.segments[at]!
  const successor = yield* successorAt(w, hurt, from)
  yield* markUnclean(w)
  yield* syncWritten(w)
  yield* replaceTail(w, successor, from)
  hurt.index?.cut(from - hurt.base)
  const kept = w.segments.slice(0, from === hurt.base ? at : at + 1)
  const dead = w.segments.slice(kept.length, -1)
  w.segments = [...kept, w.active]
  w.damage = []
  const last = kept.at(-1)
  if (last) {
    last.endWhere(w.active.header)
    freeDeadTail(w, last)
    yield* writeIndex(w, last)
  }
  removeSegments(w, dead)
}

/** Gives back the space behind a segment's end. Nothing depends on it, so it is neither synced nor checked. */
function freeDeadTail(w: WriterState, segment: Segment): void {
  try {
    const file = w.settings.files.openSync(segment.storePath, 'write')
    try {
      file.truncateSync(segment.endPosition)
    } finally {
      file.closeSync()
    }
  } catch {
    // What lies behind the end is never read.
  }
}

/** Where the segment begins that takes over at `from`. */
function* successorAt(w: WriterState, hurt: Segment, from: number): Steps<Successor> {
  const sequence = w.active.header.sequence + 1
  const index = yield* w.files.index(hurt)
  const common = { base: from, sequence, term: w.term }
  if (from === hurt.base) {
    const { predecessor, predecessorEnd, previousTerm, priorTimestamp } = hurt.header
    return { ...common, predecessor, predecessorEnd, previousTerm, priorTimestamp }
  }
  const before = yield* findEntry(w, hurt, from - 1)
  if (before.endOffset !== from || !before.endsBatch) {
    throw new TidemarkError('INVALID_ARGUMENT', `cannot cut at offset ${from}, inside a batch`)
  }
  return {
    ...common,
    predecessor: hurt.id,
    predecessorEnd: before.endPosition,
    previousTerm: before.term,
    priorTimestamp: Math.max(hurt.header.priorTimestamp, index.maxTimestamp),
  }
}

/**
 * Empties the log and lets it go on at `offset`, as if all below had been trimmed; `term` is that of
 * the entry at `offset - 1`. For a replica that takes over a snapshot.
 */
export function* resetTo(w: WriterState, offset: number, term: number): Steps {
  // Damage below the high-water mark that nobody can give back is left behind, and with it what was shown.
  if (offset < w.highWaterMark && w.damage.length === 0) {
    throw new TidemarkError(
      'INVALID_ARGUMENT',
      `cannot reset to offset ${offset}, below the high-water mark ${w.highWaterMark}`,
    )
  }
  yield* markUnclean(w)
  const sequence = w.active.header.sequence + 1
  const dead = w.segments
  yield* replaceTail(
    w,
    {
      base: offset,
      sequence,
      predecessor: 0,
      predecessorEnd: 0,
      previousTerm: term,
      term: w.term,
      priorTimestamp: 0,
    },
    offset,
  )
  w.segments = [w.active]
  w.lowWaterMark = offset
  w.lowTerm = term
  w.damage = []
  w.highWaterMark = Math.min(w.highWaterMark, offset)
  w.raiseHighWaterMark(offset)
  w.syncedMark = offset
  removeSegments(w, dead)
}

/** Lowers the evidence of what was synced, creates the new active segment, and goes on there. */
function* replaceTail(w: WriterState, successor: Successor, from: number): Steps {
  w.cutAt = from
  try {
    yield* w.marks.lower()
    const next = yield* createSegment(w.folder, w.settings, successor)
    w.closeStore()
    w.segments = [...w.segments, next]
    w.syncedMark = Math.min(w.syncedMark, from)
  } finally {
    w.cutAt = Number.POSITIVE_INFINITY
  }
  w.marks.changed()
}
