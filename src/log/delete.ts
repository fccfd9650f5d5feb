import { dirname, join, resolve } from 'node:path'
import { errnoOf, TidemarkError } from '../base/index.ts'
import { type Files, nodeFiles } from '../io/index.ts'
import { readWholeSync, removeIfThere } from './file-steps.ts'
import { claimLog, type FolderLock, lockFolder } from './folder-lock.ts'
import { checkLogPath, withIoErrors } from './io-error.ts'
import { readMarks } from './marks-publisher.ts'
import { readMeta } from './meta-file.ts'
import {
  BROKEN_SUFFIX,
  CURSOR_FOLDER,
  DELETION_NAME,
  LOCK_NAME,
  MARKS_NAME,
  META_NAME,
  MIRROR_FOLDER,
  parseSegmentName,
  REPAIR_NAME,
  SNAPSHOT_FOLDER,
  TEMPORARY_SUFFIX,
} from './names.ts'

export interface DeleteOptions {
  /** The lock of a data folder that the log lies in. */
  readonly lock?: FolderLock | undefined
  readonly files?: Files | undefined
  /**
   * @internal The folder is a log's, whatever it looks like by now: files go by their names, also where none of them
   * shows that there was a log.
   */
  readonly unrecognized?: boolean | undefined
}

export interface DeleteReport {
  readonly folder: string
  /** How many files were removed. */
  readonly removed: number
  /** What is not the log's, and was left in the folder; names below it. */
  readonly left: readonly string[]
}

const OWN_NAMES = [META_NAME, MARKS_NAME, REPAIR_NAME]
const SNAPSHOT_NAME = /^\d{20}\.snapshot(\.\d+)?$/
/** A cursor, its lock, and what someone who wanted the lock has left. */
const CURSOR_FILE_NAME = /^[a-z0-9][a-z0-9._-]*\.(cursor(\.\d+)?(\.broken)?|lock(\.by#.*)?)$/
const BROKEN_NAME = new RegExp(`(\\.\\d+)?\\${BROKEN_SUFFIX}$`)

/** See on-demand.ts, through which programs call it. */
export async function deleteLog(
  folder: string,
  options: DeleteOptions = {},
): Promise<DeleteReport> {
  const files = options.files ?? nodeFiles
  // A link to the folder stays, and then leads nowhere.
  const path = files.realPathSync(resolve(folder))
  checkLogPath(files, path)
  return withIoErrors(`delete the log ${path}`, async () => {
    if (!options.unrecognized && !isLog(files, path)) {
      throw new TidemarkError('NOT_FOUND', `there is no log in ${path}`)
    }
    const lock = options.lock ? claimLog(options.lock, files, path) : lockFolder(files, path)
    let removed: number
    try {
      removed = await removeAll(files, path)
      // Removed while it is held: whoever gets a lock from now on gets that of another file.
      removeIfThere(files, join(path, LOCK_NAME))
    } finally {
      lock.releaseSync()
    }
    const left = files.listSync(path).sort()
    // Somebody may make a new log here at this moment; then it is not empty.
    if (left.length === 0) removeIfEmpty(files, path)
    await files.syncDirectory(dirname(path))
    return { folder: path, removed, left }
  })
}

/** Names that others use too are believed only if the file is what a log has under that name. */
function isLog(files: Files, path: string): boolean {
  if (!files.existsSync(path)) return false
  const names = files.listSync(path)
  if (names.some((name) => parseSegmentName(name.replace(BROKEN_NAME, '')))) return true
  if (names.includes(META_NAME) && isMeta(files, path)) return true
  if (names.includes(MARKS_NAME) && readMarks(files, path)) return true
  const isBegun = names.includes(DELETION_NAME)
  return isBegun && readWholeSync(files, join(path, DELETION_NAME), 1)?.length === 0
}

function isMeta(files: Files, path: string): boolean {
  const found = readMeta(files, path)
  return found !== undefined && ('meta' in found || found.version !== undefined)
}

/** True for the names that a log, or a repair of it, gives to files in its folder. */
function isOwn(name: string): boolean {
  const plain = name.endsWith(TEMPORARY_SUFFIX) ? name.slice(0, -TEMPORARY_SUFFIX.length) : name
  const original = plain.replace(BROKEN_NAME, '')
  return OWN_NAMES.includes(original) || parseSegmentName(original) !== undefined
}

function isOwnBeside(folder: string, name: string): boolean {
  const plain = name.endsWith(TEMPORARY_SUFFIX) ? name.slice(0, -TEMPORARY_SUFFIX.length) : name
  return (folder === CURSOR_FOLDER ? CURSOR_FILE_NAME : SNAPSHOT_NAME).test(plain)
}

/**
 * Says durably that the log is being deleted, removes its files, and takes the word back. Invariant: while
 * any of its files may be there after a crash, so is that word.
 */
async function removeAll(files: Files, path: string): Promise<number> {
  const deletion = join(path, DELETION_NAME)
  if (!files.existsSync(deletion)) files.openSync(deletion, 'create').closeSync()
  await files.syncDirectory(path)
  let removed = 0
  for (const folder of [SNAPSHOT_FOLDER, CURSOR_FOLDER, MIRROR_FOLDER]) {
    const beside = join(path, folder)
    if (!files.existsSync(beside)) continue
    removed += removeThose(files, beside, (name) => isOwnBeside(folder, name))
    await files.syncDirectory(beside)
    removeIfEmpty(files, beside)
  }
  removed += removeThose(files, path, isOwn)
  await files.syncDirectory(path)
  files.removeSync(deletion)
  await files.syncDirectory(path)
  return removed
}

function removeThose(files: Files, folder: string, isWanted: (name: string) => boolean): number {
  let removed = 0
  for (const name of files.listSync(folder).filter(isWanted)) {
    if (removeFile(files, join(folder, name))) removed++
  }
  return removed
}

/** False for a folder, which is not the log's, whatever its name. */
function removeFile(files: Files, path: string): boolean {
  try {
    removeIfThere(files, path)
    return true
  } catch (error) {
    // Some systems say the one, some the other.
    if (errnoOf(error) === 'EISDIR' || errnoOf(error) === 'EPERM') return false
    throw error
  }
}

function removeIfEmpty(files: Files, folder: string): void {
  try {
    files.removeFolderSync(folder)
  } catch (error) {
    if (errnoOf(error) !== 'ENOTEMPTY' && errnoOf(error) !== 'EEXIST') throw error
  }
}
