import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { describe, it, type TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { Consumer, ProduceAcks, Producer } from '@platformatic/kafka'
import { ApacheKafka, type KafkaOptions, kafkaUnavailable, SASL_USER } from './apache-kafka.ts'

const skip = kafkaUnavailable() ?? false
const REPLACED_MS = 15_000

async function started(t: TestContext, options: KafkaOptions): Promise<ApacheKafka> {
  const before = performance.now()
  const cluster = await ApacheKafka.start(options)
  t.after(() => cluster.stop())
  t.diagnostic(`started in ${((performance.now() - before) / 1000).toFixed(1)} s`)
  return cluster
}

type Connection = Partial<ConstructorParameters<typeof Producer>[0]>

async function produce(brokers: readonly string[], topic: string, value: string, by?: Connection) {
  const producer = new Producer({
    clientId: 'producer',
    bootstrapBrokers: [...brokers],
    retries: 20,
    retryDelay: 100,
    ...by,
  })
  try {
    const messages = [{ topic, value: Buffer.from(value) }]
    await producer.send({ messages, acks: ProduceAcks.ALL })
  } finally {
    await producer.close()
  }
}

async function consume(
  brokers: readonly string[],
  topic: string,
  count: number,
): Promise<string[]> {
  const consumer = new Consumer({
    clientId: 'consumer',
    groupId: `of-${topic}`,
    bootstrapBrokers: [...brokers],
    retries: 20,
    retryDelay: 100,
  })
  const values: string[] = []
  try {
    const stream = await consumer.consume({ topics: [topic], mode: 'earliest', maxWaitTime: 100 })
    for await (const { value } of stream) {
      values.push(value.toString())
      if (values.length === count) break
    }
  } finally {
    await consumer.close(true)
  }
  return values
}

describe('Apache Kafka', { skip }, () => {
  it('with one broker: what is produced is consumed, and is there after a kill', async (t) => {
    const cluster = await started(t, { brokers: 1 })
    await cluster.createTopic('one', { partitions: 1 })
    await produce(cluster.brokers, 'one', 'first')
    assert.deepEqual(await consume(cluster.brokers, 'one', 1), ['first'])
    await cluster.kill(0)
    assert.equal(cluster.isRunning(0), false)
    await cluster.restart(0)
    await produce(cluster.brokers, 'one', 'second')
    assert.deepEqual(await cluster.leaderOf('one', 0), 0)
    await cluster.stop()
    assert.equal(existsSync(cluster.folder), false)
  })

  it('with three brokers: another leads soon after the leader is killed', async (t) => {
    const cluster = await started(t, { brokers: 3 })
    await cluster.createTopic('three', { config: { 'min.insync.replicas': '2' } })
    await produce(cluster.brokers, 'three', 'first')
    const leader = (await cluster.leaderOf('three', 0))!
    const before = performance.now()
    await cluster.kill(leader)
    for (let next: number | undefined = leader; next === undefined || next === leader; ) {
      assert(performance.now() - before < REPLACED_MS, 'nobody else leads')
      await delay(50)
      next = await cluster.leaderOf('three', 0)
    }
    t.diagnostic(`another leads after ${((performance.now() - before) / 1000).toFixed(1)} s`)
    const others = cluster.brokers.filter((_, i) => i !== leader)
    await produce(others, 'three', 'second')
    const restarted = performance.now()
    await cluster.restart(leader)
    t.diagnostic(`back after ${((performance.now() - restarted) / 1000).toFixed(1)} s`)
    assert.deepEqual(await consume(cluster.brokers, 'three', 2), ['first', 'second'])
  })

  it('takes users by SASL, and connections by TLS', async (t) => {
    const cluster = await started(t, { brokers: 1, sasl: true, tls: true })
    await cluster.createTopic('secret')
    for (const mechanism of ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'] as const) {
      const sasl = { mechanism, ...SASL_USER }
      await produce(cluster.saslBrokers, 'secret', mechanism, { sasl })
      const stranger = { sasl: { ...sasl, password: 'wrong' }, retries: 0 }
      await assert.rejects(produce(cluster.saslBrokers, 'secret', 'wrong', stranger))
    }
    await produce(cluster.tlsBrokers, 'secret', 'TLS', { tls: { ca: cluster.ca! } })
    const values = await consume(cluster.brokers, 'secret', 4)
    assert.deepEqual(values, ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512', 'TLS'])
  })

  it('says what a broker has logged when it does not start', async () => {
    const config = { 'log.retention.hours': 'soon' }
    await assert.rejects(ApacheKafka.start({ brokers: 1, config }), /log\.retention\.hours/)
  })
})
