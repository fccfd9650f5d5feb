import { TidemarkError } from '../base/index.ts'
import { encodeRecordBatch, type NewRecord } from '../protocol/index.ts'
import type { Call } from './brokers.ts'
import { Coordinator } from './coordinator.ts'
import type { Partition } from './partition.ts'
import { checkAnswer, Refusal } from './refusals.ts'
import type { BatchLimits } from './topic-configs.ts'
import { answered } from './topic-facts.ts'

/** A transaction that is open for so long is aborted by the brokers. */
const TIMEOUT_MS = 60_000
const SEQUENCES = 2 ** 31
const NONE = -1n

const FENCED = new Set(['INVALID_PRODUCER_EPOCH', 'PRODUCER_FENCED'])

interface Producer {
  readonly id: number
  readonly epoch: number
}

/**
 * Batches for one partition that appear together or not at all (KIP-98). Of all who use one transactional id the last to
 * `init` is the only one that is heard: whatever another one, killed or not, has still on its way is refused.
 */
export class Transactions {
  readonly #partition: Partition
  readonly #limits: BatchLimits
  readonly #id: string
  readonly #coordinator: Coordinator
  #producer: Producer | undefined
  #sequence = 0
  #isOpen = false

  constructor(partition: Partition, limits: BatchLimits, id: string) {
    this.#partition = partition
    this.#limits = limits
    this.#id = id
    this.#coordinator = new Coordinator(partition, 'transaction', id)
  }

  /** Takes over. What was open under the id, of this process or another, is aborted when this resolves. */
  async init(): Promise<void> {
    const { client } = this.#partition
    const answer = await this.#ask('begin', (connection) =>
      answered(client.initProducerIdV4.api.async(connection, this.#id, TIMEOUT_MS, NONE, -1)).then(
        (response) => {
          checkAnswer(client, response.errorCode)
          return response
        },
      ),
    )
    this.#producer = { id: Number(answer.producerId), epoch: answer.producerEpoch }
    this.#sequence = 0
    this.#isOpen = false
  }

  /**
   * Adds records to the transaction, and begins one if there is none. Calls need not wait for one another: what is added
   * first comes first. After a failure nothing but `init` helps.
   */
  async add(records: readonly NewRecord[]): Promise<void> {
    if (!this.#isOpen) await this.#open()
    const { id, epoch } = this.#producer!
    const producer = { id, epoch, sequence: this.#sequence, isTransactional: true }
    this.#sequence = (this.#sequence + records.length) % SEQUENCES
    const batch = encodeRecordBatch(records, producer, this.#limits.compression)
    await this.#partition.produce(batch, this.#id)
  }

  /** Makes what was added appear. All calls of `add` have to have resolved. */
  async commit(): Promise<void> {
    if (!this.#isOpen) return
    const { client } = this.#partition
    const { id, epoch } = this.#producer!
    await this.#ask('commit', async (connection) => {
      const answer = await answered(
        client.endTxnV3.api.async(connection, this.#id, BigInt(id), epoch, true),
      )
      checkAnswer(client, answer.errorCode)
    })
    this.#isOpen = false
  }

  async #open(): Promise<void> {
    const { client, topic, index } = this.#partition
    const { id, epoch } = this.#producer!
    const asked = {
      transactionalId: this.#id,
      producerId: BigInt(id),
      producerEpoch: epoch,
      verifyOnly: false,
      topics: [{ name: topic, partitions: [index] }],
    }
    await this.#ask('begin', async (connection) => {
      const answer = await answered(client.addPartitionsToTxnV3.api.async(connection, [asked]))
      const [own] = answer.resultsByTransaction[0]!.topicResults
      checkAnswer(client, own!.resultsByPartition[0]!.partitionErrorCode)
    })
    this.#isOpen = true
  }

  async #ask<R>(what: string, call: Call<R>): Promise<R> {
    const { name } = this.#partition
    try {
      return await this.#coordinator.ask(`${what} a transaction for ${name}`, call)
    } catch (error) {
      throw takenOver(name, error)
    }
  }
}

/** LOCKED if that is what an error means; otherwise the error. */
export function takenOver(name: string, error: unknown): unknown {
  const refusal = error instanceof TidemarkError ? error.cause : error
  if (!(refusal instanceof Refusal && FENCED.has(refusal.id))) return error
  const problem = `another mirror into ${name} has taken over, or this one was silent for more than ${TIMEOUT_MS / 1000} s`
  return new TidemarkError('LOCKED', problem, {}, error)
}
