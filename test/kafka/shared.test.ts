import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it, type TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { Consumer } from '@platformatic/kafka'
import { KafkaLog } from 'tidemark/kafka'
import { DurableMap, StateMachine } from 'tidemark/machine'
import { ApacheKafka, kafkaUnavailable } from './apache-kafka.ts'
import { sendOf, withProducer } from './others.ts'
import { deleteTopic, refused } from './refused.ts'

const skip = kafkaUnavailable() ?? false
const TIMEOUT_MS = 3_000

type Log = KafkaLog<Buffer, Uint8Array | string>

let cluster: ApacheKafka
before(async () => {
  if (!skip) cluster = await ApacheKafka.start({ brokers: 1 })
})
after(() => cluster?.stop())

async function opened(t: TestContext, topic: string, dir?: string): Promise<Log> {
  const { brokers } = cluster
  const log = await KafkaLog.open({ brokers, topic, timeoutMs: TIMEOUT_MS, create: {}, dir })
  t.after(() => log.close())
  return log
}

function folder(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'tidemark-kafka-dir-'))
  t.after(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

describe('cursors', { skip }, () => {
  it('go on where another process has committed', async (t) => {
    const log = await opened(t, 'cursors')
    for (let i = 0; i < 6; i++) await log.append(`${i}`)
    const cursor = await log.cursor('reader', { follow: false })
    assert.deepEqual([cursor.position, cursor.lag], [0, 6])
    for await (const { offset } of cursor) if (offset === 3) break
    await cursor.commit(3)
    await log.close()
    const other = await opened(t, 'cursors')
    const again = await other.cursor('reader', { follow: false })
    assert.deepEqual([again.position, again.lag], [4, 2])
    const rest: number[] = []
    for await (const { offset } of again) rest.push(offset)
    assert.deepEqual(rest, [4, 5])
    await again.reset('start')
    assert.equal(again.position, 0)
    assert.equal((await other.cursor('reader')).position, 0)
    await again.reset('end')
    assert.equal((await other.cursor('reader')).position, 6)
    await again.delete()
    assert.equal((await other.cursor('reader', { from: 2 })).position, 2)
    assert.equal((await other.cursor('at-end', { from: 'end' })).position, 6)
  })

  it('of a group that has members is refused, and says so', async (t) => {
    const log = await opened(t, 'members')
    for (let i = 0; i < 3; i++) await log.append(`${i}`)
    const consumer = new Consumer({
      clientId: 'member',
      groupId: 'busy',
      bootstrapBrokers: [...cluster.brokers],
      retries: 20,
      retryDelay: 50,
    })
    t.after(() => consumer.close(true))
    const stream = await consumer.consume({
      topics: ['members'],
      mode: 'earliest',
      maxWaitTime: 100,
      autocommit: false,
    })
    for await (const { offset } of stream) if (offset === 2n) break
    const inUse = { code: 'INVALID_ARGUMENT', text: /members/, withinMs: TIMEOUT_MS } as const
    await refused(log.cursor('busy'), inUse)
  })
})

describe('snapshots in a folder', { skip }, () => {
  it('of a topic that was made again are not taken for its own', async (t) => {
    const dir = folder(t)
    const log = await opened(t, 'snapshots', dir)
    await log.append('one')
    await log.snapshots.write(1, [Buffer.from('state')])
    await log.close()
    const again = await opened(t, 'snapshots', dir)
    assert.deepEqual(await again.snapshots.list(), [1])
    await again.close()
    await deleteTopic(cluster.brokers, 'snapshots')
    await delay(200)
    const other = await opened(t, 'snapshots', dir)
    await other.append('another')
    assert.deepEqual(await other.snapshots.list(), [])
  })
})

interface Orders {
  orders: string[]
}

const MACHINE = {
  initial: (): Orders => ({ orders: [] }),
  apply(state: Orders, order: string, { emit }: { emit(event: string): void }): number {
    emit(`pack ${order}`)
    emit(`mail ${order}`)
    return state.orders.push(order)
  },
  check: true,
  snapshot: { entries: 4 },
}

describe('state machines', { skip }, () => {
  it('agree, deliver their outbox, and begin at a snapshot', async (t) => {
    const dirs = [folder(t), folder(t)]
    const logs = [await opened(t, 'orders', dirs[0]), await opened(t, 'orders', dirs[1])]
    const open = (log: Log) => StateMachine.open<Orders, string, number, string>(log, MACHINE)
    const [one, two] = await Promise.all(logs.map(open))
    const machines = [one!, two!]
    const results = await Promise.all(
      Array.from({ length: 20 }, (_, i) => machines[i % 2]!.execute(`order ${i}`)),
    )
    assert.deepEqual(
      results.toSorted((a, b) => a - b),
      Array.from({ length: 20 }, (_, i) => i + 1),
    )
    const [first, second] = await Promise.all(
      machines.map((machine) => machine.read(({ orders }) => [...orders])),
    )
    assert.deepEqual(first, second)
    const delivered: string[] = []
    for await (const event of one!.events()) {
      delivered.push(event.event)
      await one!.delivered(event)
      if (delivered.length === 40) break
    }
    assert.deepEqual(
      delivered,
      first!.flatMap((order) => [`pack ${order}`, `mail ${order}`]),
    )
    await two!.read(() => {})
    assert.equal(two!.pendingEvents, 0)
    await one!.snapshot()
    await one!.close()
    await logs[0]!.close()
    assert.ok((await logs[1]!.snapshots.list()).length > 0)
    const again = await open(await opened(t, 'orders', dirs[0]))
    assert.deepEqual(await again.read(({ orders }) => [...orders]), first)
    await again.close()
    await two!.close()
  })

  it('a map with sessions applies a request once, also over gaps', async (t) => {
    const log = await opened(t, 'map')
    const map = await DurableMap.open<string, number>(log, { check: true })
    const { id } = await map.openSession()
    // An aborted transaction of another program leaves a gap.
    await withProducer(
      cluster.brokers,
      async (producer) => {
        const open = await producer.beginTransaction()
        await open.send(sendOf('map', [{ value: 'never a command' }]))
        await open.abort()
      },
      'of-map',
    )
    const named = { session: id, request: 1 }
    assert.equal(await map.compareAndSet('key', undefined, 1, named), true)
    assert.equal(await map.compareAndSet('key', undefined, 1, named), true)
    const other = await DurableMap.open<string, number>(await opened(t, 'map'), { check: true })
    assert.equal(await other.compareAndSet('key', undefined, 1, named), true)
    assert.equal(await other.compareAndSet('key', undefined, 2, { ...named, request: 2 }), false)
    await other.set('key', 3)
    assert.equal(await map.read('key'), 3)
    await map.close()
    await other.close()
  })
})
