// A mirror that is killed again and again: from a folder to a topic, and from there to another folder. At the end all three
// hold the same entries, one by one.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { type CommitLog, Log } from 'tidemark'
import { KafkaLog } from 'tidemark/kafka'
import { seededRandom } from '#dist/io/index.js'
import { ApacheKafka } from '../../kafka/apache-kafka.ts'

const CLI = fileURLToPath(import.meta.resolve('#dist/cli/main.js'))
const POLL_MS = 5
const START_MS = 1_700_000_000_000

type PlainLog = CommitLog<Buffer, Uint8Array | string>

export interface MirrorRing {
  readonly entries: number
  readonly kills: number
  readonly brokers: 1 | 3
  readonly seed: number
}

export interface MirrorRingReport {
  /** Of both ways. */
  readonly kills: number
  readonly seconds: number
}

/** Kills mirrors both ways; throws if an entry is missing, twice, or another one. */
export async function mirrorRing(ring: MirrorRing): Promise<MirrorRingReport> {
  const began = performance.now()
  const dir = mkdtempSync(join(tmpdir(), 'tidemark-mirror-ring-'))
  const cluster = await ApacheKafka.start({ brokers: ring.brokers })
  try {
    const [from, back] = [join(dir, 'from'), join(dir, 'back')]
    await fill(from, ring)
    const topic = { brokers: cluster.brokers, topic: 'ring' }
    const create = { replicas: ring.brokers, configs: { 'max.message.bytes': '2000000' } }
    const watched = await KafkaLog.open({ ...topic, create })
    const address = `kafka://${cluster.brokers.join(',')}/ring`
    const there = await killed([from, address], ring, async () => {
      await watched.barrier()
      return watched.highWaterMark
    })
    const again = await killed([address, back], ring, () => endOf(back))
    await same(await Log.open(from, { mode: 'read' }), watched)
    const end = await KafkaLog.open(topic)
    await same(end, await Log.open(back, { mode: 'read' }))
    const seconds = Math.round((performance.now() - began) / 1000)
    return { kills: there + again, seconds }
  } finally {
    await reader?.close()
    reader = undefined
    await cluster.stop()
    rmSync(dir, { recursive: true, force: true })
  }
}

async function fill(folder: string, { entries, seed }: MirrorRing): Promise<void> {
  const log = await Log.open(folder, { sync: 'never' })
  const random = seededRandom(seed)
  let last: Promise<unknown> = Promise.resolve()
  for (let i = 0; i < entries; i++) {
    const data = `${i} `.padEnd(100 + (random.uint32() % 56), 'abcdefgh')
    const type = i % 11 === 0 ? 128 + (i % 100) : 1
    last = log.append(data, { type, timestamp: START_MS + i })
    if (i % 10_000 === 0) await last
  }
  await last
  await log.close()
}

let reader: Log | undefined

/** How far a folder is, as others see it. */
async function endOf(folder: string): Promise<number> {
  if (!reader) {
    if (!Log.isIn(folder)) return 0
    reader = (await Log.open(folder, { mode: 'read' }).catch(() => undefined)) as Log | undefined
    if (!reader) return 0
  }
  await reader.barrier()
  return reader.highWaterMark
}

/** Starts mirrors and kills each when the target has come some way, and at last lets one finish. Returns how many were killed. */
async function killed(
  ends: readonly string[],
  { entries, kills, seed }: MirrorRing,
  end: () => Promise<number>,
): Promise<number> {
  const random = seededRandom(seed + ends.join().length)
  let count = 0
  for (let i = 1; i <= kills; i++) {
    const step = Math.floor(entries / (kills + 1))
    const goal = step * (i - 1) + (random.uint32() % step)
    const child = spawn(process.execPath, [CLI, 'mirror', ...ends, '--json'], { stdio: 'ignore' })
    const exit = once(child, 'exit')
    while (child.exitCode === null && (await end()) < goal) await delay(POLL_MS)
    // Where in a transaction, or between a write and its note, is up to chance.
    await delay(random.uint32() % 50)
    if (child.kill('SIGKILL')) count++
    await exit
  }
  const last = spawn(process.execPath, [CLI, 'mirror', ...ends], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const [code] = (await once(last, 'exit')) as [number]
  assert.equal(code, 0, 'the last mirror has failed')
  return count
}

/** Throws unless both have the same entries, but for offsets and terms. Closes them. */
async function same(one: PlainLog, other: PlainLog): Promise<void> {
  await Promise.all([one.barrier(), other.barrier()])
  const others = other.read()
  let count = 0
  for await (const { type, timestamp, data } of one.read()) {
    const { value: copy } = await others.next()
    assert.ok(copy, `entry ${count} is missing`)
    assert.ok(
      copy.type === type && copy.timestamp === timestamp && copy.data.equals(data),
      `entry ${count}, "${data.subarray(0, 20)}", is "${copy.data.subarray(0, 20)}"`,
    )
    count++
  }
  assert.equal((await others.next()).done, true, `there is more behind entry ${count}`)
  await Promise.all([one.close(), other.close()])
}
