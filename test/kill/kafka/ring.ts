// The ring of Apache Kafka: three brokers, of which one after the other is killed, or holds still, while clients write, follow and execute.
import { setTimeout as delay } from 'node:timers/promises'
import { KafkaLog } from 'tidemark/kafka'
import { DurableMap } from 'tidemark/machine'
import { type Random, seededRandom } from '#dist/io/index.js'
import { ApacheKafka } from '../../kafka/apache-kafka.ts'
import { KilledWriters } from './killed-writers.ts'
import { MapClient } from './map-clients.ts'
import { mapFaults } from './map-verdict.ts'
import { judge, type Read, type Verdict } from './verdict.ts'
import { Writer } from './writers.ts'

export interface KafkaRingOptions {
  readonly folder: string
  readonly seed: number
  readonly ms: number
  readonly onDown?: (what: string, acknowledged: number) => void
}

export interface KafkaRingResult extends Verdict {
  readonly acknowledged: number
  readonly unavailable: number
  readonly uncertain: number
  readonly entries: number
  /** Of brokers. */
  readonly kills: number
  /** How often a broker was made to hold still. */
  readonly pauses: number
  readonly writersKilled: number
  readonly longestGapMs: number
  readonly appendsPerSecond: number
  readonly requests: number
  readonly retries: number
  readonly reopened: number
  readonly codes: Readonly<Record<string, number>>
}

const KILL_EVERY_MS = 20_000
const DOWN_SHARE = 0.3
/** Half of the writers give up soon, the others wait for a new leader. */
const TIMEOUT_MS = [1_500, 30_000, 1_500, 30_000]
const FOLLOWED_MS = 30_000

export async function kafkaRing(options: KafkaRingOptions): Promise<KafkaRingResult> {
  const { folder, seed, ms } = options
  const cluster = await ApacheKafka.start({ brokers: 3 })
  try {
    for (const topic of ['entries', 'commands']) {
      await cluster.createTopic(topic, { config: { 'min.insync.replicas': '2' } })
    }
    const { brokers } = cluster
    const follower = await Follower.start(brokers)
    const writers: Writer[] = []
    for (const [i, timeoutMs] of TIMEOUT_MS.entries()) {
      const place = { brokers, topic: 'entries', timeoutMs }
      writers.push(await Writer.start(`writer${i}`, place, seed + i))
    }
    const killed = new KilledWriters(brokers, 'entries', seed)
    const place = { brokers, topic: 'commands', folder }
    const maps = [0, 1].map((i) => new MapClient(`map${i}`, place, i === 1, seed + 10 + i))
    const begun = performance.now()
    const downs = await downInTurn(cluster, writers, options, begun + ms)
    await Promise.all([...writers, killed, ...maps].map((each) => each.stop()))
    const { verdict, entries } = await judged(brokers, [...writers, ...killed.all], follower)
    const faults = [...verdict.faults, ...killed.faults, ...(await mapsJudged(brokers, maps))]
    return {
      ...verdict,
      ...counts(writers, maps, begun),
      faults,
      entries,
      ...downs,
      writersKilled: killed.all.length,
    }
  } finally {
    await cluster.stop()
  }
}

async function downInTurn(
  cluster: ApacheKafka,
  writers: readonly Writer[],
  { seed, ms, onDown }: KafkaRingOptions,
  end: number,
): Promise<{ kills: number; pauses: number }> {
  const random: Random = seededRandom(seed)
  const every = Math.min(KILL_EVERY_MS, ms / 3)
  let kills = 0
  let pauses = 0
  for (let at = end - ms + every; at < end; at += every) {
    await delay(Math.max(0, at - performance.now()))
    const broker = random.uint32() % cluster.brokers.length
    const isKill = kills === pauses
    const what = `${kills + pauses + 1}: broker ${broker + 1} ${isKill ? 'killed' : 'paused'}`
    onDown?.(what, acknowledgedBy(writers))
    if (isKill) {
      kills++
      await cluster.kill(broker)
      await delay(DOWN_SHARE * every)
      await cluster.restart(broker)
    } else {
      pauses++
      cluster.pause(broker)
      await delay(DOWN_SHARE * every)
      cluster.resume(broker)
    }
  }
  await delay(Math.max(0, end - performance.now()))
  return { kills, pauses }
}

/** Who reads from the first moment on. */
class Follower {
  readonly entries: Read[] = []
  fault: string | undefined
  readonly #log: KafkaLog<Buffer, string | Uint8Array>
  readonly #running: Promise<void>

  private constructor(log: KafkaLog<Buffer, string | Uint8Array>) {
    this.#log = log
    this.#running = this.#run()
  }

  static async start(brokers: readonly string[]): Promise<Follower> {
    return new Follower(await KafkaLog.open({ brokers, topic: 'entries' }))
  }

  async stop(end: number): Promise<void> {
    const until = performance.now() + FOLLOWED_MS
    while ((this.entries.at(-1)?.offset ?? -1) < end - 1 && performance.now() < until) {
      await delay(20)
    }
    await this.#log.close()
    await this.#running
  }

  async #run(): Promise<void> {
    try {
      for await (const { offset, data } of this.#log.read({ follow: true })) {
        this.entries.push({ offset, value: data.toString() })
      }
    } catch (error) {
      this.fault = `the follower has ended with ${error}`
    }
  }
}

async function judged(
  brokers: readonly string[],
  sent: Parameters<typeof judge>[0],
  follower: Follower,
): Promise<{ verdict: Verdict; entries: number }> {
  const log = await KafkaLog.open({ brokers, topic: 'entries' })
  const entries: Read[] = []
  for await (const { offset, data } of log.read()) entries.push({ offset, value: data.toString() })
  await follower.stop(log.highWaterMark)
  await log.close()
  const verdict = judge(sent, entries)
  const faults = [...verdict.faults]
  if (follower.fault) faults.push(follower.fault)
  if (JSON.stringify(follower.entries) !== JSON.stringify(entries)) {
    const { length } = follower.entries
    faults.push(`the follower saw ${length} entries, and others than the ${entries.length} there`)
  }
  return { verdict: { ...verdict, faults }, entries: entries.length }
}

async function mapsJudged(
  brokers: readonly string[],
  maps: readonly MapClient[],
): Promise<string[]> {
  const states: [string, string][][] = []
  for (const map of maps) states.push(await map.state())
  const log = await KafkaLog.open({ brokers, topic: 'commands' })
  const fresh = await DurableMap.open<string, string>(log, { check: true })
  states.push([...fresh.entries()].sort(([a], [b]) => (a < b ? -1 : 1)))
  await fresh.close()
  const entries = []
  for await (const entry of log.read()) entries.push(entry)
  await log.close()
  for (const map of maps) await map.close()
  return mapFaults(
    entries,
    maps.flatMap(({ answered }) => answered),
    states,
  )
}

function acknowledgedBy(writers: readonly Writer[]): number {
  return writers.reduce((sum, { acknowledgedAt }) => sum + acknowledgedAt.length, 0)
}

function counts(writers: readonly Writer[], maps: readonly MapClient[], begun: number) {
  const of = (outcome: string) =>
    writers.flatMap(({ appends }) => appends).filter((one) => one.outcome === outcome).length
  const times = writers.flatMap(({ acknowledgedAt }) => acknowledgedAt).sort((a, b) => a - b)
  let longestGapMs = 0
  for (const [i, at] of times.entries()) {
    longestGapMs = Math.max(longestGapMs, at - (times[i - 1] ?? begun))
  }
  const codes: Record<string, number> = {}
  for (const each of [...writers, ...maps]) {
    for (const [code, count] of Object.entries(each.codes)) codes[code] = (codes[code] ?? 0) + count
  }
  const sum = (count: (map: MapClient) => number) => maps.reduce((all, map) => all + count(map), 0)
  return {
    acknowledged: times.length,
    unavailable: of('refused'),
    uncertain: of('unknown'),
    longestGapMs,
    appendsPerSecond: (1000 * times.length) / ((times.at(-1) ?? begun + 1) - begun),
    requests: sum(({ answered }) => answered.length),
    retries: sum(({ retries }) => retries),
    reopened: sum(({ reopened }) => reopened),
    codes,
  }
}
