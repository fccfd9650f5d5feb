import { TidemarkError } from '../base/index.ts'
import {
  type AppendedRange,
  type AppendOptions,
  type Codec,
  type CommitLog,
  checkAppendOptions,
  checkOffset,
  checkReadOptions,
  DecodedReader,
  type Entry,
  EntryIterator,
  type EntryReader,
  type InputOf,
  type ReadOptions,
  type SharedCursor,
  type SharedCursorOptions,
  type Snapshots,
  TYPE_DATA,
} from '../log/index.ts'
import { type NewRecord, recordBytesMax } from '../protocol/index.ts'
import { AppendQueue } from './append-queue.ts'
import { Brokers } from './brokers.ts'
import { loadClient } from './client.ts'
import { createTopic } from './create-topic.ts'
import { recordOf } from './entry-record.ts'
import { ForwardSource } from './forward-source.ts'
import { checkCursorOptions, openCursor } from './kafka-cursor.ts'
import { type KafkaLogOptions, type KafkaTopicDesign, kafkaSettings } from './kafka-options.ts'
import { Partition } from './partition.ts'
import { noSnapshots, snapshotsIn } from './partition-snapshots.ts'
import { PartitionView } from './partition-view.ts'
import { pause } from './patience.ts'
import { ReverseSource } from './reverse-source.ts'
import {
  type BatchLimits,
  batchLimits,
  ENTRY_OVERHEAD_BYTES,
  readConfigs,
  type TopicConfigs,
} from './topic-configs.ts'
import type { PartitionFacts } from './topic-facts.ts'
import { TopicTarget } from './topic-target.ts'

/** What a log on Kafka is like. */
export interface KafkaStatus {
  readonly cluster: string
  readonly topic: string
  /** Unlike that of any other topic, also of one that had the name before. */
  readonly topicId: string
  readonly partition: number
  /** Id and address of the broker that leads; undefined while there is none. */
  readonly leader: { readonly id: number; readonly host: string; readonly port: number } | undefined
  /** The generation of the leader. */
  readonly term: number
  /** Ids of the brokers that keep the partition, and of those that have everything. */
  readonly replicas: readonly number[]
  readonly inSync: readonly number[]
  /** How many must have an entry before it is acknowledged; undefined where this program may not know. */
  readonly minInsyncReplicas: number | undefined
  readonly cleanupPolicy: string | undefined
  /** What is older is deleted, by the entries' own times; -1 if nothing is, undefined where that may not be known. */
  readonly retentionMs: number | undefined
  readonly lowWaterMark: number
  readonly highWaterMark: number
}

const PAUSE_MS = 10

/**
 * A log that is one partition of a topic on Apache Kafka, or on anything that speaks its protocol: what is written against
 * a `Log` runs on it.
 *
 * Offsets have gaps, where transactions end and where Kafka has compacted. What is promised is what the topic's settings
 * promise: docs/kafka.md.
 */
export class KafkaLog<T = Buffer, I = InputOf<T>> implements CommitLog<T, I> {
  readonly snapshots: Snapshots
  readonly #partition: Partition
  /** As they were on opening: of these the ids count. */
  readonly #facts: PartitionFacts
  readonly #view: PartitionView
  readonly #configs: TopicConfigs
  readonly #limits: BatchLimits
  readonly #queue: AppendQueue
  readonly #codec: Codec<T, I> | undefined
  readonly #readers = new Set<{ return(): Promise<unknown> }>()
  #closing: Promise<void> | undefined

  private constructor(
    view: PartitionView,
    facts: PartitionFacts,
    configs: TopicConfigs,
    codec: Codec<T, I> | undefined,
  ) {
    const { partition } = view
    const { settings } = partition
    this.#partition = partition
    this.#facts = facts
    this.#view = view
    this.#configs = configs
    this.#limits = batchLimits(partition.client, settings, configs)
    this.#queue = new AppendQueue(partition, this.#limits, view.marks)
    this.#codec = codec
    const checkOpen = () => this.#checkOpen()
    this.snapshots = settings.dir
      ? snapshotsIn(settings.dir, settings, facts, {
          checkOpen,
          highWaterMark: () => this.highWaterMark,
        })
      : noSnapshots(checkOpen)
  }

  /**
   * Opens a partition. Throws INVALID_ARGUMENT, NOT_FOUND (the topic, its partition, or the client's package),
   * UNAVAILABLE (no broker answers, or nobody leads, for `timeoutMs`), DENIED, UNSUPPORTED_VERSION.
   */
  static open(
    options: KafkaLogOptions & { readonly codec?: never },
  ): Promise<KafkaLog<Buffer, Uint8Array | string>>
  static open<T, I = T>(
    options: KafkaLogOptions<T, I> & { readonly codec: Codec<T, I> },
  ): Promise<KafkaLog<T, I>>
  static open(options: KafkaLogOptions): Promise<KafkaLog<Buffer, Uint8Array | string>>
  static async open(options: KafkaLogOptions<never, never> | KafkaLogOptions): Promise<never> {
    const settings = kafkaSettings(options as KafkaLogOptions<never, never>)
    const brokers = new Brokers(await loadClient(), settings)
    try {
      const partition = new Partition(brokers, settings)
      // To look needs no right to make one.
      if (settings.create && !(await partition.isThere())) {
        checkPartition(settings.partition, settings.create)
        if (await createTopic(partition, settings.create)) partition.expect()
      }
      const facts = await partition.look()
      const view = new PartitionView(partition)
      const configs = await readConfigs(partition)
      view.marks.raiseLow(await partition.earliest())
      view.marks.raiseHigh(await partition.latest(settings.isCommittedOnly))
      const codec = options.codec as Codec<Buffer, never> | undefined
      return new KafkaLog(view, facts, configs, codec) as never
    } catch (error) {
      await brokers.close()
      throw error
    }
  }

  /** `topic/partition`. */
  get name(): string {
    return this.#partition.name
  }

  /** First offset still kept, as far as is known here. */
  get lowWaterMark(): number {
    return this.#view.marks.low
  }

  /**
   * First offset that is not known here to be safe: the high watermark, or the last stable offset where transactions are
   * waited for. It rises with own appends, with what is read, and by {@link barrier}.
   */
  get highWaterMark(): number {
    return this.#view.marks.high
  }

  /** The largest entry that the topic takes, in bytes of data: what its `max.message.bytes` leaves. */
  get maxEntryBytes(): number {
    return this.#limits.batchBytes - ENTRY_OVERHEAD_BYTES
  }

  /** Asks the cluster how the partition is. Rejects with UNAVAILABLE, NOT_FOUND, DENIED, CLOSED. */
  async status(): Promise<KafkaStatus> {
    this.#checkOpen()
    const facts = await this.#partition.look()
    const configs = await readConfigs(this.#partition)
    const { leader } = facts
    const { topic, index } = this.#partition
    return {
      cluster: facts.clusterId,
      topic,
      topicId: facts.topicId,
      partition: index,
      leader: leader && { id: leader.id, ...leader.address },
      term: leader?.epoch ?? 0,
      replicas: facts.replicas,
      inSync: facts.inSync,
      minInsyncReplicas: configs.minInsyncReplicas,
      cleanupPolicy: configs.cleanupPolicy,
      retentionMs: configs.retentionMs,
      lowWaterMark: this.lowWaterMark,
      highWaterMark: this.highWaterMark,
    }
  }

  /**
   * Appends one entry. Resolves with its offset when all replicas in sync have it (acks=all); a lost answer, a new leader or
   * a restart does not make it twice. Rejects with UNAVAILABLE (not taken in time, and never will be), UNCERTAIN (it may
   * be appended, or not), OVERLOADED, TOO_LARGE, INVALID_ARGUMENT, NOT_FOUND (the topic was deleted, or made again), DENIED
   * or CLOSED.
   */
  append(data: I, options: AppendOptions = {}): Promise<number> {
    try {
      this.#checkOpen()
      const records = [this.#recordOf(data, options)]
      this.#checkSize(records)
      return this.#queue.append(records).then(({ first }) => first)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** Appends several entries as one batch of records: all or nothing. Rejects like {@link append}. */
  appendBatch(data: readonly I[], options: AppendOptions = {}): Promise<AppendedRange> {
    try {
      this.#checkOpen()
      if (!Array.isArray(data)) throw invalid(`a batch must be an array, not ${typeof data}`)
      if (data.length === 0) throw invalid('a batch must have at least one entry')
      const records: NewRecord[] = []
      for (const one of data) records.push(this.#recordOf(one, options))
      this.#checkSize(records)
      return this.#queue.append(records)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /**
   * Entries in order, up to the high-water mark, or on from there. Throws TRIMMED as `Log.read` does, CORRUPT (a batch is
   * damaged, or the replicas have lost entries), NOT_FOUND, UNAVAILABLE. Who follows waits for as long as no broker answers.
   */
  read(options: ReadOptions = {}): EntryReader<T> {
    this.#checkOpen()
    checkReadOptions(options)
    const source = options.reverse
      ? new ReverseSource(this.#view, options)
      : new ForwardSource(this.#view, options)
    const plain = new EntryIterator<Entry>(source, this.name)
    const reader = new DecodedReader<T>(plain, this.#codec, () => this.#readers.delete(reader))
    this.#readers.add(reader)
    return reader
  }

  /** The entry at `offset`, or undefined outside of the marks, or where Kafka has something of its own, or nothing. */
  async get(offset: number): Promise<Entry<T> | undefined> {
    this.#checkOpen()
    checkOffset(offset, 'offset')
    const { low, high } = this.#view.marks
    if (offset < low || offset >= high) return undefined
    const source = new ForwardSource(this.#view, { from: offset, to: offset + 1 })
    try {
      const entry = (await source.nextBatch())?.[0]
      if (!entry || !this.#codec) return entry as Entry<T> | undefined
      return { ...entry, data: this.#codec.decode(entry.data) }
    } catch (error) {
      if (error instanceof TidemarkError && error.code === 'TRIMMED') return undefined
      throw error
    } finally {
      source.release()
    }
  }

  /**
   * Resolves when everything that anyone was told is safe before the call is visible here: asks the leader where the
   * partition ends. Rejects with UNAVAILABLE (also while a transaction stays open), CORRUPT if the partition ends before what
   * was acknowledged here, CLOSED.
   */
  async barrier(): Promise<void> {
    this.#checkOpen()
    const { marks } = this.#view
    const { settings, brokers } = this.#partition
    const deadline = this.#partition.deadline()
    const known = marks.high
    if (!settings.isCommittedOnly) {
      const end = await this.#partition.latest(false)
      await this.#checkEnd(end, known)
      marks.raiseHigh(end)
      return
    }
    // They are answered in this order.
    const [end, shown] = await Promise.all(
      [false, true].map((each) => this.#partition.latest(each)),
    )
    await this.#checkEnd(end!, known)
    for (let stable = shown!; ; stable = await this.#partition.latest(true)) {
      marks.learnStable(stable, end!)
      if (stable >= end!) return
      if (brokers.clock.monotonic() > deadline) throw this.#heldBack(stable, end!)
      await pause(brokers.clock, PAUSE_MS)
      this.#checkOpen()
    }
  }

  /**
   * Raises the low-water mark to `before`, for everybody: Kafka deletes the records below it. Throws INVALID_ARGUMENT beyond
   * the high-water mark, or if the topic is only compacted; UNAVAILABLE, DENIED, CLOSED.
   */
  async trim(before: number): Promise<void> {
    this.#checkOpen()
    checkOffset(before, 'before')
    const { marks } = this.#view
    if (before > marks.high) await this.barrier()
    if (before > marks.high) {
      throw invalid(`cannot trim to ${before}, beyond the high-water mark ${marks.high}`)
    }
    if (before <= marks.low) return
    await this.#partition.deleteBefore(before)
    marks.raiseLow(before)
  }

  /**
   * Opens the cursor `name`: the consumer group of that name, as far as this partition is concerned. Rejects with
   * INVALID_ARGUMENT, TRIMMED if it cannot begin at `from`, UNAVAILABLE, DENIED or CLOSED.
   */
  async cursor(name: string, options: SharedCursorOptions = {}): Promise<SharedCursor<T>> {
    this.#checkOpen()
    checkCursorOptions(name, options)
    return openCursor<T>(this, this.#partition, name, options)
  }

  /** @internal Unlike that of any other partition, also of one that had the name before. */
  get identity(): string {
    return `${this.name} (topic ${this.#facts.topicId} of cluster ${this.#facts.clusterId})`
  }

  /** @internal The partition as what a mirror copies to; closing that closes the log. */
  asTarget(): TopicTarget {
    return new TopicTarget(this, this.#view, this.#limits, this.#configs)
  }

  /** Waits for what was appended, ends readings, and lets go of the brokers. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(): Promise<void> {
    for (const reader of this.#readers) await reader.return()
    await this.#queue.idle()
    await this.#partition.brokers.close()
    this.#view.tail.close()
  }

  #checkOpen(): void {
    if (this.#closing === undefined) return
    throw new TidemarkError('CLOSED', `the log ${this.name} is closed`)
  }

  async #checkEnd(end: number, known: number): Promise<void> {
    // Where it ends is asked for by name.
    if (end < known) await this.#partition.look()
    this.#view.marks.checkEnd(end, known)
  }

  #heldBack(stable: number, end: number): TidemarkError {
    const problem = `a transaction of somebody else is open at ${stable} of ${this.name}, so that nothing up to ${end} is shown`
    return new TidemarkError('UNAVAILABLE', problem)
  }

  #recordOf(value: I, options: AppendOptions): NewRecord {
    checkAppendOptions(options)
    const {
      type = TYPE_DATA,
      timestamp = this.#partition.settings.clock.now(),
      count = 1,
    } = options
    if (count !== 1)
      throw invalid(`count must be 1: on Kafka an entry has one offset, not ${count}`)
    const encoded: unknown = this.#codec ? this.#codec.encode(value) : value
    if (typeof encoded !== 'string' && !(encoded instanceof Uint8Array)) {
      throw invalid(
        `an entry must be bytes or a string, not ${encoded === null ? 'null' : typeof encoded}`,
      )
    }
    // A string and bytes are both copied.
    return recordOf({ type, timestamp, data: Buffer.from(encoded as Uint8Array) })
  }

  #checkSize(records: readonly NewRecord[]): void {
    const { batchBytes } = this.#limits
    const data = records.reduce((sum, { value }) => sum + value!.length, 0)
    const bytes = records.reduce((sum, record) => sum + recordBytesMax(record), 0)
    const isLarge =
      records.length === 1 ? data > this.maxEntryBytes : bytes > batchBytes - ENTRY_OVERHEAD_BYTES
    if (!isLarge) return
    const what =
      records.length === 1
        ? `an entry of ${data} bytes`
        : `a batch of ${records.length} entries, ${bytes} bytes`
    throw new TidemarkError(
      'TOO_LARGE',
      `${what} is over what the topic takes (max.message.bytes ${batchBytes}); nothing was appended`,
    )
  }
}

/** A topic is not made for a partition that it does not have. */
function checkPartition(partition: number, { partitions = 1 }: KafkaTopicDesign): void {
  if (partition < partitions) return
  throw invalid(
    `there is no partition ${partition}, and of ${partitions} that may be made it is none`,
  )
}

function invalid(message: string): TidemarkError {
  return new TidemarkError('INVALID_ARGUMENT', message)
}
