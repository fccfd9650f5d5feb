import assert from 'node:assert/strict'
import { after, before, describe, it, type TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { compressionsAlgorithms } from '@platformatic/kafka'
import { KafkaLog, type KafkaLogOptions } from 'tidemark/kafka'
import { ApacheKafka, kafkaUnavailable } from './apache-kafka.ts'
import { type Codec, produce, sendOf, withProducer } from './others.ts'
import { refused } from './refused.ts'

const skip = kafkaUnavailable() ?? false
const TIMEOUT_MS = 1_500
const CLEANED_MS = 30_000

type Log = KafkaLog<Buffer, Uint8Array | string>

let cluster: ApacheKafka
let topics = 0

before(async () => {
  if (skip) return
  cluster = await ApacheKafka.start({
    brokers: 1,
    config: { 'log.cleaner.backoff.ms': '100', 'log.initial.task.delay.ms': '100' },
  })
})
after(() => cluster?.stop())

async function freshTopic(config: Record<string, string> = {}): Promise<string> {
  const topic = `reading-${++topics}`
  await cluster.createTopic(topic, { config })
  return topic
}

/** Closed when the test ends. */
async function opened(
  t: TestContext,
  topic: string,
  options: Omit<KafkaLogOptions, 'topic' | 'brokers' | 'codec'> = {},
): Promise<Log> {
  const { brokers } = cluster
  const log = await KafkaLog.open({ brokers, topic, timeoutMs: TIMEOUT_MS, ...options })
  t.after(() => log.close())
  return log
}

type Reading = Parameters<Log['read']>[0]

async function textsOf(log: Log, options?: Reading): Promise<string[]> {
  const texts: string[] = []
  for await (const { data } of log.read(options)) texts.push(data.toString())
  return texts
}

/** What a reader that follows has seen so far. */
function followed(t: TestContext, log: Log): string[] {
  const texts: string[] = []
  const stop = new AbortController()
  const running = (async () => {
    for await (const { data } of log.read({ follow: true, signal: stop.signal })) {
      texts.push(data.toString())
    }
  })()
  // Ends by the abort.
  running.catch(() => {})
  t.after(() => stop.abort())
  return texts
}

async function until(what: string, isSo: () => boolean | Promise<boolean>, ms = 5_000) {
  for (const end = performance.now() + ms; !(await isSo()); await delay(20)) {
    assert.ok(performance.now() < end, `not in time: ${what}`)
  }
}

describe('transactions of others', { skip }, () => {
  it('are shown when they are committed, and never if they are aborted', async (t) => {
    const topic = await freshTopic()
    const log = await opened(t, topic)
    const all = await opened(t, topic, { isolation: 'read_uncommitted' })
    const [shown, seen] = [followed(t, log), followed(t, all)]
    await log.append('before')
    await withProducer(
      cluster.brokers,
      async (producer) => {
        const first = await producer.beginTransaction()
        await first.send(sendOf(topic, [{ value: 'a1' }, { value: 'a2' }]))
        await until('shown uncommitted', () => seen.length === 3)
        assert.deepEqual(shown, ['before'])
        await first.commit()
        await until('shown committed', () => shown.length === 3)
        const second = await producer.beginTransaction()
        await second.send(sendOf(topic, [{ value: 'b1' }]))
        await until('shown, before it is aborted', () => seen.length === 4)
        await second.abort()
      },
      `of-${topic}`,
    )
    // The marker of the abort may come before it, or behind it.
    const last = await log.append('after')
    await until('the end', () => seen.length === 5 && shown.length === 4)
    assert.deepEqual(shown, ['before', 'a1', 'a2', 'after'])
    assert.deepEqual(seen, ['before', 'a1', 'a2', 'b1', 'after'])
    await log.barrier()
    assert.deepEqual(await textsOf(log), shown)
    assert.deepEqual(await textsOf(log, { reverse: true }), [...shown].reverse())
    assert.deepEqual(await textsOf(all), seen)
    // before, a1, a2, the marker, b1, and then the marker and after
    assert.ok(last === 5 || last === 6)
    assert.equal(await log.get(3), undefined)
    assert.equal(await log.get(4), undefined)
    assert.equal((await all.get(4))?.data.toString(), 'b1')
    assert.equal((await log.get(last))?.data.toString(), 'after')
    assert.equal(await log.get(11 - last), undefined)
  })

  it('hold back what comes after them, and a barrier says so', async (t) => {
    const topic = await freshTopic()
    const log = await opened(t, topic)
    const all = await opened(t, topic, { isolation: 'read_uncommitted' })
    await log.append('before')
    await withProducer(
      cluster.brokers,
      async (producer) => {
        const open = await producer.beginTransaction()
        await open.send(sendOf(topic, [{ value: 'open' }]))
        const later = await opened(t, topic)
        assert.equal(await later.append('behind it'), 2)
        const waits = { code: 'UNAVAILABLE', text: /transaction/, withinMs: TIMEOUT_MS } as const
        await refused(later.barrier(), waits)
        await refused(log.barrier(), waits)
        assert.deepEqual(await textsOf(log), ['before'])
        // Nothing of it, or the truth: never less than what is said to be there.
        const read = await textsOf(later).catch(({ code }: { code: string }) => code)
        assert.ok(read === 'UNAVAILABLE' || read.toString() === 'before', String(read))
        await all.barrier()
        assert.deepEqual(await textsOf(all), ['before', 'open', 'behind it'])
        await open.commit()
        await later.barrier()
        assert.deepEqual(await textsOf(later), ['before', 'open', 'behind it'])
      },
      `of-${topic}`,
    )
  })

  it('several at once, some aborted, in one answer', async (t) => {
    const topic = await freshTopic()
    const log = await opened(t, topic)
    const one = (i: number, round: number, isLast: boolean) =>
      withProducer(
        cluster.brokers,
        async (producer) => {
          const open = await producer.beginTransaction()
          for (let n = 0; n < 3; n++) {
            await open.send(sendOf(topic, [{ value: `${i} ${round} ${n}` }]))
          }
          await (isLast ? open.abort() : open.commit())
        },
        `of-${topic}-${i}-${round}`,
      )
    for (let round = 0; round < 2; round++) {
      await Promise.all([0, 1, 2].map((i) => one(i, round, (i + round) % 3 === 0)))
    }
    await log.append('end')
    await log.barrier()
    const texts = await textsOf(log)
    const committed = [0, 1].flatMap((round) =>
      [0, 1, 2]
        .filter((i) => (i + round) % 3 !== 0)
        .flatMap((i) => [0, 1, 2].map((n) => `${i} ${round} ${n}`)),
    )
    assert.deepEqual(texts.toSorted(), [...committed, 'end'].sort())
    assert.deepEqual((await textsOf(log, { reverse: true })).reverse(), texts)
  })
})

describe('records of others', { skip }, () => {
  for (const codec of ['gzip', 'snappy', 'lz4', 'zstd'] as const) {
    const isThere = compressionsAlgorithms[codec].available !== false
    const why = isThere ? false : 'the client has it not on this Node'
    it(`compressed by ${codec}`, { skip: why }, async (t) => {
      const topic = await freshTopic()
      const values = Array.from({ length: 50 }, (_, i) => `${codec} ${i} ${'x'.repeat(500)}`)
      await produce(
        cluster.brokers,
        topic,
        values.map((value) => ({ value })),
        codec satisfies Codec,
      )
      const log = await opened(t, topic, { compression: codec })
      assert.deepEqual(await textsOf(log), values)
      assert.deepEqual(await textsOf(log, { from: 20, to: 22 }), values.slice(20, 22))
      const own = await log.appendBatch(values)
      assert.deepEqual(await textsOf(log, { from: own.first }), values)
    })
  }

  it('with keys, headers, and no value', async (t) => {
    const topic = await freshTopic()
    await produce(cluster.brokers, topic, [
      { key: 'k', value: 'with a key' },
      { value: 'with headers', headers: { trace: '1', 'tidemark-type': 'seven' } },
      { key: 'gone' },
      { value: '', headers: { 'tidemark-type': '7' } },
      { value: '', headers: { 'tidemark-type': '200' } },
    ])
    const log = await opened(t, topic)
    const found = []
    for await (const { type, data } of log.read()) found.push([type, data.toString()])
    const data = (await log.get(0))!.type
    assert.deepEqual(found, [
      [data, 'with a key'],
      [data, 'with headers'],
      [data, ''],
      [data, ''],
      [200, ''],
    ])
  })

  it('a compacted topic has gaps, and is read on over them', async (t) => {
    const topic = await freshTopic({
      'cleanup.policy': 'compact',
      'segment.ms': '50',
      'min.cleanable.dirty.ratio': '0.01',
      'delete.retention.ms': '0',
    })
    const values: string[] = []
    for (let round = 0; round < 10; round++) {
      const messages = [0, 1, 2].map((key) => ({ key: `${key}`, value: `${key} in ${round}` }))
      values.push(...messages.map(({ value }) => value))
      await produce(cluster.brokers, topic, messages)
      await delay(60)
    }
    const log = await opened(t, topic)
    const [, following] = [await log.barrier(), followed(t, log)]
    const high = log.highWaterMark
    await until(
      'compaction',
      async () => {
        await produce(cluster.brokers, topic, [{ key: 'last', value: `at ${Date.now()}` }])
        return (await textsOf(log, { to: high })).length < high
      },
      CLEANED_MS,
    )
    // The cleaner goes on meanwhile: no two readings need have the same.
    const readings = [{ to: high }, { to: high, reverse: true }]
    const offsets: number[] = []
    for (const options of readings) {
      offsets.length = 0
      for await (const { offset, data } of log.read(options)) {
        assert.equal(data.toString(), values[offset])
        offsets.push(offset)
      }
      const rising = options.reverse ? offsets.reverse() : offsets
      assert.deepEqual(rising.slice(-3), [high - 3, high - 2, high - 1])
    }
    t.diagnostic(`${offsets.length} of ${high} are left`)
    const gap = Array.from({ length: high }, (_, i) => i).find((i) => !offsets.includes(i))!
    assert.equal(await log.get(gap), undefined)
    const { value: next } = await log.read({ from: gap }).next()
    assert.ok(next && next.offset > gap && offsets.includes(next.offset))
    await until('who follows is there', () => following.length >= offsets.length)
    // Kafka refuses to trim it.
    await refused(log.trim(1), { code: 'INVALID_ARGUMENT', withinMs: TIMEOUT_MS })
    await refused(log.append('without a key'), { code: 'INVALID_ARGUMENT', withinMs: TIMEOUT_MS })
  })
})

describe('where reading begins', { skip }, () => {
  it('from a time on', async (t) => {
    const log = await opened(t, await freshTopic())
    const now = Date.now() - 10_000
    for (let i = 0; i < 5; i++) await log.append(`${i}`, { timestamp: now + 1_000 * i })
    assert.deepEqual(await textsOf(log, { fromTimestamp: now + 2_500 }), ['3', '4'])
    assert.deepEqual(await textsOf(log, { fromTimestamp: now - 1 }), ['0', '1', '2', '3', '4'])
    assert.deepEqual(await textsOf(log, { fromTimestamp: now + 60_000 }), [])
    const reverse = await textsOf(log, { fromTimestamp: now + 2_500, reverse: true })
    assert.deepEqual(reverse, ['4', '3'])
  })

  it('below what another has trimmed is TRIMMED', async (t) => {
    const topic = await freshTopic()
    const [log, other] = [await opened(t, topic), await opened(t, topic)]
    for (let i = 0; i < 10; i++) await log.append(`${i}`)
    await other.barrier()
    const begun = other.read({ from: 0 })
    assert.equal((await begun.next()).value?.offset, 0)
    await log.trim(6)
    const trimmed = { code: 'TRIMMED', withinMs: TIMEOUT_MS } as const
    const error = await refused(other.read({ from: 2 }).next(), trimmed)
    assert.deepEqual(error.details, { offset: 2, lowWaterMark: 6 })
    assert.equal(other.lowWaterMark, 6)
    assert.equal(await other.get(2), undefined)
    await refused(other.read({ from: 5, reverse: true }).next(), trimmed)
    assert.deepEqual(await textsOf(other), ['6', '7', '8', '9'])
    await refused(other.cursor('low', { from: 3 }), trimmed)
  })
})
