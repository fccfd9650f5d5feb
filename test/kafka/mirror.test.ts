import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { type CommitLog, type Entry, Log } from 'tidemark'
import { KafkaLog, mirrorLog } from 'tidemark/kafka'
import { ApacheKafka, kafkaUnavailable } from './apache-kafka.ts'

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
})
