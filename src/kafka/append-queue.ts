import { TidemarkError } from '../base/index.ts'
import type { AppendedRange } from '../log/index.ts'
import { encodeRecordBatch, type NewRecord, recordBytesMax } from '../protocol/index.ts'
import type { Partition } from './partition.ts'
import { persist } from './patience.ts'
import { ProducerIdentity } from './producer-identity.ts'
import { isDoubtful, Refusal } from './refusals.ts'
import type { BatchLimits } from './topic-configs.ts'

interface Call {
  readonly records: readonly NewRecord[]
  readonly bytes: number
  resolve(range: AppendedRange): void
  reject(error: unknown): void
}

/** The broker does not know the numbers of a producer, or knows later ones. */
const LOST_IDENTITY = new Set([
  'OUT_OF_ORDER_SEQUENCE_NUMBER',
  'UNKNOWN_PRODUCER_ID',
  'INVALID_PRODUCER_EPOCH',
  'DUPLICATE_SEQUENCE_NUMBER',
])

/** Of these one call of a group may be the cause. */
const ONE_IS_GUILTY = new Set(['TOO_LARGE', 'INVALID_ARGUMENT'])

/**
 * Appends to a partition, in the order of the calls. While one batch of records is on its way the next gathers, so that
 * many who append at the same time share a round trip (group commit).
 *
 * Invariant: there is one batch under way at most, and what a call appends is in one batch: all of it is taken, or nothing.
 */
export class AppendQueue {
  readonly #partition: Partition
  readonly #limits: BatchLimits
  readonly #identity: ProducerIdentity
  readonly #onAppended: (end: number) => void
  readonly #queue: Call[] = []
  #bytes = 0
  #running: Promise<void> | undefined

  constructor(partition: Partition, limits: BatchLimits, onAppended: (end: number) => void) {
    this.#partition = partition
    this.#limits = limits
    this.#identity = new ProducerIdentity(partition.brokers)
    this.#onAppended = onAppended
  }

  /** Rejects with OVERLOADED, TOO_LARGE, INVALID_ARGUMENT, UNAVAILABLE (nothing was appended), UNCERTAIN, DENIED. */
  append(records: readonly NewRecord[]): Promise<AppendedRange> {
    let bytes = 0
    for (const record of records) bytes += recordBytesMax(record)
    const { maxPendingBytes } = this.#partition.settings
    if (this.#bytes > 0 && this.#bytes + bytes > maxPendingBytes) {
      const problem = `${this.#bytes} bytes wait for ${this.#partition.name}; with ${bytes} more they would be over maxPendingBytes (${maxPendingBytes})`
      return Promise.reject(new TidemarkError('OVERLOADED', problem))
    }
    return new Promise((resolve, reject) => {
      this.#queue.push({ records, bytes, resolve, reject })
      this.#bytes += bytes
      this.#running ??= this.#run()
    })
  }

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    while (this.#running !== undefined) await this.#running
  }

  async #run(): Promise<void> {
    await this.#partition.brokers.clock.settled()
    while (this.#queue.length > 0) {
      const group = this.#takeGroup()
      await this.#appendGroup(group)
      for (const { bytes } of group) this.#bytes -= bytes
    }
    this.#running = undefined
  }

  #takeGroup(): Call[] {
    let bytes = 0
    let count = 0
    for (const call of this.#queue) {
      if (count > 0 && bytes + call.bytes > this.#limits.groupBytes) break
      bytes += call.bytes
      count++
    }
    return this.#queue.splice(0, count)
  }

  async #appendGroup(group: readonly Call[]): Promise<void> {
    try {
      let first = await this.#send(group.flatMap(({ records }) => records))
      for (const { records, resolve } of group) {
        resolve({ first, last: first + records.length - 1 })
        first += records.length
      }
    } catch (error) {
      const isOneGuilty = error instanceof TidemarkError && ONE_IS_GUILTY.has(error.code)
      if (isOneGuilty && group.length > 1) {
        for (const call of group) await this.#appendGroup([call])
      } else for (const { reject } of group) reject(error)
    }
  }

  /** Returns the offset of the first record. */
  async #send(records: readonly NewRecord[]): Promise<number> {
    const { clock } = this.#partition.brokers
    const deadline = this.#partition.deadline()
    const what = `append to ${this.#partition.name}`
    const state = { isDoubtful: false }
    try {
      const first = await persist(
        clock,
        what,
        deadline,
        () => this.#sendOnce(records, state),
        (error) => {
          state.isDoubtful ||= isDoubtful(error)
        },
      )
      this.#identity.taken(records.length)
      this.#onAppended(first + records.length)
      return first
    } catch (error) {
      if (!state.isDoubtful) throw error
      this.#identity.renew()
      throw uncertain(what, error)
    }
  }

  async #sendOnce(records: readonly NewRecord[], state: { isDoubtful: boolean }): Promise<number> {
    const producer = await this.#identity.next()
    const batch = encodeRecordBatch(records, producer, this.#limits.compression)
    try {
      return (await this.#partition.produce(batch, null)).baseOffset
    } catch (error) {
      const isLost = error instanceof Refusal && LOST_IDENTITY.has(error.id)
      if (!isLost) throw error
      // If an earlier try may have been taken, another identity would append it twice.
      if (state.isDoubtful) throw uncertain(`append to ${this.#partition.name}`, error)
      this.#identity.renew()
      throw new Refusal('NETWORK_EXCEPTION', error.message)
    }
  }
}

function uncertain(what: string, cause: unknown): TidemarkError {
  if (cause instanceof TidemarkError && cause.code === 'UNCERTAIN') return cause
  const reason = cause instanceof Error ? cause.message : String(cause)
  return new TidemarkError(
    'UNCERTAIN',
    `${what}: it may have been done, or not: ${reason}`,
    {},
    cause,
  )
}
