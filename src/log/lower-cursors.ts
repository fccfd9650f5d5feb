import { join } from 'node:path'
import { errnoOf } from '../base/index.ts'
import type { FileLock } from '../io/index.ts'
import { cursorNames, readCursor, writeCursor } from './cursor-file.ts'
import { CURSOR_FOLDER } from './names.ts'
import type { LogSettings } from './options.ts'
import type { Steps } from './steps.ts'

/**
 * Takes cursors back that stand beyond the end of the log, durably, before anything is appended: under
 * a policy other than `always` a power loss can take entries whose commit has survived. Their offsets
 * are given to others, which the cursor would otherwise never see.
 */
export function* lowerCursors(settings: LogSettings, folder: string, end: number): Steps {
  const { files, clock } = settings
  for (const name of cursorNames(files, folder)) {
    if (positionOf(settings, folder, name) <= end) continue
    const lock = lockIfFree(settings, join(folder, CURSOR_FOLDER, `${name}.lock`))
    // Whoever holds it was not ended by what has ended the writer, so it has seen nothing that is gone.
    if (!lock) continue
    try {
      yield* writeCursor(files, folder, name, end, clock.now())
    } finally {
      lock.releaseSync()
    }
  }
}

/** A damaged cursor has no position; whoever opens it is told. */
function positionOf(settings: LogSettings, folder: string, name: string): number {
  try {
    return readCursor(settings.files, folder, name)?.position ?? 0
  } catch (error) {
    const code = errnoOf(error)
    if (code === 'CORRUPT' || code === 'UNSUPPORTED_VERSION') return 0
    throw error
  }
}

function lockIfFree(settings: LogSettings, path: string): FileLock | undefined {
  try {
    return settings.files.lockSync(path)
  } catch (error) {
    if (errnoOf(error) === 'LOCKED') return undefined
    throw error
  }
}
