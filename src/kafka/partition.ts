import { TidemarkError } from '../base/index.ts'
import type { Brokers, Lane } from './brokers.ts'
import type { Client, Connection } from './client.ts'
import { decodeFetched, type Fetched } from './fetch-response.ts'
import type { KafkaSettings } from './kafka-options.ts'
import { persist } from './patience.ts'
import {
  decodeProduced,
  encodeProduce,
  produceVersion,
  VERSION_BY_NAME,
} from './produce-request.ts'
import { checkAnswer, Refusal } from './refusals.ts'
import { answered, type Leader, type PartitionFacts, readFacts } from './topic-facts.ts'

/** So long a topic has to be unknown before it is believed: a broker that has just started may not have heard of it. */
const UNKNOWN_MS = 1_000

const UNKNOWN = new Set(['UNKNOWN_TOPIC_OR_PARTITION', 'UNKNOWN_TOPIC_ID'])
const EARLIEST = -2n
const LATEST = -1n
const FETCH_BYTES_MAX = 64 * 1024 * 1024
const PRODUCE = 0
const FETCH = { key: 1, version: 13 } as const

export interface FetchAsk {
  readonly from: number
  /** Fewer than the first batch has are passed over: it comes whole. */
  readonly maxBytes: number
  /** How long the broker may wait for something to come. */
  readonly waitMs: number
  readonly lane: Lane
}

export interface Produced {
  readonly baseOffset: number
}

/** One partition of a topic: finds its leader, again when it has moved, and asks it. */
export class Partition {
  readonly brokers: Brokers
  readonly name: string
  readonly topic: string
  readonly index: number
  readonly settings: KafkaSettings
  #facts: PartitionFacts | undefined
  #looking: Promise<PartitionFacts> | undefined
  /** That of the topic which was there at first. */
  #topicId: string | undefined
  /** Why nothing can be asked of it any more. */
  #gone: TidemarkError | undefined
  #isExpected = false
  #unknownSince: number | undefined
  readonly #produceVersions = new WeakMap<Connection, number>()

  constructor(brokers: Brokers, settings: KafkaSettings) {
    this.brokers = brokers
    this.settings = settings
    this.topic = settings.topic
    this.index = settings.partition
    this.name = `${settings.topic}/${settings.partition}`
  }

  get client(): Client {
    return this.brokers.client
  }

  /** When who begins to try now has tried for long enough. */
  deadline(): number {
    return this.brokers.clock.monotonic() + this.settings.timeoutMs
  }

  /** Tries `call` with the leader until it works or the time is over. `what` completes "cannot ...". */
  ask<R>(
    what: string,
    lane: Lane,
    call: (connection: Connection, leader: Leader) => Promise<R>,
    deadline: number = this.deadline(),
  ): Promise<R> {
    return persist(this.brokers.clock, what, deadline, () => this.once(lane, call))
  }

  /** Tries it once. Rejects with what the client or the broker says. */
  async once<R>(
    lane: Lane,
    call: (connection: Connection, leader: Leader) => Promise<R>,
  ): Promise<R> {
    const { leader } = this.#facts ?? (await this.#look())
    try {
      if (!leader) throw new Refusal('LEADER_NOT_AVAILABLE', `partition ${this.name} has no leader`)
      return await this.brokers.at(leader.address, lane, (connection) => call(connection, leader))
    } catch (error) {
      // Whatever it is, perhaps another leads by now.
      this.#facts = undefined
      const isUnknown = error instanceof Refusal && UNKNOWN.has(error.id)
      // Whoever was asked is said to lead it: it has not heard of a new topic yet, or the topic is being deleted.
      throw isUnknown ? new Refusal('LEADER_NOT_AVAILABLE', error.message) : error
    }
  }

  /** What the cluster says of the partition now. Rejects with NOT_FOUND, UNAVAILABLE, DENIED. */
  async look(): Promise<PartitionFacts> {
    return persist(this.brokers.clock, `find ${this.name}`, this.deadline(), () => this.#look())
  }

  /** True if there is a topic of this name with this partition. */
  isThere(): Promise<boolean> {
    return persist(this.brokers.clock, `find ${this.name}`, this.deadline(), async () => {
      try {
        await readFacts(this.brokers, this.topic, this.index)
        return true
      } catch (error) {
        if (error instanceof Refusal && UNKNOWN.has(error.id)) return false
        throw error
      }
    })
  }

  /** The topic was made a moment ago: who does not know it yet will. */
  expect(): void {
    this.#isExpected = true
  }

  /** Tries it once; those who look at the same time look once. */
  #look(): Promise<PartitionFacts> {
    this.#looking ??= this.#lookOnce().finally(() => {
      this.#looking = undefined
    })
    return this.#looking
  }

  async #lookOnce(): Promise<PartitionFacts> {
    if (this.#gone) throw this.#gone
    const facts = await this.#known()
    this.#isExpected = false
    this.#topicId ??= facts.topicId
    if (facts.topicId !== this.#topicId) {
      const problem = `the topic ${this.topic} was deleted, and made again as another one`
      this.#gone = new TidemarkError('NOT_FOUND', problem)
      this.#facts = undefined
      throw this.#gone
    }
    this.#facts = facts
    return facts
  }

  async #known(): Promise<PartitionFacts> {
    const since = this.#unknownSince
    this.#unknownSince = undefined
    try {
      return await readFacts(this.brokers, this.topic, this.index)
    } catch (error) {
      if (!(error instanceof Refusal && UNKNOWN.has(error.id))) throw error
      const now = this.brokers.clock.monotonic()
      this.#unknownSince = since ?? now
      if (now - this.#unknownSince >= UNKNOWN_MS && !this.#isExpected) throw error
      throw new Refusal('LEADER_NOT_AVAILABLE', error.message)
    }
  }

  /** The first offset that is kept. */
  earliest(): Promise<number> {
    return this.#offset('find the beginning of', EARLIEST, false).then((offset) => offset!)
  }

  /** The first offset that is not safe; or, of committed ones, the first whose transaction is open. */
  latest(isCommittedOnly: boolean): Promise<number> {
    return this.#offset('find the end of', LATEST, isCommittedOnly).then((offset) => offset!)
  }

  /** The first entry that is not older than `timestamp`; undefined if there is none yet. */
  offsetAt(timestamp: number, isCommittedOnly: boolean): Promise<number | undefined> {
    return this.#offset(`find the time ${timestamp} in`, BigInt(timestamp), isCommittedOnly)
  }

  async #offset(
    what: string,
    timestamp: bigint,
    isCommittedOnly: boolean,
  ): Promise<number | undefined> {
    return this.ask(`${what} ${this.name}`, 'ask', async (connection, { epoch }) => {
      const { client, topic, index } = this
      const partitions = [{ partitionIndex: index, currentLeaderEpoch: epoch, timestamp }]
      const answer = await answered(
        client.listOffsetsV7.api.async(connection, -1, isCommittedOnly ? 1 : 0, [
          { name: topic, partitions },
        ]),
      )
      const own = answer.topics[0]!.partitions[0]!
      checkAnswer(client, own.errorCode)
      return own.offset < 0n ? undefined : Number(own.offset)
    })
  }

  /** What the leader has from an offset on. Tries once; rejects with what the client or the broker says. */
  fetch({ from, maxBytes, waitMs, lane }: FetchAsk): Promise<Fetched> {
    return this.once(lane, (connection, { epoch }) => {
      const { client, index, settings } = this
      const partition = {
        partition: index,
        currentLeaderEpoch: epoch,
        fetchOffset: BigInt(from),
        lastFetchedEpoch: -1,
        partitionMaxBytes: Math.min(maxBytes, FETCH_BYTES_MAX),
      }
      const topic = { topicId: this.#topicId!, partitions: [partition] }
      const isolation = settings.isCommittedOnly ? 1 : 0
      const write = () =>
        client.fetchV13.createRequest(waitMs, 1, FETCH_BYTES_MAX, isolation, 0, -1, [topic], [], '')
      return send(connection, FETCH, write, decodeFetched).then((fetched) => {
        checkAnswer(client, fetched.errorCode)
        return fetched
      })
    })
  }

  /**
   * Hands a batch of records to the leader, once; resolves when all replicas in sync have it. Rejects with what the client
   * or the broker says. `sending` is called just before it goes out, and throws if it shall not.
   */
  produce(
    batch: Buffer,
    transactionalId: string | null,
    sending: () => void = () => {},
  ): Promise<Produced> {
    return this.once('produce', async (connection) => {
      const { client, topic, index, settings } = this
      // From version 12 on, whoever has a transaction is taken to speak the newer protocol of these (KIP-890).
      const version =
        transactionalId === null ? await this.#versionFor(connection) : VERSION_BY_NAME
      sending()
      const write = () =>
        encodeProduce(client, version, {
          transactionalId,
          // It shall say so before we have given up.
          timeoutMs: Math.ceil(0.8 * settings.requestMs),
          topic,
          topicId: this.#topicId!,
          partition: index,
          batch,
        })
      const api = { key: PRODUCE, version }
      const { errorCode, errorMessage, baseOffset } = await send(
        connection,
        api,
        write,
        decodeProduced,
      )
      checkAnswer(client, errorCode, errorMessage)
      return { baseOffset }
    })
  }

  async #versionFor(connection: Connection): Promise<number> {
    const known = this.#produceVersions.get(connection)
    if (known !== undefined) return known
    const version = await produceVersion(this.client, connection)
    this.#produceVersions.set(connection, version)
    return version
  }

  /** Gives up what is before an offset, and returns the first that is kept. */
  async deleteBefore(offset: number): Promise<number> {
    // Asked for by name: it must not be another topic by now.
    await this.look()
    return this.ask(`trim ${this.name}`, 'ask', async (connection) => {
      const { client, topic, index, settings } = this
      const partitions = [{ partitionIndex: index, offset: BigInt(offset) }]
      const answer = await answered(
        client.deleteRecordsV2.api.async(
          connection,
          [{ name: topic, partitions }],
          settings.requestMs,
        ),
      )
      const own = answer.topics[0]!.partitions[0]!
      checkAnswer(client, own.errorCode)
      return Number(own.lowWatermark)
    })
  }
}

type Write = () => ReturnType<Client['Writer']['create']>
type Parse<R> = Parameters<Connection['send']>[4] extends never
  ? never
  : (key: number, api: number, version: number, reader: InstanceType<Client['Reader']>) => R

/** A request whose body is ours. */
function send<R>(
  connection: Connection,
  { key, version }: { key: number; version: number },
  write: Write,
  parse: Parse<R>,
): Promise<R> {
  return new Promise((resolve, reject) => {
    connection.send(key, version, write, parse, true, true, (error: Error | null, answer?: R) => {
      if (error) reject(error)
      else resolve(answer as R)
    })
  })
}
