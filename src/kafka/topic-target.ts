import { OFFSET_MAX, TidemarkError } from '../base/index.ts'
import type { Entry } from '../log/index.ts'
import { type BatchRecord, type NewRecord, recordBytesMax } from '../protocol/index.ts'
import { entryOf, recordOf } from './entry-record.ts'
import { decodeMark, encodeMark, MARK_HEADER, type MirrorMark } from './mirror-mark.ts'
import {
  checkSame,
  type MirrorPlace,
  type MirrorSource,
  type MirrorTarget,
  notEmpty,
  otherSource,
} from './mirror-target.ts'
import type { PartitionView } from './partition-view.ts'
import { kafkaError } from './refusals.ts'
import type { BatchLimits, TopicConfigs } from './topic-configs.ts'
import { Transactions, takenOver } from './transaction.ts'
import { visibleRecords } from './visible-entries.ts'

/** A transaction is committed when it has so much, or is so old. */
const TRANSACTION_BYTES = 16 * 1024 * 1024
const TRANSACTION_MS = 1_000
/** So many batches may be on their way. The brokers know as many of a producer. */
const UNDER_WAY_MAX = 4
/** What the header with the mark takes of a batch, beside the mark. */
const MARK_OVERHEAD_BYTES = 64
const FETCH_BYTES = 1024 * 1024
const WINDOW_MIN = 64

/** What a target needs of the log that it writes to, beside its parts. */
interface TargetLog {
  readonly name: string
  readonly identity: string
  readonly maxEntryBytes: number
  barrier(): Promise<void>
  close(): Promise<void>
}

interface Found {
  readonly mark: MirrorMark
  readonly record: BatchRecord
}

/**
 * A mirror into a topic. Entries go in transactions, and the last record of each batch says in a header how far the source
 * is copied with it. So the newest record that is committed tells where to go on.
 *
 * Invariant: who begins has taken over the transactional id first. What a killed mirror had still on its way is refused, so
 * that what was found at the end of the topic stays its end.
 */
export class TopicTarget implements MirrorTarget {
  readonly #log: TargetLog
  readonly #view: PartitionView
  readonly #limits: BatchLimits
  readonly #configs: TopicConfigs
  readonly #transactions: Transactions
  readonly #underWay = new Set<Promise<void>>()
  #from = ''
  /** What a mark takes, at most. */
  #markBytes = 0
  #failure: unknown
  #bytes = 0
  #since = 0

  constructor(log: TargetLog, view: PartitionView, limits: BatchLimits, configs: TopicConfigs) {
    this.#log = log
    this.#view = view
    this.#limits = limits
    this.#configs = configs
    const { topic, index } = view.partition
    this.#transactions = new Transactions(
      view.partition,
      limits,
      `tidemark-mirror-${topic}-${index}`,
    )
  }

  get identity(): string {
    return this.#log.identity
  }

  get isDirty(): boolean {
    return this.#bytes > 0
  }

  async begin(source: MirrorSource, from: number | undefined): Promise<MirrorPlace> {
    this.#from = source.name
    this.#markBytes = encodeMark({ from: source.name, offset: OFFSET_MAX, next: OFFSET_MAX }).length
    this.#checkTimes()
    await Promise.allSettled(this.#underWay)
    this.#failure = undefined
    this.#bytes = 0
    await this.#transactions.init()
    await this.#log.barrier()
    const { found, isEmpty } = await this.#newest()
    if (!found) {
      // What was trimmed may have been a copy.
      const isNew = isEmpty && this.#view.marks.low === 0
      if (!isNew && from === undefined) throw notEmpty(this.#log.name, source.name)
      const next = from ?? source.log.lowWaterMark
      await this.#checkKept(source, next)
      return { next, isResumed: false }
    }
    const { mark, record } = found
    if (mark.from !== source.name) throw otherSource(this.#log.name, mark.from, source.name)
    if (mark.offset >= source.log.lowWaterMark) {
      checkSame(this.#log.name, entryOf(record, 0), await source.log.get(mark.offset))
    }
    return { next: mark.next, isResumed: true }
  }

  async write(entries: readonly Entry[]): Promise<void> {
    let batch: NewRecord[] = []
    let bytes = 0
    let last: Entry | undefined
    const room = this.#limits.groupBytes - this.#markBytes - MARK_OVERHEAD_BYTES
    for (const entry of entries) {
      this.#checkFits(entry)
      const record = recordOf(entry)
      const size = recordBytesMax(record)
      if (last && bytes + size > room) {
        await this.#send(batch, bytes, last)
        batch = []
        bytes = 0
      }
      batch.push(record)
      bytes += size
      last = entry
    }
    if (last) await this.#send(batch, bytes, last)
    const age = this.#view.partition.brokers.clock.monotonic() - this.#since
    if (this.#bytes >= TRANSACTION_BYTES || age >= TRANSACTION_MS) await this.settle()
  }

  async settle(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.race(this.#underWay)
    this.#check()
    await this.#transactions.commit()
    this.#bytes = 0
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.#underWay)
    await this.#log.close()
  }

  /** The last of these says how far the source is copied with them. */
  async #send(batch: NewRecord[], bytes: number, last: Entry): Promise<void> {
    while (this.#underWay.size >= UNDER_WAY_MAX) await Promise.race(this.#underWay)
    this.#check()
    if (this.#bytes === 0) this.#since = this.#view.partition.brokers.clock.monotonic()
    this.#bytes += bytes
    const { offset, count } = last
    const value = encodeMark({ from: this.#from, offset, next: offset + count })
    const record = batch.pop()!
    batch.push({ ...record, headers: [...record.headers, { key: MARK_HEADER, value }] })
    const sent = this.#transactions
      .add(batch)
      .catch((error: unknown) => {
        this.#failure ??= error
      })
      .finally(() => this.#underWay.delete(sent))
    this.#underWay.add(sent)
    // The first of a transaction opens it: the others must not.
    if (this.#bytes === bytes) await sent
  }

  /** Throws INVALID_ARGUMENT if the entries would get other times. */
  #checkTimes(): void {
    if (!this.#configs.isLogAppendTime) return
    const problem = `${this.#log.name} puts the broker's time in place of an entry's (message.timestamp.type is LogAppendTime), so it cannot be a copy of anything`
    throw new TidemarkError('INVALID_ARGUMENT', problem)
  }

  /** Throws INVALID_ARGUMENT if Kafka would delete right away, for its age, what comes first. */
  async #checkKept({ log }: MirrorSource, next: number): Promise<void> {
    const { retentionMs = -1 } = this.#configs
    if (retentionMs < 0) return
    const reader = log.read({ from: next })
    const { value: first } = await reader.next()
    await reader.return()
    const now = this.#view.partition.settings.clock.now()
    if (!first || first.timestamp >= now - retentionMs) return
    const time = new Date(first.timestamp).toISOString()
    throw new TidemarkError(
      'INVALID_ARGUMENT',
      `the entry at ${first.offset} is of ${time}, and ${this.#log.name} deletes what is older than ${retentionMs} ms: set the topic's retention.ms to -1, or begin at a later offset`,
    )
  }

  #check(): void {
    if (this.#failure === undefined) return
    const { name } = this.#log
    throw kafkaError(`copy to ${name}`, takenOver(name, this.#failure))
  }

  #checkFits({ offset, count, data }: Entry): void {
    if (count !== 1) {
      const problem = `the entry at ${offset} spans ${count} offsets, which a record of Kafka cannot`
      throw new TidemarkError('INVALID_ARGUMENT', problem)
    }
    const max = this.#log.maxEntryBytes - this.#markBytes - MARK_OVERHEAD_BYTES
    if (data.length <= max) return
    const problem = `the entry at ${offset} has ${data.length} bytes; ${this.#log.name} takes ${max}`
    throw new TidemarkError('TOO_LARGE', problem)
  }

  /**
   * Goes back from the end, a window at a time, to the newest record with a mark. What a mirror left that was killed in its
   * first transaction is nothing: it was aborted.
   */
  async #newest(): Promise<{ readonly found: Found | undefined; readonly isEmpty: boolean }> {
    const { low, high } = this.#view.marks
    let window = WINDOW_MIN
    let isEmpty = true
    for (let to = high; to > low; window *= 4) {
      const from = Math.max(low, to - window)
      const { found, count } = await this.#newestIn(from, to)
      if (count > 0) isEmpty = false
      if (found) return { found, isEmpty }
      to = from
    }
    return { found: undefined, isEmpty }
  }

  async #newestIn(
    from: number,
    to: number,
  ): Promise<{ readonly found: Found | undefined; readonly count: number }> {
    const { partition } = this.#view
    let found: Found | undefined
    let count = 0
    for (let at = from; at < to; ) {
      const fetched = await this.#view.fetch(at, FETCH_BYTES, partition.deadline())
      const next = visibleRecords(partition.client, fetched, { from: at, to }, (record) => {
        count++
        const header = record.headers.find(({ key }) => key === MARK_HEADER)
        const mark = header?.value && decodeMark(header.value)
        if (mark) found = { mark, record }
      })
      // What is below the last stable offset is there.
      if (next === at) break
      at = next
    }
    return { found, count }
  }
}
