import assert from 'node:assert/strict'
import { mkdtempSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { type CommitLog, type Entry, Log } from 'tidemark'
import { KafkaLog, mirrorLog } from 'tidemark/kafka'
import { StateMachine } from 'tidemark/machine'
import { mirrorRing } from '../kill/kafka/mirror-ring.ts'
import { ApacheKafka, kafkaUnavailable } from './apache-kafka.ts'
import { produce, sendOf, withProducer } from './others.ts'

type PlainLog = CommitLog<Buffer, Uint8Array | string>

async function copied(log: PlainLog): Promise<Pick<Entry, 'type' | 'timestamp' | 'data'>[]> {
  await log.barrier()
  const entries: Pick<Entry, 'type' | 'timestamp' | 'data'>[] = []
  for await (const { type, timestamp, data } of log.read()) entries.push({ type, timestamp, data })
  await log.close()
  return entries
}

async function append(log: PlainLog, count: number, word: string): Promise<void> {
  const appends = Array.from({ length: count }, (_, i) =>
    log.append(`${word} ${i}`, i % 7 === 0 ? { type: 130 } : { timestamp: 1_700_000_000_000 + i }),
  )
  await Promise.all(appends)
}

const skip = kafkaUnavailable() ?? false
describe('a mirror', { skip, concurrency: 1 }, () => {
  const dir = mkdtempSync(join(tmpdir(), 'tidemark-mirror-'))
  let cluster: ApacheKafka
  let count = 0
  before(async () => {
    cluster = await ApacheKafka.start({ brokers: 1 })
  })
  after(async () => {
    await cluster.stop()
    rmSync(dir, { recursive: true, force: true })
  })
  const folder = () => join(dir, `log-${count++}`)
  const topic = () => ({ brokers: cluster.brokers, topic: `mirror-${count++}`, create: {} })

  it('copies a folder to a topic, and that to a folder, and goes on where it was', async () => {
    const [from, to, back] = [folder(), topic(), folder()]
    const source = await Log.open(from)
    await append(source, 5_000, 'first')
    const report = await mirrorLog(from, to)
    assert.deepEqual([report.entries, report.isResumed, report.lag], [5_000, false, 0])
    await append(source, 3_000, 'second')
    const more = await mirrorLog(from, to)
    assert.deepEqual([more.entries, more.isResumed, more.from], [3_000, true, 5_000])
    assert.equal((await mirrorLog(from, to)).entries, 0)
    assert.equal((await mirrorLog(to, back)).entries, 8_000)
    assert.equal((await mirrorLog(to, back)).entries, 0)
    await source.close()
    const expected = await copied(await Log.open(from, { mode: 'read' }))
    assert.deepEqual(await copied(await KafkaLog.open(to)), expected)
    assert.deepEqual(await copied(await Log.open(back, { mode: 'read' })), expected)
  })

  it('that is killed again and again copies each entry once', { timeout: 120_000 }, async (t) => {
    const report = await mirrorRing({
      entries: 60_000,
      kills: 3,
      brokers: 1,
      seed: Date.now() % 1000,
    })
    t.diagnostic(JSON.stringify(report))
    assert.ok(report.kills >= 3)
  })

  it('shuts out another one into the same topic', async () => {
    const [from, to] = [folder(), topic()]
    const source = await Log.open(from)
    await append(source, 100, 'x')
    const stop = new AbortController()
    let began = () => {}
    const begun = new Promise<void>((resolve) => {
      began = resolve
    })
    const { signal } = stop
    const first = mirrorLog(from, to, { follow: true, signal, onProgress: () => began() })
    const lost = assert.rejects(first, { code: 'LOCKED' })
    await begun
    assert.equal((await mirrorLog(from, to)).lag, 0)
    await append(source, 100, 'y')
    await lost
    assert.equal((await mirrorLog(from, to)).entries, 100)
    await source.close()
    assert.equal((await copied(await KafkaLog.open(to))).length, 200)
  })

  it('refuses a target that is none of its own', async () => {
    const [from, other, to, empty] = [folder(), folder(), topic(), folder()]
    for (const each of [from, other, empty]) {
      const log = await Log.open(each)
      await append(log, 50, each)
      await log.close()
    }
    await mirrorLog(from, to)
    const wrong = { code: 'INVALID_ARGUMENT' }
    await assert.rejects(mirrorLog(other, to), wrong)
    assert.equal((await mirrorLog(from, to, { from: 7 })).entries, 0, 'it has begun')
    await assert.rejects(mirrorLog(from, to, { from: 70 }), wrong)
    await assert.rejects(mirrorLog(from, empty), wrong)
    assert.equal((await mirrorLog(from, empty, { from: 20 })).entries, 30)
    assert.equal((await mirrorLog(from, empty)).entries, 0)
    const log = await KafkaLog.open(to)
    await log.append('somebody else')
    assert.equal((await mirrorLog(from, to)).entries, 0, 'the mark is looked for behind it')
    await log.barrier()
    await log.trim(log.highWaterMark)
    await log.close()
    await assert.rejects(mirrorLog(from, to), wrong, 'nothing says any more what was copied')
  })

  it('moves a machine with its sessions and its outbox to a topic, and back', async () => {
    const [from, to, back] = [folder(), topic(), folder()]
    const open = (log: PlainLog) =>
      StateMachine.open<{ sum: number }, number, number, number>(log, {
        initial: () => ({ sum: 0 }),
        apply(state, number, { emit }) {
          emit(number)
          state.sum += number
          return state.sum
        },
        check: true,
      })
    /** Asks again what was asked before, asks once more, and delivers but the last. */
    const goOn = async (log: PlainLog, session: string | undefined, asked: number) => {
      const machine = await open(log)
      const id = session ?? (await machine.openSession()).id
      for (let request = 1; request <= asked + 1; request++) {
        const sum = (request * (request + 1)) / 2
        assert.equal(await machine.execute(request, { session: id, request }), sum)
      }
      const pending: number[] = []
      for await (const sent of machine.events()) {
        assert.equal(sent.number, sent.event)
        if (pending.push(sent.number) === machine.pendingEvents) break
      }
      assert.deepEqual(pending, asked === 0 ? [1] : [asked, asked + 1])
      if (asked > 0) await machine.delivered({ number: asked })
      await machine.close()
      await log.close()
      return id
    }
    const id = await goOn(await Log.open(from), undefined, 0)
    assert.equal(await goOn(await Log.open(from), id, 1), id)
    await mirrorLog(from, to)
    await goOn(await KafkaLog.open(to), id, 2)
    await mirrorLog(to, back)
    await goOn(await Log.open(back), id, 3)
  })

  it('knows a source that is another one by now', async () => {
    const [from, to] = [folder(), folder()]
    const make = async (words: readonly string[]) => {
      rmSync(from, { recursive: true, force: true })
      const log = await Log.open(from)
      await log.appendBatch(words)
      await log.close()
    }
    await make(['1', '2', '3'])
    assert.equal((await mirrorLog(from, to)).entries, 3)
    for (const words of [['5'], ['5', '6', '7'], ['5', '6', '7', '8', '9']]) {
      await make(words)
      await assert.rejects(mirrorLog(from, to), { code: 'INVALID_ARGUMENT' })
    }
    assert.equal((await copied(await Log.open(to, { mode: 'read' }))).length, 3)
  })

  it('needs nothing of a source that was trimmed since', async () => {
    const [from, to] = [folder(), folder()]
    const source = await Log.open(from)
    await append(source, 20, 'x')
    await mirrorLog(from, to)
    await source.trim(15)
    assert.equal((await mirrorLog(from, to)).entries, 0)
    await append(source, 5, 'y')
    assert.equal((await mirrorLog(from, to)).entries, 5)
    await source.close()
  })

  it('is none of itself, however that is written', async () => {
    const [from, to] = [folder(), topic()]
    const source = await Log.open(from)
    await append(source, 3, 'x')
    await source.close()
    const wrong = { code: /INVALID_ARGUMENT|LOCKED/ }
    await assert.rejects(mirrorLog(from, `${from}/../${basename(from)}`, { from: 0 }), wrong)
    await mirrorLog(from, to)
    await assert.rejects(mirrorLog(to, { ...to, partition: 0 }, { from: 0 }), wrong)
  })

  it('copies the beginning of its source, and nothing behind an entry that cannot go', async () => {
    const configs = { 'max.message.bytes': '1000' }
    const [from, to, into] = [folder(), { ...topic(), create: { configs } }, folder()]
    const source = await Log.open(from)
    await source.appendBatch(['a', 'b', 'x'.repeat(2000), 'c'])
    await source.close()
    for (let i = 0; i < 2; i++) await assert.rejects(mirrorLog(from, to), { code: 'TOO_LARGE' })
    assert.ok((await copied(await KafkaLog.open(to))).length <= 2)
    const times = { 'message.timestamp.type': 'LogAppendTime' }
    const other = { ...topic(), create: { configs: times } }
    await assert.rejects(mirrorLog(from, other), { code: 'INVALID_ARGUMENT' })
    // Of a type that nobody could have appended here: plain data, in the copy too.
    const strange = topic()
    await (await KafkaLog.open(strange)).close()
    await produce(cluster.brokers, strange.topic, [
      { value: 'one', headers: { 'tidemark-type': '7' } },
      { value: 'two', headers: { 'tidemark-type': '200' } },
    ])
    assert.equal((await mirrorLog(strange, into)).entries, 2)
    const types = (await copied(await Log.open(into, { mode: 'read' }))).map(({ type }) => type)
    assert.deepEqual(types, [1, 200])
  })

  it('believes no mark that was aborted, also of a target that is to be read uncommitted', async () => {
    const [from, to] = [folder(), topic()]
    const source = await Log.open(from)
    await append(source, 1_000, 'x')
    await source.close()
    const transaction = { transactionalId: `tidemark-mirror-${to.topic}-0` }
    await (await KafkaLog.open(to)).close()
    await withProducer(
      cluster.brokers,
      async (producer) => {
        const lie = JSON.stringify({ from: realpathSync(from), offset: 499, next: 500 })
        const open = await producer.beginTransaction()
        await open.send(sendOf(to.topic, [{ value: 'x 499', headers: { 'tidemark-mirror': lie } }]))
        await open.abort()
      },
      transaction.transactionalId,
    )
    const report = await mirrorLog(from, { ...to, isolation: 'read_uncommitted' })
    assert.deepEqual([report.entries, report.isResumed], [1_000, false])
    assert.equal((await copied(await KafkaLog.open(to))).length, 1_000)
  })
})
