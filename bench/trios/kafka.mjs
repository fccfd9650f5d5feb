import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { loadPeer, PeerMissing } from '../peers.mjs'

const RUNNER = new URL('../../build/test/kafka/apache-kafka.js', import.meta.url)
const SETUP = fileURLToPath(new URL('../../scripts/setup.mjs', import.meta.url))

/** One cluster for all contestants of a row. */
let shared
let users = 0
let topics = 0

/** Brokers of real Apache Kafka. Throws {@link PeerMissing} where they cannot run. */
export async function useKafka(brokers) {
  users++
  shared ??= start(brokers)
  try {
    return await shared
  } catch (error) {
    users--
    throw error
  }
}

/** To be called once for each `useKafka` that has succeeded. */
export async function leaveKafka() {
  if (--users > 0) return
  await (await shared).stop()
  shared = undefined
}

/** A new topic, on all brokers. */
export async function newTopic(cluster, replicas) {
  const topic = `bench-${topics++}`
  const insync = { 'min.insync.replicas': String(Math.min(2, replicas)) }
  await cluster.createTopic(topic, { partitions: 1, replicas, config: insync })
  return topic
}

async function start(brokers) {
  loadPeer('@platformatic/kafka')
  process.env.TIDEMARK_KAFKA = '1'
  if (!existsSync(RUNNER)) {
    const { status } = spawnSync(process.execPath, [SETUP, '--tests'], { stdio: [0, 2, 2] })
    if (status !== 0) throw new PeerMissing('the tests, which start Apache Kafka, are not built')
  }
  const { ApacheKafka, kafkaUnavailable } = await import(RUNNER)
  const reason = kafkaUnavailable()
  if (reason) throw new PeerMissing(`Apache Kafka: ${reason}`)
  return ApacheKafka.start({ brokers })
}
