import { join, resolve } from 'node:path'
import { OFFSET_MAX, TidemarkError } from '../base/index.ts'
import { type Files, nodeFiles } from '../io/index.ts'
import type { BackupOptions, BackupReport } from './backup.ts'
import { bytes, type Codec, type InputOf } from './codec.ts'
import type {
  AppendedRange,
  AppendOptions,
  CommitLog,
  Entry,
  EntryReader,
  ReadOptions,
  Snapshots,
} from './commit-log.ts'
import type { CursorOptions, DurableCursor } from './cursor.ts'
import { type Cursors, LogCursors } from './cursors.ts'
import { entryMaker, type MakeEntry } from './decode.ts'
import { EntryIterator } from './entry-iterator.ts'
import { tellDamage } from './events.ts'
import { FolderSnapshots } from './folder-snapshots.ts'
import { ForwardReader } from './forward-reader.ts'
import { checkFolderName, checkLogPath, withIoErrors } from './io-error.ts'
import type { LogView } from './log-view.ts'
import { type LogMetrics, Meter } from './meter.ts'
import { META_NAME } from './names.ts'
import {
  checkOffset,
  checkReadOptions,
  checkSharedOptions,
  checkToolOptions,
  type LogOptions,
  type LogSettings,
  logSettings,
} from './options.ts'
import { RandomAccess } from './random-access.ts'
import type { Replica } from './replica.ts'
import { ReverseReader } from './reverse-reader.ts'
import type { TailView } from './tail-view.ts'
import type { TrimPolicy } from './trim-policy.ts'
import type { Writer } from './writer.ts'
import type { WriterState } from './writer-state.ts'
import type { WritingSide } from './writing-side.ts'

/** One of two: a log that is written here, or one that is only read. */
type Opened =
  | { readonly writing: WritingSide; readonly tail?: undefined }
  | { readonly writing?: undefined; readonly tail: TailView }

/** Each mode loads the code that only it needs. */
async function openAs(path: string, settings: LogSettings): Promise<Opened> {
  if (settings.mode === 'read') {
    const { TailView } = await import('./tail-view.ts')
    return { tail: await TailView.open(path, settings) }
  }
  const { WritingSide } = await import('./writing-side.ts')
  return { writing: await WritingSide.open(path, settings) }
}

/**
 * A log in a folder: a write-ahead log that a program embeds. One process writes it, any number read.
 *
 * Errors are {@link TidemarkError} with a stable `code`; docs/errors.md lists them.
 */
export class Log<T = Buffer, I = InputOf<T>> implements CommitLog<T, I> {
  readonly #view: LogView
  /** What only the writer has. */
  readonly #w: WriterState | undefined
  readonly #writer: Writer | undefined
  /** What only a reader has. */
  readonly #tail: TailView | undefined
  readonly #writing: WritingSide | undefined
  readonly #policy: TrimPolicy | undefined
  readonly #codec: Codec<T, I>
  readonly #make: MakeEntry<Entry<T>>
  readonly #meter: Meter
  readonly #failed: (error: unknown) => void
  readonly #random: RandomAccess<T>
  readonly #cursors: LogCursors<T>
  readonly snapshots: Snapshots
  #closing: Promise<void> | undefined

  private constructor(opened: Opened, codec: Codec<T, I>) {
    const { writing, tail } = opened
    const view = opened.writing ? opened.writing.state : opened.tail
    this.#view = view
    this.#w = writing?.state
    this.#writing = writing
    this.#writer = writing?.writer
    this.#policy = writing?.policy
    this.#tail = tail
    this.#codec = codec
    this.#make = entryMaker(codec)
    this.#meter = this.#w?.meter ?? new Meter(view.folder)
    this.#failed = (error) => this.#meter.failed(error)
    this.#random = new RandomAccess(view, codec, this.#failed)
    this.#cursors = new LogCursors(
      view,
      this.#w,
      this.#make,
      (from, to) => this.#policy?.cursorMoved(from, to),
      this.#failed,
    )
    this.snapshots = new FolderSnapshots(view.settings, view.folder, {
      checkReadable: () => this.#checkReadable(),
      checkWritable: () => this.#writable(),
      // The host of a replica keeps a snapshot of what it has not got, and resets the log to it then.
      offsetMax: () => (view.settings.replica ? OFFSET_MAX : view.highWaterMark),
      makeDurable: (offset) => this.#makeDurable(offset),
    })
  }

  /**
   * Opens the log in `folder`; in mode `append`, creates it if there is none, and recovers it from
   * whatever ended its last writer.
   *
   * Throws LOCKED if it has another writer, CORRUPT if it is damaged (and then changes nothing),
   * NOT_FOUND if there is none to read, INVALID_ARGUMENT, UNSUPPORTED_VERSION, IO.
   */
  static open(
    folder: string,
    options?: LogOptions & { readonly codec?: never },
  ): Promise<Log<Buffer, Uint8Array | string>>
  static open<T, I = T>(
    folder: string,
    options: LogOptions<T, I> & { readonly codec: Codec<T, I> },
  ): Promise<Log<T, I>>
  static open(folder: string, options: LogOptions): Promise<Log<Buffer, Uint8Array | string>>
  static async open(
    folder: string,
    options: LogOptions<never, never> | LogOptions = {},
  ): Promise<never> {
    checkFolderName(folder)
    const settings = logSettings(options)
    const path = resolve(folder)
    checkLogPath(settings.files, path)
    const opened = await withIoErrors(`open the log ${path}`, () => openAs(path, settings)).catch(
      (error: unknown) => {
        tellDamage(path, error)
        throw error
      },
    )
    const log = new Log(opened, (options.codec ?? bytes) as Codec<unknown>)
    await log.#applyPolicy()
    return log as never
  }

  /**
   * @internal For what opens several logs in `folder`, with these options and some of its own: throws
   * INVALID_ARGUMENT before anything is made for a call that would be refused half-way.
   */
  static checkOpening(folder: string, options: object, ownOptions: readonly string[]): void {
    checkFolderName(folder)
    const { files } = checkSharedOptions(options, ownOptions)
    checkLogPath(files, resolve(folder))
  }

  /** @internal True if there is a log in `folder` that was once made to its end. */
  static isIn(folder: string, files: Files = nodeFiles): boolean {
    return files.existsSync(join(folder, META_NAME))
  }

  /** What cannot be trimmed now does not keep a log from being opened, unless it has poisoned it. */
  async #applyPolicy(): Promise<void> {
    await this.#policy?.apply()
    if (!this.#w?.poison) return
    await this.close()
    throw this.#w.poison
  }

  /** First offset still kept. */
  get lowWaterMark(): number {
    return this.#view.lowWaterMark
  }

  /** First offset not yet safe under the log's policy. */
  get highWaterMark(): number {
    return this.#view.highWaterMark
  }

  /** Absolute path of the log's folder. */
  get folder(): string {
    return this.#view.folder
  }

  /** Bytes of appended entries that wait for the disk. */
  get waitingBytes(): number {
    return this.#writer?.waitingBytes ?? 0
  }

  /** The replica's side of the log, if it was opened with `replica: true`. */
  get replica(): Replica {
    if (this.#writing?.replica) return this.#writing.replica
    throw new TidemarkError('INVALID_ARGUMENT', 'the log was not opened with { replica: true }')
  }

  /**
   * Appends one entry. The data is copied before this returns. Resolves with its offset when it is
   * safe under the sync policy; rejects with IO if it could not be written (and then it was not),
   * POISONED if a sync failed, TOO_LARGE, OVERLOADED, INVALID_ARGUMENT, READ_ONLY or CLOSED.
   */
  append(data: I, options?: AppendOptions): Promise<number> {
    try {
      return this.#writable().append(this.#encode(data), options)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** Appends several entries, all or nothing, even across a crash. Rejects like {@link append}. */
  appendBatch(data: readonly I[], options?: AppendOptions): Promise<AppendedRange> {
    try {
      const writer = this.#writable()
      return writer.appendBatch(this.#encodeAll(data), options)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** @internal Entries of another log, bytes as they are, with their types, times and counts: all or none of them. */
  appendEntries(entries: readonly Entry[]): Promise<AppendedRange> {
    try {
      return this.#writable().appendEntries(entries)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /**
   * Appends one entry and blocks until it is safe under the sync policy, together with all appends
   * that were waiting. Throws what {@link append} rejects with.
   */
  appendSync(data: I, options?: AppendOptions): number {
    return this.#writable().appendSync(this.#encode(data), options)
  }

  /**
   * Entries in order. Iterate over it; it throws TRIMMED where the low-water mark has passed it, and
   * CORRUPT at an entry that is damaged.
   */
  read(options: ReadOptions = {}): EntryReader<T> {
    this.#checkReadable()
    checkReadOptions(options)
    const source = options.reverse
      ? new ReverseReader(this.#view, this.#make, options)
      : new ForwardReader(this.#view, this.#make, options)
    return new EntryIterator(source, this.#view.folder, this.#failed)
  }

  /** The entry at `offset`, or undefined outside [low-water mark, high-water mark). */
  get(offset: number): Promise<Entry<T> | undefined> {
    try {
      this.#checkReadable()
      return this.#random.get(checkOffset(offset, 'offset'))
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /**
   * Resolves when every entry that was acknowledged before the call is below the high-water mark here:
   * at once for the writer; for a reader in another process when the writer's marks have got there. Throws IO if the
   * writer says nothing of what it has written for 5 s.
   */
  async barrier(): Promise<void> {
    this.#checkReadable()
    await withIoErrors(`read the log ${this.#view.folder}`, () => this.#view.barrier())
  }

  /**
   * Opens the cursor `name`, in this process or in one that reads, and makes it if there is none.
   *
   * Rejects with LOCKED if somebody holds it, CORRUPT if its file is damaged, TRIMMED or INVALID_ARGUMENT
   * if it cannot begin at `from`, CLOSED, UNSUPPORTED_VERSION or IO.
   */
  cursor(name: string, options: CursorOptions = {}): Promise<DurableCursor<T>> {
    return this.#cursors.open(name, options)
  }

  /** The cursors that there are: to list, reset and delete them, also where the log is only read. */
  get cursors(): Cursors {
    return this.#cursors
  }

  /**
   * Raises the low-water mark to `before` and frees what lies wholly below. A lower value does nothing.
   * `slowest-cursor` is the lowest position of all cursors; without a cursor nothing is trimmed.
   */
  async trim(before: number | 'slowest-cursor'): Promise<void> {
    this.#writable()
    const mark = before === 'slowest-cursor' ? before : checkOffset(before, 'before')
    if (this.#cursors.isDirty) await this.#cursors.flush()
    this.#writable()
    await this.#writing!.trim(mark)
  }

  /** Makes everything appended durable, whatever the sync policy, and what cursors have committed. */
  async flush(): Promise<void> {
    await this.#writable().flush()
    await this.#cursors.flush()
  }

  /**
   * Makes a backup in the new folder `to`: a log of its own, closed, with every entry that is below the
   * high-water mark now, and perhaps some more. Appends and trims may go on. Rejects like `backupLog`.
   */
  async backup(to: string, options: BackupOptions = {}): Promise<BackupReport> {
    this.#checkReadable()
    checkFolderName(to)
    checkToolOptions(options, ['onProgress', 'signal'])
    const { backupView } = await import('./backup.ts')
    return backupView(this.#view, to, options)
  }

  /**
   * What the log has done since it was opened, as numbers that an operator wants to see. In mode `read`
   * those of the writer's work are 0. Events are told on the channels of {@link LogEvents}.
   */
  metrics(): LogMetrics {
    return this.#meter.metrics(this.#view.segments)
  }

  /** Resolves when no append of before this call waits any more: the moment to go on after OVERLOADED. */
  async drained(): Promise<void> {
    await this.#w?.sequencer.passed()
  }

  /** Finishes what was appended, syncs it, and gives the lock back. Further calls do nothing. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(): Promise<void> {
    if (this.#w) this.#w.isClosing = true
    // Whatever becomes of the cursors, the log itself is closed.
    const cursors = this.#cursors.close().then(
      () => undefined,
      (error: unknown) => ({ error }),
    )
    if (this.#writing) await this.#writing.close()
    else this.#tail?.close()
    const failure = await cursors
    if (failure) throw failure.error
  }

  async #makeDurable(offset: number): Promise<void> {
    const w = this.#w!
    if (w.syncedMark < Math.min(offset, w.active.endOffset)) await this.#writable().flush()
  }

  #checkReadable(): void {
    if (this.#closing === undefined) return
    throw new TidemarkError('CLOSED', `the log ${this.#view.folder} is closed`)
  }

  #writable(): Writer {
    if (!this.#writer || !this.#w) {
      throw new TidemarkError('READ_ONLY', `the log ${this.#view.folder} was opened for reading`)
    }
    this.#w.checkWritable()
    return this.#writer
  }

  #encode(value: I): Uint8Array | string {
    const data = this.#codec.encode(value)
    if (typeof data === 'string' || data instanceof Uint8Array) return data
    throw new TidemarkError(
      'INVALID_ARGUMENT',
      `an entry must become bytes or a string; the codec made ${data === null ? 'null' : typeof data} of it`,
    )
  }

  #encodeAll(values: readonly I[]): (Uint8Array | string)[] {
    if (!Array.isArray(values)) {
      throw new TidemarkError('INVALID_ARGUMENT', `a batch must be an array, not ${typeof values}`)
    }
    // Not values.map, which leaves holes where the array has some.
    const data: (Uint8Array | string)[] = []
    for (const value of values) data.push(this.#encode(value))
    return data
  }
}
