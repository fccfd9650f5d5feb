import { join } from 'node:path'
import { errnoOf, TidemarkError } from '../base/index.ts'
import type { FileLock } from '../io/index.ts'
import type { Entry } from './commit-log.ts'
import {
  type CursorHost,
  type CursorOptions,
  type CursorStart,
  DurableCursor,
  startOffset,
} from './cursor.ts'
import { CursorFile, cursorNames, cursorPath, readCursor, writeCursor } from './cursor-file.ts'
import type { MakeEntry } from './decode.ts'
import { removeIfThere, syncFolderStep } from './file-steps.ts'
import { writerOf } from './folder-lock.ts'
import { stepsWithIoErrors, withIoErrors } from './io-error.ts'
import { runJob } from './jobs.ts'
import type { LogView } from './log-view.ts'
import { readMeta } from './meta-file.ts'
import { CURSOR_FOLDER } from './names.ts'
import { checkCursorName, checkCursorOptions, checkCursorStart } from './options.ts'
import { finish, type Steps } from './steps.ts'
import type { WriterState } from './writer-state.ts'

/** A cursor as it looks from outside. */
export interface CursorInfo {
  readonly name: string
  /** Offset of the first entry that is not done, as far as it is still there; undefined if damaged. */
  readonly position: number | undefined
  /** Offsets between the position and the high-water mark. */
  readonly lag: number | undefined
  /** Offsets that the log gave up before this cursor came to them. */
  readonly missed: number
  /** When the position was committed, in ms since 1970. */
  readonly committedAt: number | undefined
  readonly isHeld: boolean
  /** Process id of the holder, where it is known. */
  readonly holderPid: number | undefined
  /** Why the cursor cannot be read, if so. */
  readonly problem: TidemarkError | undefined
}

/** The cursors of a log, from outside: none of these needs the log to be open for writing. */
export interface Cursors {
  /** All cursors, by name. A damaged one is listed with its `problem`. */
  list(): Promise<CursorInfo[]>
  /**
   * Puts a cursor that nobody holds elsewhere, durably, also one that is damaged. Throws NOT_FOUND,
   * LOCKED if somebody holds it, TRIMMED, INVALID_ARGUMENT, IO.
   */
  reset(name: string, to: CursorStart): Promise<void>
  /** Removes a cursor that nobody holds; without effect if there is none. Throws LOCKED, IO. */
  delete(name: string): Promise<void>
}

/** Opens the cursors of a log, and keeps those that are open. */
export class LogCursors<T> implements Cursors {
  readonly #view: LogView
  readonly #w: WriterState | undefined
  readonly #host: CursorHost<T>
  readonly #open = new Set<DurableCursor<T>>()

  /** `w` is the view itself where the log is written. `moved` is called when a position has moved, `failed` when a reading fails. */
  constructor(
    view: LogView,
    w: WriterState | undefined,
    make: MakeEntry<Entry<T>>,
    moved: (from: number, to: number) => void,
    failed: (error: unknown) => void,
  ) {
    this.#view = view
    this.#w = w
    this.#host = {
      view,
      make,
      moved,
      failed,
      exclusively: (what, work) => this.#exclusively(what, work),
      closed: (cursor) => this.#open.delete(cursor),
    }
  }

  async open(name: string, options: CursorOptions): Promise<DurableCursor<T>> {
    checkCursorName(name)
    checkCursorOptions(options)
    this.#checkOpen()
    const { folder, settings } = this.#view
    const what = `open the cursor ${cursorPath(folder, name)}`
    return withIoErrors(what, async () => {
      await this.#look(options.from)
      settings.files.makeFolderSync(join(folder, CURSOR_FOLDER))
      const lock = this.#lock(name)
      let file: CursorFile | undefined
      try {
        const found = await this.#exclusively(what, () => this.#openFile(name, options.from))
        file = found.file
        // The writer may have trimmed since; and the log may have been closed.
        await this.#view.refresh()
        this.#checkOpen()
        const cursor = new DurableCursor(this.#host, name, { ...found, lock }, options)
        this.#open.add(cursor)
        return cursor
      } catch (error) {
        file?.close()
        lock.releaseSync()
        this.#host.failed(error)
        throw error
      }
    })
  }

  /** Learns the marks; where the end matters, all of it. */
  async #look(from: CursorStart | undefined): Promise<void> {
    if (from === undefined || from === 'start') await this.#view.refresh()
    else await this.#view.barrier()
  }

  /** Makes the file if it is not there; what is there is made durable before anything is based on it. */
  *#openFile(
    name: string,
    from: CursorStart = 'start',
  ): Steps<{ file: CursorFile; isNew: boolean }> {
    const { folder, settings } = this.#view
    const { files, clock } = settings
    const record = readCursor(files, folder, name)
    if (!record) {
      yield* writeCursor(files, folder, name, startOffset(this.#view, from), clock.now())
    } else if (record.position > this.#end()) {
      yield* writeCursor(files, folder, name, this.#end(), clock.now())
    } else {
      yield syncFolderStep(files, join(folder, CURSOR_FOLDER))
      yield syncFolderStep(files, folder)
    }
    const file = CursorFile.open(files, folder, name)
    try {
      yield* file.sync()
      return { file, isNew: record === undefined }
    } catch (error) {
      file.close()
      throw error
    }
  }

  /**
   * Where the log ends, if a power loss may have taken entries since they were committed: while no
   * writer lives, none has put the cursors right (see lower-cursors.ts).
   */
  #end(): number {
    const { folder, settings, highWaterMark } = this.#view
    if (this.#w || writerOf(settings.files, folder)) return Number.POSITIVE_INFINITY
    const meta = readMeta(settings.files, folder)
    const isReplica = meta !== undefined && 'meta' in meta && meta.meta.isReplica
    return isReplica ? Number.POSITIVE_INFINITY : highWaterMark
  }

  async list(): Promise<CursorInfo[]> {
    this.#checkOpen()
    const { folder, settings } = this.#view
    return withIoErrors(`list the cursors of ${folder}`, async () => {
      await this.#view.refresh()
      return cursorNames(settings.files, folder).flatMap((name) => this.#describe(name))
    })
  }

  #describe(name: string): CursorInfo[] {
    const { folder, settings, lowWaterMark, highWaterMark } = this.#view
    const holder = settings.files.lockHolderSync(this.#lockPath(name))
    const who = { name, isHeld: holder !== undefined, holderPid: holder?.pid }
    try {
      const record = readCursor(settings.files, folder, name)
      // It was deleted since the folder was listed.
      if (!record) return []
      const position = Math.max(record.position, lowWaterMark)
      const lag = Math.max(0, highWaterMark - position)
      const { committedAt } = record
      const missed = position - record.position
      return [{ ...who, position, lag, missed, committedAt, problem: undefined }]
    } catch (problem) {
      // A folder is no cursor, whatever its name.
      if (errnoOf(problem) === 'EISDIR') return []
      if (!(problem instanceof TidemarkError)) throw problem
      const unknown = { position: undefined, lag: undefined, committedAt: undefined }
      return [{ ...who, ...unknown, missed: 0, problem }]
    }
  }

  async reset(name: string, to: CursorStart): Promise<void> {
    checkCursorName(name)
    checkCursorStart(to, 'to')
    this.#checkOpen()
    const { folder, settings } = this.#view
    const { files, clock } = settings
    const path = cursorPath(folder, name)
    const what = `reset the cursor ${path}`
    await withIoErrors(what, async () => {
      await this.#look(to)
      await this.#whileLocked(name, () =>
        this.#exclusively(what, () => {
          return writeCursor(files, folder, name, startOffset(this.#view, to), clock.now())
        }),
      )
    })
  }

  async delete(name: string): Promise<void> {
    checkCursorName(name)
    this.#checkOpen()
    const { files } = this.#view.settings
    const path = cursorPath(this.#view.folder, name)
    if (!files.existsSync(path)) return
    await withIoErrors(`delete the cursor ${path}`, () =>
      this.#whileLocked(name, async () => {
        removeIfThere(files, path)
        await files.syncDirectory(join(path, '..'))
        this.#removeLock(name)
      }),
    )
  }

  /** Whoever waits for the lock meanwhile notices that its file is another one. */
  #removeLock(name: string): void {
    try {
      removeIfThere(this.#view.settings.files, this.#lockPath(name))
    } catch (error) {
      // Some systems do not remove a file that is open. An empty lock file does no harm.
      if (errnoOf(error) === undefined) throw error
    }
  }

  async #whileLocked(name: string, work: () => Promise<void>): Promise<void> {
    const { files } = this.#view.settings
    const path = cursorPath(this.#view.folder, name)
    const missing = () => {
      const message = `there is no cursor "${name}" in the log ${this.#view.folder}`
      return new TidemarkError('NOT_FOUND', message)
    }
    if (!files.existsSync(path)) throw missing()
    const lock = this.#lock(name)
    try {
      if (!files.existsSync(path)) throw missing()
      await work()
    } finally {
      lock.releaseSync()
    }
  }

  #lockPath(name: string): string {
    return join(this.#view.folder, CURSOR_FOLDER, `${name}.lock`)
  }

  #lock(name: string): FileLock {
    const path = this.#lockPath(name)
    try {
      return this.#view.settings.files.lockSync(path)
    } catch (error) {
      if (!(error instanceof TidemarkError) || error.code !== 'LOCKED') throw error
      const { pid } = error.details
      const who = pid === undefined ? 'another process' : `process ${pid}`
      throw new TidemarkError(
        'LOCKED',
        `the cursor "${name}" of the log ${this.#view.folder} is held by ${who} (${path}): it has one holder at a time; close it there first`,
        error.details,
        error,
      )
    }
  }

  /** In the writer's process nothing is trimmed meanwhile. Elsewhere the writer may do so at any time. */
  #exclusively<R>(what: string, work: () => Steps<R>): Promise<R> {
    const steps = () => stepsWithIoErrors(what, work)
    return this.#w ? runJob(this.#w, what, steps) : finish(steps())
  }

  #checkOpen(): void {
    const { folder, isClosed } = this.#view
    if (!isClosed && !this.#w?.isClosing) return
    throw new TidemarkError('CLOSED', `the log ${folder} is closed`)
  }

  /** True if a commit of an open cursor is not known to be on the disk. */
  get isDirty(): boolean {
    for (const cursor of this.#open) if (!cursor.isSynced) return true
    return false
  }

  /** Makes the last commit of every open cursor durable. */
  async flush(): Promise<void> {
    for (const cursor of [...this.#open]) await cursor.settle()
  }

  /** Closes every open cursor; throws the first failure when all are closed. */
  async close(): Promise<void> {
    const ends = await Promise.allSettled([...this.#open].map((cursor) => cursor.close()))
    const failed = ends.find((end) => end.status === 'rejected')
    if (failed) throw failed.reason
  }
}
