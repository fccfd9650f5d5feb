import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { KafkaStatus } from 'tidemark/kafka'
import { kafkaStatusJson, kafkaStatusText } from '#dist/cli/kafka-status.js'

const STATUS: KafkaStatus = {
  cluster: 'c',
  topic: 'orders',
  topicId: 'i',
  partition: 2,
  leader: { id: 1, host: 'a', port: 9092 },
  term: 7,
  replicas: [1, 2, 3],
  inSync: [1, 3],
  minInsyncReplicas: 2,
  cleanupPolicy: 'delete',
  retentionMs: -1,
  lowWaterMark: 1000,
  highWaterMark: 4500,
}

function promise(changes: Partial<KafkaStatus>): string {
  const text = kafkaStatusText({ ...STATUS, ...changes })
  return /^promise +(.+)\n/m.exec(text)![1]!
}

describe('the status of a log on Kafka', () => {
  it('is a table', () => {
    const rows = kafkaStatusText(STATUS).split('\n')
    const values = rows.map((row) => row.slice(21))
    assert.deepEqual(values.slice(0, 14), [
      ...['orders', '2', 'i', 'c', '1 (a:9092)', '7', '1, 2, 3', '1, 3', '2', 'delete'],
      ...['-1', '1000', '4500', '3,500'],
    ])
    const unknown = { leader: undefined, minInsyncReplicas: undefined, cleanupPolicy: undefined }
    const text = kafkaStatusText({ ...STATUS, ...unknown, inSync: [] })
    assert.match(text, /^leader +none$/m)
    assert.match(text, /^in sync +none$/m)
    assert.match(text, /^min\.insync\.replicas +may not be read here$/m)
    assert.match(text, /^cleanup\.policy +may not be read here$/m)
  })

  it('is one object', () => {
    assert.deepEqual(JSON.parse(kafkaStatusJson(STATUS)), STATUS)
    const unknown = { leader: undefined, minInsyncReplicas: undefined, cleanupPolicy: undefined }
    const nulls = { leader: null, minInsyncReplicas: null, cleanupPolicy: null }
    const json = kafkaStatusJson({ ...STATUS, ...unknown })
    assert.deepEqual(JSON.parse(json), { ...STATUS, ...nulls })
  })

  it('says what is promised', () => {
    const disks = / in memory; Kafka does not wait for the disks, unless the topic sets flush/
    assert.match(promise({}), /^acknowledged when all that are in sync, 2 of 3 brokers at least, /)
    assert.match(promise({}), disks)
    const alone = promise({ minInsyncReplicas: 1 })
    assert.match(alone, /^one broker alone may acknowledge, .* the others are away; /)
    assert.match(promise({ minInsyncReplicas: 1, replicas: [1] }), /has it in memory; Kafka/)
    assert.match(promise({ minInsyncReplicas: undefined }), /may not be read here$/)
    assert.match(promise({ inSync: [1] }), /\. Now nothing is: 1 in sync$/)
    const never = promise({ minInsyncReplicas: 4 })
    assert.equal(
      never,
      'min.insync.replicas is 4, and there are 3 replicas: some brokers refuse every entry then, others ask for 3 only',
    )
  })
})
