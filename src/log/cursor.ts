import { TidemarkError } from '../base/index.ts'
import type { FileLock } from '../io/index.ts'
import type { Entry, EntryReader } from './commit-log.ts'
import { CursorFile, writeCursor } from './cursor-file.ts'
import type { MakeEntry } from './decode.ts'
import { type BatchSource, EntryIterator } from './entry-iterator.ts'
import { ForwardReader } from './forward-reader.ts'
import { ioError, withIoErrors } from './io-error.ts'
import type { LogView } from './log-view.ts'
import { checkCursorOptions, checkCursorStart, checkOffset } from './options.ts'
import { finish, type Steps } from './steps.ts'

/** Where a cursor is put: at the low-water mark, at the high-water mark, or at an offset between them. */
export type CursorStart = 'start' | 'end' | number

/** How a cursor is read. */
export interface CursorReadOptions {
  /** Wait for more at the high-water mark instead of ending; true by default. */
  readonly follow?: boolean | undefined
  /** Ends the reading: the iterator throws the signal's reason. */
  readonly signal?: AbortSignal | undefined
}

export interface CursorOptions extends CursorReadOptions {
  /** Where the cursor begins if there is none of this name yet; `start` by default. */
  readonly from?: CursorStart | undefined
}

/** What a cursor needs of the log that it belongs to. */
export interface CursorHost<T> {
  readonly view: LogView
  readonly make: MakeEntry<Entry<T>>
  /** Runs steps while the log is not trimmed; a failure of the system is IO. */
  exclusively<R>(what: string, work: () => Steps<R>): Promise<R>
  /** Called when the position has moved. */
  moved(from: number, to: number): void
  /** Called when the cursor is closed. */
  closed(cursor: DurableCursor<T>): void
  /** Called when a reading fails. */
  failed(error: unknown): void
}

/** The offset that a start means now. Throws TRIMMED, INVALID_ARGUMENT. */
export function startOffset(view: LogView, start: CursorStart): number {
  const { lowWaterMark, highWaterMark, folder } = view
  if (start === 'start') return lowWaterMark
  if (start === 'end') return highWaterMark
  if (start < lowWaterMark) {
    throw new TidemarkError(
      'TRIMMED',
      `a cursor cannot be put at ${start}: the log ${folder} begins at ${lowWaterMark}`,
      { offset: start, lowWaterMark },
    )
  }
  if (start <= highWaterMark) return start
  throw new TidemarkError(
    'INVALID_ARGUMENT',
    `a cursor cannot be put at ${start}, beyond the high-water mark ${highWaterMark} of ${folder}`,
  )
}

/**
 * A named position in a log that survives the end of the process: `for await` it, and `commit` each entry
 * that is done. After a crash it goes on behind the last commit that survived, so every entry is
 * delivered at least once.
 *
 * Invariant: the position never goes back, except by `reset`.
 */
export class DurableCursor<T = Buffer> implements AsyncIterable<Entry<T>> {
  readonly name: string
  /**
   * How many offsets the log had given up before this cursor came to them, when it was opened. Not 0
   * until something was committed since.
   */
  readonly missed: number
  readonly #host: CursorHost<T>
  readonly #options: CursorOptions
  readonly #lock: FileLock
  #file: CursorFile
  #position: number
  /** Where delivered entries end that span several offsets, by offset, as long as they are not done. */
  readonly #ends = new Map<number, number>()
  readonly #reading = new Set<BatchSource<Entry<T>>>()
  /** The last of those who sync, replace or close the file; each waits for the one before. */
  #turn: Promise<unknown> = Promise.resolve()
  /** Resets that wait or are under way: what is committed meanwhile comes behind them. */
  #resets = 0
  #failure: unknown
  #closing: Promise<void> | undefined

  /** @internal */
  constructor(
    host: CursorHost<T>,
    name: string,
    held: { readonly file: CursorFile; readonly lock: FileLock; readonly isNew: boolean },
    options: CursorOptions,
  ) {
    const { lowWaterMark } = host.view
    this.name = name
    this.#host = host
    this.#options = options
    this.#lock = held.lock
    this.#file = held.file
    this.#position = Math.max(held.file.position, lowWaterMark)
    this.missed = held.isNew ? 0 : this.#position - held.file.position
  }

  /** Offset of the first entry that is not done. */
  get position(): number {
    return this.#position
  }

  /** How many offsets lie between the position and the high-water mark, as this process knows it. */
  get lag(): number {
    return Math.max(0, this.#host.view.highWaterMark - this.#position)
  }

  /** True if the last commit is known to be on the disk. */
  get isSynced(): boolean {
    return this.#file.isSynced
  }

  /** When the position was last committed, in ms since 1970; when the cursor was made, before that. */
  get committedAt(): number {
    return this.#file.committedAt
  }

  /** The entries from the position on; it waits for more unless the cursor was made otherwise. */
  [Symbol.asyncIterator](): EntryReader<T> {
    return this.read()
  }

  /**
   * The same with options of its own. What was delivered and not committed is delivered again by the
   * next reading. Throws TRIMMED where the low-water mark has passed it while the cursor was open, and
   * CORRUPT at an entry that is damaged. Ends when the cursor or the log is closed, or the cursor is reset.
   */
  read(options: CursorReadOptions = {}): EntryReader<T> {
    checkCursorOptions(options)
    this.#checkOpen()
    const { view, failed } = this.#host
    const signal = options.signal ?? this.#options.signal
    const follow = options.follow ?? this.#options.follow ?? true
    const from = this.#position
    this.#ends.clear()
    const make: MakeEntry<Entry<T>> = (header, offset, data) => {
      if (header.count > 1) this.#ends.set(offset, offset + header.count)
      return this.#host.make(header, offset, data)
    }
    const reader = new ForwardReader(view, make, { from, follow, ...(signal && { signal }) })
    const source = {
      nextBatch: () => reader.nextBatch(),
      release: () => {
        this.#reading.delete(source)
        reader.release()
      },
    }
    this.#reading.add(source)
    return new EntryIterator(source, view.folder, failed)
  }

  /**
   * Says that the entry at `offset` is done, and with it all before: the position becomes the offset
   * behind it (`offset + count` for an entry that this cursor has delivered, else `offset + 1`).
   *
   * Resolves when that is in the kernel: it survives the end of the process. It is on the disk after
   * `flush` or `close`, of the cursor or the log, or a trim; a power loss before may take it back to an earlier
   * commit. Rejects with INVALID_ARGUMENT for an offset before the position (see `reset`) or not below
   * the high-water mark, with CLOSED, or with IO.
   */
  async commit(offset: number): Promise<void> {
    checkOffset(offset, 'offset')
    this.#checkOpen()
    while (this.#resets > 0) await this.#turn
    this.#checkOpen()
    const end = this.#ends.get(offset) ?? offset + 1
    this.#checkCommit(offset, end)
    if (end === this.#file.position) return
    const { view } = this.#host
    try {
      this.#file.commit(end, view.settings.clock.now())
    } catch (error) {
      throw ioError(`commit the cursor ${this.#file.path}`, error)
    }
    this.#moveTo(end)
  }

  #checkCommit(offset: number, end: number): void {
    const { highWaterMark, folder } = this.#host.view
    const problem =
      end < this.#position
        ? `behind its position ${this.#position}: reset() takes a cursor back`
        : end > highWaterMark
          ? `at or above the high-water mark ${highWaterMark}`
          : undefined
    if (problem === undefined) return
    throw new TidemarkError(
      'INVALID_ARGUMENT',
      `the cursor "${this.name}" of the log ${folder} cannot commit offset ${offset}, ${problem}`,
    )
  }

  #moveTo(position: number): void {
    const from = this.#position
    this.#position = position
    for (const offset of this.#ends.keys()) {
      if (offset >= position) break
      this.#ends.delete(offset)
    }
    this.#host.moved(from, position)
  }

  /**
   * Puts the cursor elsewhere, also back, durably: when it resolves no older position can come back.
   * Readings under way end. Rejects with TRIMMED, INVALID_ARGUMENT, CLOSED or IO.
   */
  async reset(to: CursorStart): Promise<void> {
    checkCursorStart(to, 'to')
    this.#checkOpen()
    this.#resets++
    this.#endReadings()
    const what = `reset the cursor ${this.#file.path}`
    await this.#inTurn(() => this.#host.exclusively(what, () => this.#replace(to))).finally(() => {
      this.#resets--
    })
  }

  *#replace(to: CursorStart): Steps {
    const { view } = this.#host
    const { files, clock } = view.settings
    const position = startOffset(view, to)
    try {
      yield* writeCursor(files, view.folder, this.name, position, clock.now())
      const file = CursorFile.open(files, view.folder, this.name)
      this.#file.close()
      this.#file = file
      yield* file.sync()
    } catch (error) {
      // The open file may no longer be the one that has the name: nothing more is written to it.
      this.#failure = error
      throw error
    }
    this.#ends.clear()
    this.#moveTo(position)
  }

  /** Makes the last commit durable. Rejects with IO if it cannot be synced; a later flush tries again. */
  async flush(): Promise<void> {
    this.#checkOpen()
    await this.#sync()
  }

  /** @internal Makes the last commit durable; one that is being closed is synced by that. */
  settle(): Promise<void> {
    return this.#closing ?? this.#sync()
  }

  async #sync(): Promise<void> {
    if (this.#file.isSynced) return
    const what = `sync the cursor ${this.#file.path}`
    await this.#inTurn(() => withIoErrors(what, () => finish(this.#file.sync())))
  }

  #inTurn<R>(work: () => Promise<R>): Promise<R> {
    const turn = this.#turn.then(work)
    this.#turn = turn.catch(() => {})
    return turn
  }

  /** Makes the last commit durable and lets go of the name. Readings under way end. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(): Promise<void> {
    this.#endReadings()
    try {
      await this.#turn
      if (this.#failure === undefined) await this.#sync()
    } finally {
      this.#file.close()
      this.#lock.releaseSync()
      this.#host.closed(this)
    }
  }

  #endReadings(): void {
    for (const source of [...this.#reading]) source.release()
  }

  #checkOpen(): void {
    const { folder } = this.#host.view
    if (this.#closing !== undefined) {
      throw new TidemarkError('CLOSED', `the cursor "${this.name}" of the log ${folder} is closed`)
    }
    if (this.#failure === undefined) return
    const message = `a reset of the cursor "${this.name}" of the log ${folder} has failed: close it and open it again`
    throw new TidemarkError('IO', message, {}, this.#failure)
  }
}
