import type { KafkaTopicDesign } from './kafka-options.ts'
import type { Partition } from './partition.ts'
import { persist } from './patience.ts'
import { checkAnswer, Refusal } from './refusals.ts'
import { answered } from './topic-facts.ts'

/** A log keeps everything until it is trimmed; Kafka would delete what is older than a week, by the entries' own times. */
const KEEP_ALL = { 'retention.ms': '-1', 'retention.bytes': '-1' }
/** The brokers' own default. */
const DEFAULT_REPLICAS = -1

/** Makes the topic, and returns true, unless there is one. Rejects with INVALID_ARGUMENT, UNAVAILABLE, DENIED. */
export async function createTopic(
  partition: Partition,
  design: KafkaTopicDesign,
): Promise<boolean> {
  const { brokers, topic, settings } = partition
  const { client } = brokers
  const asked = {
    name: topic,
    numPartitions: design.partitions ?? 1,
    replicationFactor: design.replicas ?? DEFAULT_REPLICAS,
    assignments: [],
    configs: Object.entries({ ...KEEP_ALL, ...design.configs }).map(([name, value]) => ({
      name,
      value,
    })),
  }
  return persist(brokers.clock, `make the topic ${topic}`, partition.deadline(), async () => {
    // A broker hands it on to the controller.
    const answer = await brokers.any((connection) =>
      answered(client.createTopicsV7.api.async(connection, [asked], settings.requestMs, false)),
    )
    const own = answer.topics[0]!
    try {
      checkAnswer(client, own.errorCode, own.errorMessage)
    } catch (error) {
      if (error instanceof Refusal && error.id === 'TOPIC_ALREADY_EXISTS') return false
      throw error
    }
    return true
  })
}
