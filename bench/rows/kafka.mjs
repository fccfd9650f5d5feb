import { once } from 'node:events'
import { join } from 'node:path'
import { Log } from '../../dist/index.js'
import { KafkaLog, mirrorLog } from '../../dist/kafka/index.js'
import { concurrently, perSecond, typicalMicros } from '../measure.mjs'
import { loadPeer } from '../peers.mjs'
import { payloads } from '../stores.mjs'
import { leaveKafka, newTopic, useKafka } from '../trios/kafka.mjs'
import { OURS } from '../verdict.mjs'

// Real Apache Kafka on this machine, whose processors the brokers share with whoever is measured.

const CLIENT = '@platformatic/kafka, bare, acks=all'
const KAFKAJS = 'kafkajs, bare, idempotent'
const data = payloads()
/** What the bare client sends at a time, and how many of those are on their way. */
const SENT = 2_000
const SENDS = 4
const WRITERS = 256

const countOf = ({ quick }) => (quick ? 100_000 : 400_000)

/** A contestant whose runs each have a new topic. */
function onKafka(name, brokers, measure) {
  return {
    name,
    async prepare(folder, context) {
      if (name === KAFKAJS) loadPeer('kafkajs')
      const cluster = await useKafka(brokers)
      return {
        measure: async () => {
          const topic = await newTopic(cluster, brokers)
          return measure({ cluster, topic, brokers: cluster.brokers }, context, folder)
        },
        close: () => leaveKafka(),
      }
    },
  }
}

async function withLog({ brokers, topic }, work) {
  const log = await KafkaLog.open({ brokers: [...brokers], topic })
  try {
    return await work(log)
  } finally {
    await log.close()
  }
}

/** Not idempotent: with that, sends at the same time are answered with OUT_OF_ORDER_SEQUENCE_NUMBER now and then (1.35.0). */
async function withProducer({ brokers }, work) {
  const { Producer } = loadPeer('@platformatic/kafka')
  const options = { clientId: 'bench', bootstrapBrokers: [...brokers], acks: -1 }
  const producer = new Producer(options)
  try {
    return await work(producer)
  } finally {
    await producer.close(true)
  }
}

async function withKafkajs({ brokers, topic }, work) {
  const { Kafka, logLevel } = loadPeer('kafkajs')
  const kafka = new Kafka({ clientId: 'bench', brokers: [...brokers], logLevel: logLevel.NOTHING })
  const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 })
  await producer.connect()
  try {
    return await work((messages) => producer.send({ topic, acks: -1, messages }))
  } finally {
    await producer.disconnect()
  }
}

/** So many entries a second go into a topic by the bare client, which is given all at once what a batch takes. */
function bareProduce(place, context) {
  const count = countOf(context)
  return withProducer(place, (producer) =>
    perSecond(count, () =>
      concurrently(SENDS, count / SENT, (n) => {
        const messages = Array.from({ length: SENT }, (_, i) => ({
          topic: place.topic,
          partition: 0,
          value: data[(n * SENT + i) & 63],
        }))
        return producer.send({ messages, acks: -1 })
      }),
    ),
  )
}

async function bareConsume(place, context) {
  const count = countOf(context)
  await fill(place, count)
  const { Consumer } = loadPeer('@platformatic/kafka')
  const consumer = new Consumer({
    groupId: place.topic,
    clientId: 'bench',
    bootstrapBrokers: [...place.brokers],
    maxBytes: 4 * 2 ** 20,
  })
  const offsets = [{ topic: place.topic, partition: 0, offset: 0n }]
  try {
    const stream = await consumer.consume({ topics: [place.topic], mode: 'manual', offsets })
    let seen = 0
    return await perSecond(count, async () => {
      stream.on('data', () => {
        if (++seen === count) stream.emit('all')
      })
      await once(stream, 'all')
      await stream.close()
    })
  } finally {
    await consumer.close(true)
  }
}

async function fill(place, count) {
  await withLog(place, async (log) => {
    for (let at = 0; at < count; at += SENT) {
      await log.appendBatch(Array.from({ length: SENT }, (_, i) => data[(at + i) & 63]))
    }
  })
}

let folders = 0

async function mirrorIn(place, context, folder) {
  const count = countOf(context)
  const from = join(folder, `from-${folders++}`)
  const log = await Log.open(from, { sync: 'never' })
  for (let at = 0; at < count; at += SENT) {
    await log.appendBatch(Array.from({ length: SENT }, (_, i) => data[(at + i) & 63]))
  }
  await log.close()
  const to = { brokers: [...place.brokers], topic: place.topic }
  return perSecond(count, () => mirrorLog(from, to))
}

async function mirrorOut(place, context, folder) {
  const count = countOf(context)
  await fill(place, count)
  const from = { brokers: [...place.brokers], topic: place.topic }
  return perSecond(count, () => mirrorLog(from, join(folder, `to-${folders++}`)))
}

const one = ({ quick }) => (quick ? 200 : 500)
const many = ({ quick }) => WRITERS * (quick ? 40 : 120)

/** `call` appends one entry of 128 B. */
function figure(writers, context, call) {
  if (writers === 1) return typicalMicros(one(context), call)
  const count = many(context)
  return perSecond(count, () => concurrently(writers, count, call))
}

const ours = (writers) => (place, context) =>
  withLog(place, (log) => figure(writers, context, (i) => log.append(data[i & 63])))

const client = (writers) => (place, context) =>
  withProducer(place, (producer) =>
    figure(writers, context, (i) =>
      producer.send({
        messages: [{ topic: place.topic, partition: 0, value: data[i & 63] }],
        acks: -1,
      }),
    ),
  )

const kafkajs = (writers) => (place, context) =>
  withKafkajs(place, (send) => figure(writers, context, (i) => send([{ value: data[i & 63] }])))

function appends(writers, brokers) {
  const who = writers === 1 ? 'one writer (p50)' : `${writers} writers`
  const where = brokers === 1 ? 'one broker' : 'three brokers, two in sync'
  return {
    title: `append to Kafka, ${where}, ${who}`,
    unit: writers === 1 ? 'µs' : '/s',
    contestants: [
      onKafka(OURS, brokers, ours(writers)),
      onKafka(CLIENT, brokers, client(writers)),
      onKafka(KAFKAJS, brokers, kafkajs(writers)),
    ],
    bars: [],
  }
}

export const rows = {
  'kafka-mirror-in': {
    title: 'mirror a folder to Kafka, one broker; the client produces',
    unit: '/s',
    contestants: [onKafka(OURS, 1, mirrorIn), onKafka(CLIENT, 1, bareProduce)],
    bars: [{ against: CLIENT, atLeast: 0.8 }],
  },
  'kafka-mirror-out': {
    title: 'mirror Kafka to a folder, one broker; the client consumes',
    unit: '/s',
    contestants: [onKafka(OURS, 1, mirrorOut), onKafka(CLIENT, 1, bareConsume)],
    bars: [{ against: CLIENT, atLeast: 0.8 }],
  },
  'kafka-append-1': appends(1, 1),
  'kafka-append-256': appends(WRITERS, 1),
  'kafka-three-1': appends(1, 3),
  'kafka-three-256': appends(WRITERS, 3),
}
