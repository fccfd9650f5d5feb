import { join } from 'node:path'
import { TidemarkError } from '../base/index.ts'
import { removeIfThere } from './file-steps.ts'
import { metaOf, writeMeta } from './meta-file.ts'
import type { Segment } from './segment.ts'
import type { Steps } from './steps.ts'
import { syncWritten } from './sync-written.ts'
import { termAt } from './term.ts'
import type { WriterState } from './writer-state.ts'

/**
 * Raises the low-water mark to `before`: durably in the meta file first, and only then are segments
 * removed that lie wholly below it. A crash in between leaves dead files, which the next opening
 * removes.
 */
export function* raiseLowWaterMark(w: WriterState, before: number): Steps {
  if (before <= w.lowWaterMark) return
  if (before > w.highWaterMark) {
    throw new TidemarkError(
      'INVALID_ARGUMENT',
      `cannot trim to ${before}, beyond the high-water mark ${w.highWaterMark}`,
    )
  }
  const lowTerm = yield* termAt(w, before - 1)
  // Invariant: the mark on the disk is never beyond what is there after a crash.
  if (w.syncedMark < before) yield* syncWritten(w)
  yield* writeMeta(w.settings.files, w.folder, { ...metaOf(w), lowWaterMark: before, lowTerm })
  const from = w.lowWaterMark
  w.lowWaterMark = before
  w.lowTerm = lowTerm
  const active = w.active
  const kept = w.segments.filter((segment) => segment === active || segment.endOffset > before)
  const gone = w.segments.filter((segment) => !kept.includes(segment))
  w.segments = kept
  w.damage = w.damage.filter(({ segmentId }) => !gone.some(({ id }) => id === segmentId))
  removeSegments(w, gone)
  w.meter.trimmed(from, before, gone)
}

/** Removes the files of segments that no longer belong to the log. What fails is left for the next opening. */
export function removeSegments(w: WriterState, segments: readonly Segment[]): void {
  w.files.closeIdle()
  for (const segment of segments) {
    try {
      removeIfThere(w.settings.files, segment.indexPath)
      removeIfThere(w.settings.files, segment.storePath)
    } catch {
      // Dead files cost space and nothing else.
    }
  }
}

/** Removes files by name, as an opening does with what a crash has left behind. */
export function removeDead(
  w: { folder: string; settings: WriterState['settings'] },
  names: readonly string[],
): void {
  for (const name of names) {
    try {
      removeIfThere(w.settings.files, join(w.folder, name))
    } catch {
      // Dead files cost space and nothing else.
    }
  }
}
