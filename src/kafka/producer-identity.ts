import { invariant } from '../base/index.ts'
import type { BatchProducer } from '../protocol/index.ts'
import type { Brokers } from './brokers.ts'
import { checkAnswer } from './refusals.ts'
import { answered } from './topic-facts.ts'

const EPOCH_MAX = 32_766
const SEQUENCES = 2 ** 31
const TRANSACTION_MS = 60_000
const NONE = -1n

/**
 * Who appends: the brokers know each batch of a producer by its sequence number, and drop one that they have already
 * (KIP-98).
 *
 * Invariant: two batches that differ never have one number. Where it is not known whether a batch was taken, its number is
 * given up with the whole epoch (KIP-360), which also keeps the batch from being taken later on.
 */
export class ProducerIdentity {
  readonly #brokers: Brokers
  #id: number | undefined
  #epoch = 0
  #sequence = 0
  #beginning: Promise<void> | undefined

  constructor(brokers: Brokers) {
    this.#brokers = brokers
  }

  /** The numbers of the next batch. Asks for an id if there is none; rejects with what the client or the broker says. */
  async next(): Promise<BatchProducer> {
    if (this.#id === undefined) {
      // A try that was given up may still be asking.
      this.#beginning ??= this.#begin().finally(() => {
        this.#beginning = undefined
      })
      await this.#beginning
    }
    return { id: this.#id!, epoch: this.#epoch, sequence: this.#sequence, isTransactional: false }
  }

  /** So many records were taken with the numbers of `next`. */
  taken(count: number): void {
    invariant(count > 0, 'a batch has records')
    this.#sequence = (this.#sequence + count) % SEQUENCES
  }

  /** The brokers do not know the numbers any more, or nobody knows what became of a batch. */
  renew(): void {
    this.#sequence = 0
    if (this.#epoch < EPOCH_MAX) this.#epoch++
    else this.#id = undefined
  }

  async #begin(): Promise<void> {
    const { client } = this.#brokers
    const answer = await this.#brokers.any((connection) =>
      answered(client.initProducerIdV4.api.async(connection, null, TRANSACTION_MS, NONE, -1)),
    )
    checkAnswer(client, answer.errorCode)
    this.#id = Number(answer.producerId)
    this.#epoch = answer.producerEpoch
    this.#sequence = 0
  }
}
