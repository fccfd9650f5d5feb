import type { KafkaStatus } from '../kafka/index.ts'
import { columns, count } from './format.ts'

function leaderText({ leader }: KafkaStatus): string {
  return leader ? `${leader.id} (${leader.host}:${leader.port})` : 'none'
}

/** What an acknowledged entry can rely on, by the topic's settings and by how the partition is now. */
function promiseText({ replicas, inSync, minInsyncReplicas: min }: KafkaStatus): string {
  const of = replicas.length
  const disks = 'Kafka does not wait for the disks, unless the topic sets flush.messages'
  if (min === undefined) {
    return `acknowledged when all that are in sync have it in memory; ${disks}. How many these must be, may not be read here`
  }
  if (min > of) {
    return `min.insync.replicas is ${min}, and there are ${of} replicas: some brokers refuse every entry then, others ask for ${of} only`
  }
  const promise =
    min === 1
      ? `one broker alone may acknowledge, when it has it in memory${of > 1 ? ', while the others are away' : ''}; ${disks}`
      : `acknowledged when all that are in sync, ${min} of ${of} brokers at least, have it in memory; ${disks}`
  const missing = min - inSync.length
  return missing > 0 ? `${promise}. Now nothing is: ${inSync.length} in sync` : promise
}

export function kafkaStatusText(status: KafkaStatus): string {
  const { lowWaterMark, highWaterMark, replicas, inSync, minInsyncReplicas, cleanupPolicy } = status
  const unreadable = 'may not be read here'
  return columns([
    ['topic', status.topic],
    ['partition', String(status.partition)],
    ['topic id', status.topicId],
    ['cluster', status.cluster],
    ['leader', leaderText(status)],
    ['term', String(status.term)],
    ['replicas', replicas.join(', ')],
    ['in sync', inSync.join(', ') || 'none'],
    ['min.insync.replicas', String(minInsyncReplicas ?? unreadable)],
    ['cleanup.policy', cleanupPolicy ?? unreadable],
    ['retention.ms', String(status.retentionMs ?? unreadable)],
    ['low-water mark', String(lowWaterMark)],
    ['high-water mark', String(highWaterMark)],
    ['offsets between', count(highWaterMark - lowWaterMark)],
    ['promise', promiseText(status)],
  ])
}

/** What is not known is null. */
export function kafkaStatusJson(status: KafkaStatus): string {
  const { leader = null, minInsyncReplicas = null } = status
  const { cleanupPolicy = null, retentionMs = null } = status
  const known = { leader, minInsyncReplicas, cleanupPolicy, retentionMs }
  return `${JSON.stringify({ ...status, ...known })}\n`
}
