import { join } from 'node:path'
import { invariant } from '../base/index.ts'
import { removeIfThere, replaceFile, writeStep } from './file-steps.ts'
import { parseSegmentName, storeName } from './names.ts'
import { OffsetIndex } from './offset-index.ts'
import type { LogSettings } from './options.ts'
import { Segment } from './segment.ts'
import { encodeSegmentHeader, type SegmentHeader } from './segment-format.ts'
import type { Steps } from './steps.ts'
import { syncWritten } from './sync-written.ts'
import type { WriterState } from './writer-state.ts'

/** Creates the store of a new segment, durably: when this returns, the segment is part of the log. */
export function* createSegment(
  folder: string,
  settings: LogSettings,
  fields: Omit<SegmentHeader, 'id' | 'createdAt'>,
): Steps<Segment> {
  const id = freshId(settings, folder)
  const header: SegmentHeader = { ...fields, id, createdAt: settings.clock.now() }
  const path = join(folder, storeName(header.base, id))
  yield* replaceFile(settings.files, path, encodeSegmentHeader(header))
  const segment = new Segment(folder, header)
  segment.index = new OffsetIndex(settings.indexIntervalBytes)
  return segment
}

/**
 * A salt for a new segment. Zero means "no segment" in a header. Invariant: no two segments of a log, nor one
 * and another that is dead and not yet removed, have the same, by which a successor names its predecessor.
 */
function freshId(settings: LogSettings, folder: string): number {
  const names = settings.files.listSync(folder)
  const taken = new Set(names.map((name) => parseSegmentName(name)?.id))
  for (;;) {
    const id = settings.random.uint32()
    if (id !== 0 && !taken.has(id)) return id
  }
}

/**
 * Seals the active segment and begins a new one. Invariant: a segment is synced to its end before its
 * successor exists, so the successor is a witness that it was whole.
 */
export function* roll(w: WriterState): Steps {
  const sealed = w.active
  invariant(!sealed.isEmpty, `${sealed.name} is empty and need not be sealed`)
  w.store.truncate(sealed.endPosition)
  yield* syncWritten(w)
  const index = yield* w.files.index(sealed)
  const next = yield* createSegment(w.folder, w.settings, {
    base: sealed.endOffset,
    sequence: sealed.header.sequence + 1,
    predecessor: sealed.id,
    predecessorEnd: sealed.endPosition,
    previousTerm: sealed.lastTerm,
    term: w.term,
    priorTimestamp: Math.max(sealed.header.priorTimestamp, index.maxTimestamp),
  })
  w.closeStore()
  w.segments = [...w.segments, next]
  w.marks.changed()
  yield* writeIndex(w, sealed)
  sealed.endWhere(next.header)
  w.files.admit(sealed)
  w.meter.rolled(sealed, next)
  w.onSealed()
}

/** Writes the index file of a segment. It is a shortcut: a failure leaves none, and no harm. */
export function* writeIndex(w: WriterState, segment: Segment): Steps {
  if (!segment.index) return
  const { files } = w.settings
  try {
    const bytes = segment.index.encode(segment.id, segment.endPosition)
    removeIfThere(files, segment.indexPath)
    const file = files.openSync(segment.indexPath, 'create')
    try {
      yield writeStep(file, bytes, 0)
    } finally {
      file.closeSync()
    }
  } catch {
    // It will be rebuilt from the store when it is needed.
  }
}
