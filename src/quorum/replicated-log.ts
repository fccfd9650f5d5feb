import { OFFSET_MAX, TidemarkError } from '../base/index.ts'
import {
  type AppendedRange,
  type AppendOptions,
  type BackupOptions,
  type BackupReport,
  type Codec,
  type CommitLog,
  cursorStart,
  DecodedReader,
  type Entry,
  type EntryReader,
  type InputOf,
  type ReadOptions,
  SharedCursor,
  type SharedCursorOptions,
  type Snapshots,
} from '../log/index.ts'
import { GROUP_OFFSETS_MAX } from './append-pipeline.ts'
import { type Acks, NOBODY, type ReplicaId } from './core/index.ts'
import type { HostedLog } from './hosted-log.ts'
import { type LogStatus, statusOf } from './log-status.ts'
import type { MemberContext } from './member-context.ts'
import { checkCursorOptions } from './member-options.ts'
import { backUpReplica } from './replica-backup.ts'
import { ReplicaReads } from './replica-reads.ts'
import { SharedSnapshots } from './shared-snapshots.ts'
import { SurvivingReader } from './surviving-reader.ts'
import { trimFor } from './trim-request.ts'
import type { BatchEntry } from './wire/index.ts'
import { bytesOf, offsetsOf } from './wire/index.ts'

/** A batch travels in one piece. */
const BATCH_BYTES_MAX = 64 * 1024 * 1024
/** What is said of each entry must fit into the head of a frame. */
const BATCH_ENTRIES_MAX = 2 ** 19

export interface ReplicatedAppendOptions extends AppendOptions {
  /**
   * When the append is done: on the disks of a majority (`quorum`, the default), on the leader's disk (`leader`: lost
   * if that is lost), or once the leader has taken it (`none`).
   */
  readonly acks?: Acks | undefined
}

/**
 * A log that a quorum of members keeps: what is written against a `Log` runs on it. Appends on any member go to the
 * leader; reads are of the replica on this member, up to what it knows to be committed.
 *
 * Offsets have gaps: the quorum puts entries of its own into the log, which nobody is shown.
 */
export class ReplicatedLog<T = Buffer, I = InputOf<T>> implements CommitLog<T, I> {
  readonly snapshots: Snapshots
  readonly #context: MemberContext
  readonly #hosted: HostedLog
  readonly #codec: Codec<T, I> | undefined
  readonly #shared: SharedSnapshots
  readonly #reads: ReplicaReads
  readonly #readers = new Set<{ return(): Promise<unknown> }>()
  #closing: Promise<void> | undefined

  /** @internal Programs get theirs from `Member.log`. */
  constructor(context: MemberContext, hosted: HostedLog, codec: Codec<T, I> | undefined) {
    this.#context = context
    this.#hosted = hosted
    hosted.users.add(this)
    this.#codec = codec
    this.#reads = new ReplicaReads(hosted, context.clock, context.settings.timeoutMs)
    this.#shared = new SharedSnapshots(context, hosted, () => this.#checkOpen())
    this.snapshots = this.#shared
  }

  get name(): string {
    return this.#hosted.name
  }

  /** First offset still kept on this member. */
  get lowWaterMark(): number {
    return this.#hosted.log.lowWaterMark
  }

  /** First offset that is not known, on this member, to be safe. */
  get highWaterMark(): number {
    return this.#hosted.log.highWaterMark
  }

  /** The member that leads, as far as is known here. */
  get leader(): ReplicaId | undefined {
    const { leader } = this.#hosted
    return leader === NOBODY ? undefined : leader
  }

  /** What the replica on this member is like. */
  status(): LogStatus {
    return statusOf(this.#hosted)
  }

  /**
   * Appends one entry, wherever the leader is. Resolves with its offset when it is safe; a lost answer does not make it
   * twice. Rejects with UNAVAILABLE (no leader has taken it in time, and none will), UNCERTAIN (it may be appended, or
   * not), OVERLOADED, TOO_LARGE, INVALID_ARGUMENT or CLOSED.
   */
  append(data: I, options: ReplicatedAppendOptions = {}): Promise<number> {
    try {
      this.#checkOpen()
      const { acks, own } = split(options)
      const entry = this.#entryOf(this.#encode(data), own)
      return this.#hosted.pipeline.append([entry], acks).then(({ first }) => first)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** Appends several entries, all or nothing. Rejects like {@link append}. */
  appendBatch(data: readonly I[], options: ReplicatedAppendOptions = {}): Promise<AppendedRange> {
    try {
      this.#checkOpen()
      if (!Array.isArray(data)) throw invalid(`a batch must be an array, not ${typeof data}`)
      if (data.length === 0) throw invalid('a batch must have at least one entry')
      const { acks, own } = split(options)
      const entries: BatchEntry[] = []
      for (const one of data) entries.push(this.#entryOf(this.#encode(one), own))
      checkBatch(entries)
      return this.#hosted.pipeline.append(entries, acks)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /**
   * Entries in order, from the replica on this member: what is safe and has come here. After {@link barrier}, at least
   * everything that anyone was told of before it. Throws TRIMMED as `Log.read` does. What is damaged here is waited for until
   * other members have given it back; throws CORRUPT that names the offsets if that takes longer than `timeoutMs`.
   */
  read(options: ReadOptions = {}): EntryReader<T> {
    this.#checkOpen()
    const plain = new SurvivingReader(this.#reads, options)
    const reader = new DecodedReader<T>(plain, this.#codec, () => this.#readers.delete(reader))
    this.#readers.add(reader)
    return reader
  }

  /**
   * The entry at `offset`, or undefined outside of the marks, or where the quorum has one of its own. Waits like
   * {@link read} for what is damaged.
   */
  async get(offset: number): Promise<Entry<T> | undefined> {
    this.#checkOpen()
    const entry = await this.#reads.get(offset)
    return entry && decoded(entry, this.#codec)
  }

  /**
   * Resolves when everything that anyone was told is safe before the call can be read on this member: asks the leader,
   * and a quorum whether it still leads (ReadIndex; Raft thesis, 6.4). Rejects with UNAVAILABLE or CLOSED.
   */
  async barrier(): Promise<void> {
    this.#checkOpen()
    await this.#hosted.barrier()
  }

  /**
   * Raises the low-water mark of all replicas to `before`, or to the start of the batch that it lies in. If a state is
   * kept in snapshots, not before a quorum of members has one that is as new. Throws INVALID_ARGUMENT beyond the
   * high-water mark, or beyond the newest snapshot if there are any; UNAVAILABLE, CLOSED.
   */
  async trim(before: number): Promise<void> {
    this.#checkOpen()
    if (!Number.isSafeInteger(before) || before < 0 || before > OFFSET_MAX) {
      throw invalid(`before must be an integer from 0 to ${OFFSET_MAX}, not ${String(before)}`)
    }
    if (before > this.highWaterMark) await this.barrier()
    if (before > this.highWaterMark) {
      throw invalid(`cannot trim to ${before}, beyond the high-water mark ${this.highWaterMark}`)
    }
    if (before <= this.lowWaterMark) return
    await this.#shared.holdByQuorum(before)
    await trimFor(this.#context, this.#hosted, before)
  }

  /**
   * Makes a backup in the new folder `to`: a plain log, for `Log.open`, with everything that anyone was told is safe before the
   * call, and the snapshots, at the same offsets. It is read through before this resolves. Appends go on meanwhile. Rejects
   * like `Log.backup`, with CORRUPT also where this member's replica is damaged, and like {@link barrier}.
   */
  async backup(to: string, options: BackupOptions = {}): Promise<BackupReport> {
    await this.barrier()
    return backUpReplica(this.#context.files, this.#hosted.log, to, options)
  }

  /**
   * Opens the cursor `name`, the same on every member, and makes it if there is none. Rejects with INVALID_ARGUMENT,
   * TRIMMED if it cannot begin at `from`, UNAVAILABLE, UNCERTAIN or CLOSED.
   */
  async cursor(name: string, options: SharedCursorOptions = {}): Promise<SharedCursor<T>> {
    this.#checkOpen()
    checkCursorOptions(name, options)
    const { catalog } = this.#context
    const place = { log: this.#hosted.id, cursor: name }
    await catalog().latest()
    // A start at the end is at the end for everybody.
    await this.barrier()
    const position =
      catalog().position(place) ??
      (await catalog().move(place, 'make', cursorStart(this, options.from ?? 'start')))
    if (position === undefined) {
      throw new TidemarkError('NOT_FOUND', `there is no log ${this.name} any more`)
    }
    const store = {
      move: (kind: 'commit' | 'reset', to: number) => catalog().move(place, kind, to),
      delete: async () => {
        await catalog().move(place, 'delete', 0)
      },
    }
    return new SharedCursor<T>(name, this, store, position, options)
  }

  /** Waits for what was appended, and ends readings. The replica goes on: it is the member's. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(): Promise<void> {
    for (const reader of this.#readers) await reader.return()
    await this.#hosted.pipeline.idle()
    this.#hosted.users.delete(this)
  }

  #checkOpen(): void {
    if (this.#closing !== undefined || this.#hosted.isClosed) {
      throw new TidemarkError('CLOSED', `the log ${this.name} is closed`)
    }
  }

  #encode(value: I): Uint8Array | string {
    const data = this.#codec ? this.#codec.encode(value) : (value as Uint8Array | string)
    if (typeof data === 'string' || data instanceof Uint8Array) return data
    throw invalid(
      `an entry must become bytes or a string; the codec made ${data === null ? 'null' : typeof data} of it`,
    )
  }

  #entryOf(data: Uint8Array | string, options: AppendOptions): BatchEntry {
    return this.#hosted.log.replica.entryOf(data, options, this.#hosted.definition.maxEntryBytes)
  }
}

function split(options: ReplicatedAppendOptions) {
  if (typeof options !== 'object' || options === null) {
    throw invalid(`append options must be an object, not ${String(options)}`)
  }
  const { acks = 'quorum', ...own } = options
  if (acks !== 'quorum' && acks !== 'leader' && acks !== 'none') {
    throw invalid(`acks must be "quorum", "leader" or "none", not ${JSON.stringify(acks)}`)
  }
  return { acks, own }
}

function checkBatch(entries: readonly BatchEntry[]): void {
  const bytes = bytesOf(entries)
  const offsets = offsetsOf(entries)
  const isShort = entries.length <= BATCH_ENTRIES_MAX && offsets <= GROUP_OFFSETS_MAX
  if (bytes <= BATCH_BYTES_MAX && isShort) return
  throw new TidemarkError(
    'TOO_LARGE',
    `a batch of ${entries.length} entries, ${bytes} bytes and ${offsets} offsets is over a limit (${BATCH_ENTRIES_MAX}, ${BATCH_BYTES_MAX}, ${GROUP_OFFSETS_MAX}); nothing was appended`,
  )
}

function decoded<T>(entry: Entry, codec: Codec<T, never> | undefined): Entry<T> {
  if (!codec) return entry as unknown as Entry<T>
  return { ...entry, data: codec.decode(entry.data) }
}

function invalid(text: string): TidemarkError {
  return new TidemarkError('INVALID_ARGUMENT', text)
}
