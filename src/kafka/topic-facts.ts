import type { Address } from '../io/index.ts'
import type { Brokers } from './brokers.ts'
import type { Client } from './client.ts'
import { checkAnswer, Refusal, responseIn } from './refusals.ts'

/** Who leads a partition. */
export interface Leader {
  readonly id: number
  readonly address: Address
  /** The partition's generation: it rises with each leader. */
  readonly epoch: number
}

/** What the cluster says of one partition. */
export interface PartitionFacts {
  readonly clusterId: string
  /** Unlike that of any other topic, also of one that had the name before. */
  readonly topicId: string
  readonly partitions: number
  /** Undefined while there is none. */
  readonly leader: Leader | undefined
  /** Ids of the brokers that keep it, and of those that have everything. */
  readonly replicas: readonly number[]
  readonly inSync: readonly number[]
}

type Metadata = Awaited<ReturnType<Client['metadataV12']['api']['async']>>

/** The answer, also where it says that something is wrong with a part of it. */
export async function answered<R>(call: Promise<R>): Promise<R> {
  try {
    return await call
  } catch (error) {
    const response = responseIn(error)
    if (response === undefined) throw error
    return response as R
  }
}

/** Asks what there is of a partition. Throws a {@link Refusal}, such as UNKNOWN_TOPIC_OR_PARTITION. */
export async function readFacts(
  brokers: Brokers,
  topic: string,
  partition: number,
): Promise<PartitionFacts> {
  const { client } = brokers
  const answer = await brokers.any((connection) =>
    answered(client.metadataV12.api.async(connection, [topic], false, false)),
  )
  brokers.learn(answer.brokers.map(({ host, port }) => ({ host, port })))
  const found = answer.topics.find(({ name }) => name === topic)
  if (!found) throw new Refusal('UNKNOWN_TOPIC_OR_PARTITION', `there is no topic ${topic}`)
  checkAnswer(client, found.errorCode, found.errorCode === 0 ? null : `the topic ${topic}`)
  const own = found.partitions.find(({ partitionIndex }) => partitionIndex === partition)
  if (!own) {
    const { length } = found.partitions
    const there = length === 1 ? 'there is only partition 0' : `they are 0 to ${length - 1}`
    throw new Refusal(
      'UNKNOWN_TOPIC_OR_PARTITION',
      `${topic} has no partition ${partition}; ${there}`,
    )
  }
  return {
    clusterId: answer.clusterId ?? '',
    topicId: found.topicId,
    partitions: found.partitions.length,
    leader: leaderOf(answer, own),
    replicas: own.replicaNodes,
    inSync: own.isrNodes,
  }
}

function leaderOf(
  answer: Metadata,
  { leaderId, leaderEpoch }: Metadata['topics'][number]['partitions'][number],
): Leader | undefined {
  const broker = answer.brokers.find(({ nodeId }) => nodeId === leaderId)
  if (!broker) return undefined
  return { id: leaderId, address: { host: broker.host, port: broker.port }, epoch: leaderEpoch }
}
