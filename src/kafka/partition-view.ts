import { TidemarkError } from '../base/index.ts'
import type { Lane } from './brokers.ts'
import type { Fetched } from './fetch-response.ts'
import type { Partition } from './partition.ts'
import { persist } from './patience.ts'
import { kafkaError, Refusal } from './refusals.ts'
import { Tail } from './tail.ts'
import { TideMarks } from './tide-marks.ts'

/** What reading needs of a partition. */
export class PartitionView {
  readonly partition: Partition
  readonly marks: TideMarks
  readonly tail: Tail

  constructor(partition: Partition) {
    this.partition = partition
    this.marks = new TideMarks(partition.name)
    this.tail = new Tail(partition, this.marks)
  }

  get isClosed(): boolean {
    return this.partition.brokers.isClosed
  }

  /**
   * What is there from an offset on, at least one batch if there is anything. Rejects with TRIMMED, CORRUPT, UNAVAILABLE,
   * DENIED, NOT_FOUND, CLOSED; with the reason of `checkWanted` as soon as it throws one.
   */
  async fetch(
    from: number,
    maxBytes: number,
    deadline: number,
    checkWanted: () => void = () => {},
  ): Promise<Fetched> {
    const { partition } = this
    const lane: Lane = 'read'
    try {
      const fetched = await persist(
        partition.brokers.clock,
        `read ${partition.name}`,
        deadline,
        () => {
          checkWanted()
          return partition.fetch({ from, maxBytes, waitMs: 0, lane })
        },
      )
      this.marks.learn(fetched, partition.settings.isCommittedOnly)
      return fetched
    } catch (error) {
      throw await this.explained(error, from)
    }
  }

  /** Why an offset cannot be read; what is no question of the offset stays, as `kafkaError` says. */
  async explained(error: unknown, offset: number): Promise<unknown> {
    if (!isOutOfRange(error)) {
      const isTold = error instanceof TidemarkError
      return isTold ? error : kafkaError(`read ${this.partition.name}`, error)
    }
    try {
      this.marks.raiseLow(await this.partition.earliest())
      this.checkNotTrimmed(offset)
      const known = this.marks.high
      this.marks.checkEnd(await this.partition.latest(false), known)
    } catch (reason) {
      return reason
    }
    const problem = `offset ${offset} of ${this.partition.name} cannot be read now`
    return new TidemarkError('UNAVAILABLE', problem, {}, error)
  }

  /** Throws TRIMMED. */
  checkNotTrimmed(offset: number): void {
    const { low } = this.marks
    if (offset >= low) return
    const problem = `offset ${offset} is below the low-water mark ${low} of ${this.partition.name}`
    throw new TidemarkError('TRIMMED', problem, { offset, lowWaterMark: low })
  }
}

function isOutOfRange(error: unknown): boolean {
  const refusal = error instanceof TidemarkError ? error.cause : error
  return refusal instanceof Refusal && refusal.id === 'OFFSET_OUT_OF_RANGE'
}
