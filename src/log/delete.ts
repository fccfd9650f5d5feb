import { dirname, join, resolve } from 'node:path'
import { errnoOf, TidemarkError } from '../base/index.ts'
import { type Files, nodeFiles } from '../io/index.ts'
import { removeIfThere } from './file-steps.ts'
import { claimLog, type FolderLock, lockFolder } from './folder-lock.ts'
import { withIoErrors } from './io-error.ts'
import {
  BROKEN_SUFFIX,
  CURSOR_FOLDER,
  DELETION_NAME,
  LOCK_NAME,
  MARKS_NAME,
  META_NAME,
  parseSegmentName,
  REPAIR_NAME,
  SNAPSHOT_FOLDER,
  TEMPORARY_SUFFIX,
} from './names.ts'

export interface DeleteOptions {
  /** The lock of a data folder that the log lies in. */
  readonly lock?: FolderLock | undefined
  readonly files?: Files | undefined
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
const BROKEN_NAME = new RegExp(`(\\.\\d+)?\\${BROKEN_SUFFIX}$`)

/** See on-demand.ts, through which programs call it. */
export async function deleteLog(
  folder: string,
  options: DeleteOptions = {},
): Promise<DeleteReport> {
  const files = options.files ?? nodeFiles
  const path = resolve(folder)
  return withIoErrors(`delete the log ${path}`, async () => {
    if (!isLog(files, path)) {
      throw new TidemarkError('NOT_FOUND', `there is no log in ${path}`)
    }
    const lock = options.lock ? claimLog(options.lock, files, path) : lockFolder(files, path)
    let removed: number
    try {
      removed = await removeAll(files, path)
    } finally {
      lock.releaseSync()
    }
    return { folder: path, removed, left: await removeFolder(files, path) }
  })
}

function isLog(files: Files, path: string): boolean {
  if (!files.existsSync(path)) return false
  return files.listSync(path).some((name) => name === DELETION_NAME || isOwn(name))
}

/** True for the names that a log, or a repair of it, gives to files in its folder. */
function isOwn(name: string): boolean {
  const plain = name.endsWith(TEMPORARY_SUFFIX) ? name.slice(0, -TEMPORARY_SUFFIX.length) : name
  const original = plain.replace(BROKEN_NAME, '')
  return OWN_NAMES.includes(original) || parseSegmentName(original) !== undefined
}

function isOwnBeside(folder: string, name: string): boolean {
  const plain = name.endsWith(TEMPORARY_SUFFIX) ? name.slice(0, -TEMPORARY_SUFFIX.length) : name
  return folder === CURSOR_FOLDER || SNAPSHOT_NAME.test(plain)
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
  for (const folder of [SNAPSHOT_FOLDER, CURSOR_FOLDER]) {
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
  const names = files.listSync(folder).filter(isWanted)
  for (const name of names) removeIfThere(files, join(folder, name))
  return names.length
}

function removeIfEmpty(files: Files, folder: string): void {
  try {
    files.removeFolderSync(folder)
  } catch (error) {
    if (errnoOf(error) !== 'ENOTEMPTY' && errnoOf(error) !== 'EEXIST') throw error
  }
}

/** Removes the folder if only the lock is left, and says what else there is. */
async function removeFolder(files: Files, path: string): Promise<string[]> {
  const left = files.listSync(path).filter((name) => name !== LOCK_NAME)
  if (left.length > 0 || files.lockHolderSync(join(path, LOCK_NAME))) return left.sort()
  removeIfThere(files, join(path, LOCK_NAME))
  // Somebody may make a new log here at this moment; then it is not empty.
  removeIfEmpty(files, path)
  await files.syncDirectory(dirname(path))
  return left
}
