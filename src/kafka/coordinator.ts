import type { Address } from '../io/index.ts'
import type { Call } from './brokers.ts'
import type { Partition } from './partition.ts'
import { persist } from './patience.ts'
import { checkAnswer, Refusal } from './refusals.ts'
import { answered } from './topic-facts.ts'

/** What a broker coordinates, by the protocol's numbers. */
const KEY_TYPES = { group: 0, transaction: 1 } as const

/** The broker that keeps one consumer group, or one transactional id: finds it, again when another does, and asks it. */
export class Coordinator {
  readonly #partition: Partition
  readonly #kind: keyof typeof KEY_TYPES
  readonly #key: string
  #address: Address | undefined

  constructor(partition: Partition, kind: keyof typeof KEY_TYPES, key: string) {
    this.#partition = partition
    this.#kind = kind
    this.#key = key
  }

  /** Tries `call` until it works or the time is over. `what` completes "cannot ...". Rejects as `persist` does. */
  ask<R>(what: string, call: Call<R>): Promise<R> {
    const { brokers } = this.#partition
    return persist(brokers.clock, what, this.#partition.deadline(), async () => {
      this.#address ??= await this.#find()
      try {
        return await brokers.at(this.#address, 'ask', call)
      } catch (error) {
        // While the transaction before is being finished, it is the right one that says so.
        const isRight = error instanceof Refusal && error.id === 'CONCURRENT_TRANSACTIONS'
        if (!isRight) this.#address = undefined
        throw error
      }
    })
  }

  async #find(): Promise<Address> {
    const { client, brokers } = this.#partition
    const type = KEY_TYPES[this.#kind]
    const answer = await brokers.any((connection) =>
      answered(client.findCoordinatorV4.api.async(connection, type, [this.#key])),
    )
    const own = answer.coordinators[0]!
    checkAnswer(client, own.errorCode, own.errorMessage)
    return { host: own.host, port: own.port }
  }
}
