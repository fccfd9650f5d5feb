import { TidemarkError } from '../base/index.ts'
import { removeIfThere } from './file-steps.ts'
import { claimLog, lockFolder, refuseBelowLock } from './folder-lock.ts'
import { makeFolderDurably } from './folder-snapshots.ts'
import { lowerCursors } from './lower-cursors.ts'
import type { LogSettings } from './options.ts'
import { openForWriting } from './recovery.ts'
import { writeIndex } from './roll.ts'
import type { Segment } from './segment.ts'
import { damageError } from './segment-chain.ts'
import { finish, type Steps } from './steps.ts'
import { WriterState } from './writer-state.ts'

/** An index is not believed where damage was met. One of a segment with damage is made when it is needed. */
function* renewIndexes(w: WriterState, examined: readonly Segment[]): Steps {
  for (const segment of examined) {
    removeIfThere(w.settings.files, segment.indexPath)
    if (w.damage.some(({ segmentId }) => segmentId === segment.id)) continue
    yield* w.files.rebuild(segment)
    yield* writeIndex(w, segment)
  }
}

/**
 * Takes the lock of a log, brings it to a sound state, and puts its cursors right. Throws LOCKED,
 * CORRUPT, INVALID_ARGUMENT, UNSUPPORTED_VERSION; what else fails is an error of the system.
 */
export async function openWriter(folder: string, settings: LogSettings): Promise<WriterState> {
  const { files } = settings
  const shared = settings.lock
  if (shared && !shared.covers(folder)) {
    throw new TidemarkError(
      'INVALID_ARGUMENT',
      `the lock of ${shared.folder} does not cover ${folder}`,
    )
  }
  if (!shared) refuseBelowLock(files, folder)
  await makeFolderDurably(files, folder)
  const lock = shared ? claimLog(shared, files, folder) : lockFolder(files, folder)
  try {
    const { clock } = settings
    const begun = clock.monotonic()
    const start = await finish(openForWriting(settings, folder))
    const w = new WriterState(folder, settings, lock, start)
    if (!start.clean) await finish(lowerCursors(settings, folder, w.active.endOffset))
    await finish(renewIndexes(w, start.examined))
    w.marks.publish()
    const { lowWaterMark, highWaterMark } = start
    const ms = clock.monotonic() - begun
    w.meter.opened({ ...start.recovered, ms, lowWaterMark, highWaterMark })
    for (const range of start.damage) w.meter.failed(damageError(folder, range))
    return w
  } catch (error) {
    lock.releaseSync()
    throw error
  }
}
