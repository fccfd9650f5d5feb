import { dirname, join, relative, resolve, sep } from 'node:path'
import { TidemarkError } from '../base/index.ts'
import { type FileLock, type Files, type LockHolder, nodeFiles } from '../io/index.ts'
import { makeFolderDurably } from './folder-snapshots.ts'
import { checkFolderName, withIoErrors } from './io-error.ts'
import { LOCK_NAME } from './names.ts'
import { checkToolOptions } from './options.ts'

/**
 * The lock of a data folder that holds many logs: one lock, and one open file, for all of them. Logs in
 * the folder, at any depth, are opened with `{ lock }`; without it they are refused.
 */
export class FolderLock {
  /** The locked folder, all links followed. */
  readonly folder: string
  readonly #files: Files
  readonly #lock: FileLock
  readonly #open = new Set<string>()
  #isReleased = false

  private constructor(files: Files, folder: string, lock: FileLock) {
    this.#files = files
    this.folder = folder
    this.#lock = lock
  }

  /** Takes the lock of `folder`, which is created if it is not there. Throws LOCKED. */
  static async acquire(folder: string, options: { files?: Files } = {}): Promise<FolderLock> {
    checkToolOptions(options, ['files'])
    const files = options.files ?? nodeFiles
    checkFolderName(folder)
    return withIoErrors(`lock the folder ${folder}`, async () => {
      await makeFolderDurably(files, resolve(folder))
      const real = files.realPathSync(folder)
      // The folder may have been made by someone who was killed before its name was synced. Whoever has made the
      // file of the lock has come past this.
      if (!files.existsSync(join(real, LOCK_NAME))) await files.syncDirectory(dirname(real))
      return new FolderLock(files, real, lockFolder(files, real))
    })
  }

  /** @internal See {@link FileLock.token}. */
  get token(): string {
    return this.#lock.token
  }

  /** True if the lock is held and `folder` lies in the locked one, all links followed. */
  covers(folder: string): boolean {
    const path = relative(this.folder, this.#files.realPathSync(folder))
    return !this.#isReleased && path !== '..' && !path.startsWith(`..${sep}`)
  }

  /** @internal Notes that a log in the folder is open for writing. Throws LOCKED if it is already. */
  claim(folder: string): void {
    if (!this.#open.has(folder)) {
      this.#open.add(folder)
      return
    }
    throw refused(folder, process.pid, 'the lock of the data folder')
  }

  /** @internal Notes that a log in the folder has been closed. */
  disclaim(folder: string): void {
    this.#open.delete(folder)
  }

  /**
   * Gives the lock back. Throws INVALID_ARGUMENT while logs in the folder are open: they would go on
   * writing without it.
   */
  release(): void {
    if (this.#isReleased) return
    if (this.#open.size > 0) {
      throw new TidemarkError(
        'INVALID_ARGUMENT',
        `the lock of ${this.folder} is still needed by ${this.#open.size} open logs; close them first`,
      )
    }
    this.#isReleased = true
    this.#lock.releaseSync()
  }

  [Symbol.dispose](): void {
    this.release()
  }
}

/**
 * Locks a folder, unless one above it is locked. Whoever opens a log under a folder's lock looks at
 * the log's own lock after taking that; here it is the other way round, so that of two which come at the
 * same time at least one sees the other. Folders are told apart by their real paths: two names that lead
 * to one log must meet in one lock.
 */
export function lockFolder(files: Files, folder: string): FileLock {
  const real = files.realPathSync(folder)
  const lock = files.lockSync(join(real, LOCK_NAME))
  const above = holderAbove(files, real)
  if (!above) return lock
  lock.releaseSync()
  throw refused(folder, above.holder.pid, `the lock of ${above.folder}`)
}

/** Throws LOCKED if a folder above is locked: before anything is made for what will be refused. */
export function refuseBelowLock(files: Files, folder: string): void {
  const above = holderAbove(files, files.realPathSync(folder))
  if (above) throw refused(folder, above.holder.pid, `the lock of ${above.folder}`)
}

/**
 * The lock of a log that lies in a locked folder: no file, only a note that it is open. Throws LOCKED if it
 * is open already, or if its own lock, or that of a folder in between, is held all the same.
 */
export function claimLog(shared: FolderLock, files: Files, folder: string): FileLock {
  if (!shared.covers(folder)) {
    throw new TidemarkError(
      'INVALID_ARGUMENT',
      `the lock of ${shared.folder} does not cover ${folder}, or was released`,
    )
  }
  const real = files.realPathSync(folder)
  shared.claim(real)
  for (let at = real; at !== shared.folder && at !== dirname(at); at = dirname(at)) {
    const holder = files.lockHolderSync(join(at, LOCK_NAME))
    if (!holder) continue
    shared.disclaim(real)
    throw refused(folder, holder.pid, at === real ? 'its own lock' : `the lock of ${at}`)
  }
  return { token: shared.token, releaseSync: () => shared.disclaim(real) }
}

/** The living writer of a log, by its own lock or one above; undefined if there is none. */
export function writerOf(files: Files, folder: string): LockHolder | undefined {
  const real = files.realPathSync(folder)
  return files.lockHolderSync(join(real, LOCK_NAME)) ?? holderAbove(files, real)?.holder
}

function holderAbove(files: Files, folder: string) {
  for (let at = folder; at !== dirname(at); ) {
    at = dirname(at)
    const holder = files.lockHolderSync(join(at, LOCK_NAME))
    if (holder) return { folder: at, holder }
  }
  return undefined
}

function refused(folder: string, pid: number | undefined, what: string): TidemarkError {
  const who = pid === undefined ? 'another process' : `process ${pid}`
  return new TidemarkError(
    'LOCKED',
    `${folder} is being written by ${who}, which holds ${what}; close it there first`,
    pid === undefined ? {} : { pid },
  )
}
