import { resolve } from 'node:path'
import { TidemarkError } from '../base/index.ts'
import { type BackupOptions, type BackupReport, backupView } from './backup.ts'
import { bytes, type Codec } from './codec.ts'
import type {
  AppendedRange,
  AppendOptions,
  CommitLog,
  Entry,
  EntryReader,
  ReadOptions,
  Snapshots,
} from './commit-log.ts'
import { entryMaker, type MakeEntry } from './decode.ts'
import { EntryIterator } from './entry-iterator.ts'
import { claimLog, lockFolder } from './folder-lock.ts'
import { FolderSnapshots, makeFolderDurably } from './folder-snapshots.ts'
import { ForwardReader } from './forward-reader.ts'
import { withIoErrors } from './io-error.ts'
import { runJob } from './jobs.ts'
import type { LogView } from './log-view.ts'
import {
  checkOffset,
  checkReadOptions,
  type LogOptions,
  type LogSettings,
  logSettings,
} from './options.ts'
import { RandomAccess } from './random-access.ts'
import { openForWriting } from './recovery.ts'
import { Replica } from './replica.ts'
import { ReverseReader } from './reverse-reader.ts'
import { finish } from './steps.ts'
import { TailView } from './tail-view.ts'
import { raiseLowWaterMark } from './trim.ts'
import { Writer } from './writer.ts'
import { WriterState } from './writer-state.ts'

/**
 * A log in a folder: a write-ahead log that a program embeds. One process writes it, any number read.
 *
 * Errors are {@link TidemarkError} with a stable `code`; docs/errors.md lists them.
 */
export class Log<T = Buffer, I = Uint8Array | string> implements CommitLog<T, I> {
  readonly #view: LogView
  /** What only the writer has. */
  readonly #w: WriterState | undefined
  readonly #writer: Writer | undefined
  readonly #replica: Replica | undefined
  readonly #codec: Codec<T, I>
  readonly #make: MakeEntry<Entry<T>>
  readonly #random: RandomAccess<T>
  readonly snapshots: Snapshots
  #closing: Promise<void> | undefined

  private constructor(view: WriterState | TailView, codec: Codec<T, I>) {
    this.#view = view
    this.#codec = codec
    this.#make = entryMaker(codec)
    this.#random = new RandomAccess(view, codec)
    this.snapshots = new FolderSnapshots(view.settings.files, view.folder, () => this.#writable())
    if (view instanceof WriterState) {
      this.#w = view
      this.#writer = new Writer(view)
      if (view.settings.replica) this.#replica = new Replica(view, this.#writer)
    }
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
  static async open(
    folder: string,
    options: LogOptions<never, never> | LogOptions = {},
  ): Promise<never> {
    if (typeof folder !== 'string' || folder === '') {
      throw new TidemarkError('INVALID_ARGUMENT', `folder must be a path, not ${String(folder)}`)
    }
    const settings = logSettings(options)
    const path = resolve(folder)
    const view =
      settings.mode === 'read'
        ? await withIoErrors(`open the log ${path}`, () => TailView.open(path, settings))
        : await withIoErrors(`open the log ${path}`, () => openWriter(path, settings))
    return new Log(view, (options.codec ?? bytes) as Codec<unknown>) as never
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
    if (this.#replica) return this.#replica
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
    checkReadOptions(options)
    const source = options.reverse
      ? new ReverseReader(this.#view, this.#make, options)
      : new ForwardReader(this.#view, this.#make, options)
    return new EntryIterator(source, this.#view.folder)
  }

  /** The entry at `offset`, or undefined outside [low-water mark, high-water mark). */
  get(offset: number): Promise<Entry<T> | undefined> {
    try {
      return this.#random.get(checkOffset(offset, 'offset'))
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /**
   * Resolves when every entry that was acknowledged before the call is below the high-water mark here:
   * at once for the writer; for a reader in another process when the writer's marks have got there.
   */
  async barrier(): Promise<void> {
    await withIoErrors(`read the log ${this.#view.folder}`, () => this.#view.barrier())
  }

  /** Raises the low-water mark to `before` and frees what lies wholly below. A lower value does nothing. */
  async trim(before: number): Promise<void> {
    this.#writable()
    const w = this.#w!
    const mark = checkOffset(before, 'before')
    await runJob(w, 'trim', () => raiseLowWaterMark(w, mark))
  }

  /** Makes everything appended durable, whatever the sync policy. */
  async flush(): Promise<void> {
    await this.#writable().flush()
  }

  /**
   * Makes a backup in the new folder `to`: a log of its own, closed, with every entry that is below the
   * high-water mark now, and perhaps some more. Appends and trims may go on. Rejects like `backupLog`.
   */
  async backup(to: string, options: BackupOptions = {}): Promise<BackupReport> {
    return backupView(this.#view, to, options)
  }

  /** Resolves when no append waits any more: the moment to go on after OVERLOADED. */
  async drained(): Promise<void> {
    await this.#w?.sequencer.idle()
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
    if (this.#view instanceof TailView) {
      this.#view.close()
      return
    }
    const w = this.#w!
    w.isClosing = true
    try {
      await this.#writer!.close()
    } finally {
      w.lock.releaseSync()
    }
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
    return values.map((value) => this.#encode(value))
  }
}

async function openWriter(folder: string, settings: LogSettings): Promise<WriterState> {
  const { files } = settings
  await makeFolderDurably(files, folder)
  const shared = settings.lock
  if (shared && !shared.covers(folder)) {
    throw new TidemarkError(
      'INVALID_ARGUMENT',
      `the lock of ${shared.folder} does not cover ${folder}`,
    )
  }
  const lock = shared ? claimLog(shared, files, folder) : lockFolder(files, folder)
  try {
    const start = await finish(openForWriting(settings, folder))
    const w = new WriterState(folder, settings, lock, start)
    w.marks.publish()
    return w
  } catch (error) {
    lock.releaseSync()
    throw error
  }
}
