import {
  InvariantError,
  SEGMENT_BYTES_MAX,
  SEGMENT_OFFSETS_MAX,
  TidemarkError,
} from '../base/index.ts'
import { SyncFailure } from './file-steps.ts'
import type { Group } from './group.ts'
import { markUnclean } from './meta-file.ts'
import type { OffsetIndex } from './offset-index.ts'
import { roll } from './roll.ts'
import type { Segment } from './segment.ts'
import type { Steps } from './steps.ts'
import { syncWritten } from './sync-written.ts'
import type { WriterState } from './writer-state.ts'

/** Writes a group and settles everyone in it. The job behind every append. */
export function* commitGroup(w: WriterState, group: Group): Steps {
  if (group.isAbandoned) return group.release()
  w.closeGroup(group)
  let done = 0
  // A write that the blocking driver has overtaken still reads the group's buffer.
  let isOvertaken = false
  try {
    if (w.poison) throw w.poison
    checkPlace(w, group)
    checkTerms(w, group)
    yield* markUnclean(w)
    while (done < group.batchCount) {
      if (mustRoll(w, group, done)) yield* roll(w)
      // A batch is never split, so one goes into a segment however large it is.
      const next = Math.max(done + 1, fitting(w.active, group, done, w.settings.segmentBytes))
      yield* writePart(w, group, done, next)
      isOvertaken ||= w.store.isWriting
      if (w.settings.sync === 'always') yield* syncWritten(w)
      acknowledge(w, group, done, next)
      done = next
    }
  } catch (error) {
    isOvertaken ||= w.isStoreOpen && w.store.isWriting
    yield* fail(w, group, done, error)
  }
  if (!isOvertaken) group.release()
}

/** A group's offsets were promised when it was filled; a failure before it has made them wrong. */
function checkPlace(w: WriterState, group: Group): void {
  const { endOffset } = w.active
  if (group.firstOffset === endOffset) return
  throw new TidemarkError(
    'IO',
    `an earlier change of the log ${w.folder} failed, so the append at offset ${group.firstOffset} was not written: the log ends at ${endOffset}`,
  )
}

/** Terms never decrease along a log: no reader would believe an entry that breaks this. */
function checkTerms(w: WriterState, group: Group): void {
  let before = w.active.lastTerm
  for (let i = 0; i < group.batchCount; i++) {
    const term = group.batchTerm(i)
    if (term < before) {
      throw new TidemarkError('INVALID_ARGUMENT', `term ${term} cannot follow term ${before}`)
    }
    before = term
  }
}

function mustRoll(w: WriterState, group: Group, batch: number): boolean {
  const { active, settings } = w
  if (active.isEmpty) return false
  // Only the active segment is examined at an opening: damage that is not repaired stays in it.
  if (w.damage.length > 0) return checkRoomBesideDamage(w, group, batch)
  const age = settings.clock.now() - active.header.createdAt
  return (
    age > settings.segmentAgeMs || fitting(active, group, batch, settings.segmentBytes) === batch
  )
}

/** False, or throws CORRUPT: the damaged segment takes what comes, up to what any segment can hold. */
function checkRoomBesideDamage(w: WriterState, group: Group, batch: number): false {
  const { active, damage } = w
  const fits = fitting(active, group, batch, SEGMENT_BYTES_MAX) > batch
  if (fits) return false
  throw new TidemarkError(
    'CORRUPT',
    `nothing more fits into ${active.storePath}, and no other segment can follow it before the damage at offset ${damage[0]!.offset} is repaired`,
    { file: active.name, position: damage[0]!.position, offset: damage[0]!.offset },
  )
}

/** The end of the batches from `from` on that fit into the segment. */
function fitting(segment: Segment, group: Group, from: number, segmentBytes: number): number {
  const room = segmentBytes - segment.endPosition
  const start = group.batchStart(from)
  const offsetMax = segment.base + SEGMENT_OFFSETS_MAX
  const last = group.batchCount - 1
  // Nearly always all of them do.
  if (group.batchEnd(last) - start <= room && group.batchEndOffset(last) <= offsetMax)
    return last + 1
  let next = from
  while (
    next < group.batchCount &&
    group.batchEnd(next) - start <= room &&
    group.batchEndOffset(next) <= offsetMax
  ) {
    next++
  }
  return next
}

function* writePart(w: WriterState, group: Group, from: number, to: number): Steps {
  const { active, store, settings } = w
  const index: OffsetIndex = yield* w.files.index(active)
  const start = group.batchStart(from)
  const end = group.batchEnd(to - 1)
  const position = active.endPosition
  const span = group.batchEndOffset(to - 1) - active.base
  if (span > SEGMENT_OFFSETS_MAX) {
    throw new InvariantError(`${active.name} would span ${span} offsets`)
  }
  const lsn = active.endOffset - active.base
  const witness = Math.max(0, w.syncedMark - active.base)
  group.seal(start, end, { salt: active.id, lsn, witness })
  const reserves = settings.preallocate && settings.sync === 'always'
  yield* store.write(group.bytes(start, end), position, reserves ? settings.segmentBytes : 0)
  // Readers go by the index: it knows of an entry only when the entry is there.
  group.note(start, end, lsn, position, index)
  active.endPosition = position + end - start
  active.endOffset = group.batchEndOffset(to - 1)
  active.lastTerm = group.batchTerm(to - 1)
}

function acknowledge(w: WriterState, group: Group, from: number, to: number): void {
  w.forgetRegained()
  if (!w.settings.replica) w.raiseHighWaterMark(w.active.endOffset)
  w.marks.changed()
  w.meter.wrote(group, from, to)
  group.resolve(from, to)
}

/**
 * A write or a sync has failed. After a failed sync the log is poisoned. After a failed write it is
 * as before: the store is cut back to the last good entry, and that is synced. Whatever waits
 * behind is rejected too, so that nothing later succeeds where something earlier has failed.
 */
function* fail(w: WriterState, group: Group, done: number, error: unknown): Steps {
  let reason: TidemarkError
  if (error instanceof TidemarkError) {
    reason = error
  } else if (error instanceof SyncFailure || error instanceof InvariantError) {
    reason = w.poisonWith(error)
  } else {
    reason = writeError(w, error)
    yield* rollBack(w, error)
    if (w.poison) reason = w.poison
  }
  group.reject(done, reason)
  const waiting = w.pending
  w.pending = undefined
  waiting?.abandon(w.poison ?? reason)
  w.nextOffset = w.active.endOffset
  if (error instanceof InvariantError) throw error
}

function writeError(w: WriterState, error: unknown): TidemarkError {
  const why = error instanceof Error ? error.message : String(error)
  return new TidemarkError(
    'IO',
    `cannot write to the log ${w.folder}: ${why}; nothing of this append was kept`,
    {},
    error,
  )
}

/** Invariant: a partial entry is never left in front of a good one. What cannot be undone poisons. */
function* rollBack(w: WriterState, error: unknown): Steps {
  const { active } = w
  if (!w.isStoreOpen) return
  try {
    // A write that the blocking driver has overtaken could still land behind the cut.
    if (w.store.isWriting) throw error
    w.store.truncate(active.endPosition)
    yield w.store.sync(() => {})
    w.syncedMark = Math.max(w.syncedMark, active.endOffset)
  } catch {
    w.poisonWith(error)
  }
}
