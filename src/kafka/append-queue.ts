import { TidemarkError } from '../base/index.ts'
import type { AppendedRange } from '../log/index.ts'
import { encodeRecordBatch, type NewRecord, recordBytesMax } from '../protocol/index.ts'
import type { Partition } from './partition.ts'
import { persist } from './patience.ts'
import { ProducerIdentity } from './producer-identity.ts'
import { Expired, isDoubtful, Refusal } from './refusals.ts'
import type { TideMarks } from './tide-marks.ts'
import type { BatchLimits } from './topic-configs.ts'

interface Call {
  readonly records: readonly NewRecord[]
  readonly bytes: number
  readonly deadline: number
  resolve(range: AppendedRange): void
  reject(error: unknown): void
}

/** What is known of a batch that is on its way. */
interface Sending {
  /** True if this try has sent it. */
  isSent: boolean
  /** True if it is not known of an earlier try whether the leader has taken it. */
  isDoubtful: boolean
  /** True when nobody waits for it any more: it must not go out now. */
  isOver: boolean
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
  readonly #marks: TideMarks
  readonly #queue: Call[] = []
  #bytes = 0
  #running: Promise<void> | undefined

  constructor(partition: Partition, limits: BatchLimits, marks: TideMarks) {
    this.#partition = partition
    this.#limits = limits
    this.#identity = new ProducerIdentity(partition.brokers)
    this.#marks = marks
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
    const appended = new Promise<AppendedRange>((resolve, reject) => {
      this.#queue.push({ records, bytes, deadline: this.#partition.deadline(), resolve, reject })
    })
    this.#bytes += bytes
    this.#running ??= this.#run()
    return appended.finally(() => {
      this.#bytes -= bytes
    })
  }

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    while (this.#running !== undefined) await this.#running
  }

  async #run(): Promise<void> {
    await this.#partition.brokers.clock.settled()
    while (this.#queue.length > 0) await this.#appendGroup(this.#takeGroup())
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
      // In the order in which they came, the first has the least time left.
      const { deadline } = group[0]!
      let first = await this.#send(
        group.flatMap(({ records }) => records),
        deadline,
      )
      for (const { records, resolve } of group) {
        resolve({ first, last: first + records.length - 1 })
        first += records.length
      }
    } catch (error) {
      await this.#appendLess(group, error)
    }
  }

  /** What is left to be done for a group that was not taken. */
  async #appendLess(group: readonly Call[], error: unknown): Promise<void> {
    const code = error instanceof TidemarkError ? error.code : undefined
    if (code !== undefined && ONE_IS_GUILTY.has(code) && group.length > 1) {
      for (const call of group) await this.#appendGroup([call])
      return
    }
    const now = this.#partition.brokers.clock.monotonic()
    const hasTime = ({ deadline }: Call, i: number) =>
      code === 'UNAVAILABLE' && i > 0 && deadline > now
    for (const [i, call] of group.entries()) if (!hasTime(call, i)) call.reject(error)
    this.#queue.unshift(...group.filter(hasTime))
  }

  /** Returns the offset of the first record. */
  async #send(records: readonly NewRecord[], deadline: number): Promise<number> {
    const { clock } = this.#partition.brokers
    const what = `append to ${this.#partition.name}`
    if (clock.monotonic() >= deadline) {
      throw new TidemarkError(
        'UNAVAILABLE',
        `cannot ${what}: what came before it took all the time`,
      )
    }
    const known = this.#marks.high
    const state: Sending = { isSent: false, isDoubtful: false, isOver: false }
    try {
      const first = await persist(
        clock,
        what,
        deadline,
        () => this.#sendOnce(records, state),
        (error) => {
          state.isDoubtful ||= state.isSent && isDoubtful(error)
        },
      )
      this.#identity.taken(records.length)
      // Brokers before 4.1 take a batch by the topic's name alone: it may be another topic by now.
      if (first < known) await this.#partition.look()
      this.#marks.checkEnd(first, known)
      this.#marks.appended(first + records.length)
      return first
    } catch (error) {
      state.isOver = true
      if (!state.isDoubtful) throw error
      this.#identity.renew()
      throw uncertain(what, error)
    }
  }

  async #sendOnce(records: readonly NewRecord[], state: Sending): Promise<number> {
    state.isSent = false
    const producer = await this.#identity.next()
    const batch = encodeRecordBatch(records, producer, this.#limits.compression)
    try {
      const sending = () => {
        if (state.isOver) throw new Expired()
        state.isSent = true
      }
      return (await this.#partition.produce(batch, null, sending)).baseOffset
    } catch (error) {
      const isLost = error instanceof Refusal && LOST_IDENTITY.has(error.id)
      if (!isLost || state.isOver) throw error
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
