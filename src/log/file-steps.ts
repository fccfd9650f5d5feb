import { dirname } from 'node:path'
import { errnoOf } from '../base/index.ts'
import type { File, Files } from '../io/index.ts'
import { TEMPORARY_SUFFIX } from './names.ts'
import type { Step, Steps } from './steps.ts'

/** Writes `bytes` at `position`. Repeating it is harmless: the same bytes go to the same place. */
export function writeStep(file: File, bytes: Uint8Array, position: number): Step {
  return {
    run: () => file.write(bytes, position),
    runSync: () => file.writeSync(bytes, position),
  }
}

/**
 * A sync that failed. What it should have made durable may be lost although it still reads well, and
 * the next sync may claim success, so whoever meets this must not write on: it poisons the log.
 */
export class SyncFailure extends Error {
  constructor(path: string, cause: unknown) {
    super(`sync of ${path} failed`, { cause })
    this.name = 'SyncFailure'
  }
}

export function syncFileStep(file: File, path: string): Step {
  return syncStep(
    path,
    () => file.datasync(),
    () => file.datasyncSync(),
  )
}

export function syncFolderStep(files: Files, folder: string): Step {
  return syncStep(
    folder,
    () => files.syncDirectory(folder),
    () => files.syncDirectorySync(folder),
  )
}

/** A step whose failure is a {@link SyncFailure}. */
export function syncStep(path: string, sync: () => Promise<void>, syncSync: () => void): Step {
  return {
    async run() {
      try {
        await sync()
      } catch (error) {
        throw new SyncFailure(path, error)
      }
    },
    runSync() {
      try {
        syncSync()
      } catch (error) {
        throw new SyncFailure(path, error)
      }
    },
  }
}

/**
 * Puts a file with these bytes at `path`, replacing what is there, in one step that a crash leaves
 * done or not done: temporary name, sync, rename, directory sync. When it returns, it is durable.
 */
export function* replaceFile(files: Files, path: string, bytes: Uint8Array): Steps {
  const temporary = path + TEMPORARY_SUFFIX
  removeIfThere(files, temporary)
  try {
    const file = files.openSync(temporary, 'create')
    try {
      yield writeStep(file, bytes, 0)
      yield syncFileStep(file, temporary)
    } finally {
      file.closeSync()
    }
    files.renameSync(temporary, path)
  } catch (error) {
    removeIfThere(files, temporary)
    throw error
  }
  yield syncFolderStep(files, dirname(path))
}

/** Removes a file; it is no error if there is none. */
export function removeIfThere(files: Files, path: string): void {
  try {
    files.removeSync(path)
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error
  }
}

/** All the bytes of a file, or undefined if there is none or it is longer than `limitBytes`. */
export function readWholeSync(
  files: Files,
  path: string,
  limitBytes: number,
): Uint8Array | undefined {
  let file: File
  try {
    file = files.openSync(path, 'read')
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  }
  try {
    const size = file.sizeSync()
    if (size > limitBytes) return undefined
    const bytes = new Uint8Array(size)
    return bytes.subarray(0, file.readSync(bytes, 0))
  } finally {
    file.closeSync()
  }
}
