import { KIB, MIB, TidemarkError } from '../base/index.ts'
import type { Compression } from '../protocol/index.ts'
import type { Brokers } from './brokers.ts'
import type { Client } from './client.ts'
import type { KafkaSettings } from './kafka-options.ts'
import type { Partition } from './partition.ts'
import { persist } from './patience.ts'
import { checkAnswer, Refusal } from './refusals.ts'
import { answered } from './topic-facts.ts'

/** What Kafka calls a topic, among the things that have settings. */
const TOPIC = 2 as const
/** Kafka's default of `max.message.bytes`, for whoever may not read it. */
const BATCH_BYTES_DEFAULT = 1_048_588
/** What appends of the same time are gathered up to. */
const GROUP_BYTES = MIB
/** What a batch of one entry has beside its data, at most: its head, and what a record has of lengths and type. */
export const ENTRY_OVERHEAD_BYTES = 128

/** Settings of a topic that decide what is promised. */
export interface TopicConfigs {
  readonly maxMessageBytes: number
  /** Undefined where this program may not read it. */
  readonly minInsyncReplicas: number | undefined
  /** True if brokers put their own time in place of an entry's. */
  readonly isLogAppendTime: boolean
  /** `delete`, `compact`, or both. */
  readonly cleanupPolicy: string | undefined
  /** What is older is deleted, by the entries' own times; -1 if nothing is. Undefined where it may not be read. */
  readonly retentionMs: number | undefined
}

export interface BatchLimits {
  /** The most that a batch may have. */
  readonly batchBytes: number
  readonly groupBytes: number
  readonly compression: Compression | undefined
}

const NAMES = [
  'max.message.bytes',
  'min.insync.replicas',
  'message.timestamp.type',
  'cleanup.policy',
  'retention.ms',
]

/** Reads the topic's settings; where that is not allowed, Kafka's defaults take their place. */
export async function readConfigs(partition: Partition): Promise<TopicConfigs> {
  const values = await persist(
    partition.brokers.clock,
    `read the settings of ${partition.topic}`,
    partition.deadline(),
    () => configsOf(partition.brokers, partition.topic),
  )
  return {
    maxMessageBytes: numberIn(values, 'max.message.bytes') ?? BATCH_BYTES_DEFAULT,
    minInsyncReplicas: numberIn(values, 'min.insync.replicas'),
    isLogAppendTime: values.get('message.timestamp.type') === 'LogAppendTime',
    cleanupPolicy: values.get('cleanup.policy'),
    retentionMs: numberIn(values, 'retention.ms'),
  }
}

function numberIn(values: ReadonlyMap<string, string>, name: string): number | undefined {
  const value = values.get(name)
  return value === undefined ? undefined : Number(value)
}

async function configsOf(brokers: Brokers, topic: string): Promise<Map<string, string>> {
  const { client } = brokers
  const resource = { resourceType: TOPIC, resourceName: topic, configurationKeys: NAMES }
  const answer = await brokers.any((connection) =>
    answered(client.describeConfigsV4.api.async(connection, [resource], false, false)),
  )
  const own = answer.results[0]!
  try {
    checkAnswer(client, own.errorCode, own.errorMessage)
  } catch (error) {
    if (error instanceof Refusal && error.id === 'TOPIC_AUTHORIZATION_FAILED') return new Map()
    // The broker that was asked may not have heard of a new topic yet.
    if (error instanceof Refusal && error.id === 'UNKNOWN_TOPIC_OR_PARTITION') {
      throw new Refusal('LEADER_NOT_AVAILABLE', error.message)
    }
    throw error
  }
  return new Map(own.configs.flatMap(({ name, value }) => (value ? [[name, value] as const] : [])))
}

export function batchLimits(
  client: Client,
  { compression }: KafkaSettings,
  { maxMessageBytes }: TopicConfigs,
): BatchLimits {
  return {
    batchBytes: maxMessageBytes,
    groupBytes: Math.max(KIB, Math.min(GROUP_BYTES, maxMessageBytes - ENTRY_OVERHEAD_BYTES)),
    compression: compression === 'none' ? undefined : compressionOf(client, compression),
  }
}

function compressionOf(
  client: Client,
  name: Exclude<KafkaSettings['compression'], 'none'>,
): Compression {
  const algorithm = client.compressionsAlgorithms[name]
  if (!algorithm.available) {
    const problem = `${name} is not to be had on Node ${process.versions.node}`
    throw new TidemarkError('UNSUPPORTED_VERSION', problem)
  }
  return {
    bits: algorithm.bitmask,
    compress: (bytes) =>
      algorithm.compressSync(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)),
  }
}
