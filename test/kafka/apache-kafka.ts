// Clusters of real Apache Kafka, for tests: each broker a JVM of its own, which may be killed and started again.
//
//   const cluster = await ApacheKafka.start({ brokers: 3 })
//
// where `kafkaUnavailable()` says nothing.
import { copyFileSync, existsSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePorts } from '../quorum/members/trio.ts'
import { Broker, randomId } from './broker.ts'
import { type Distribution, distribution } from './distribution.ts'
import { type Keys, makeKeys } from './keys.ts'
import { type Ports, propertiesOf } from './settings.ts'
import { createTopic, leadersOf, type TopicOptions, untilLed } from './topics.ts'

export { kafkaUnavailable } from './distribution.ts'
export { SASL_USER } from './users.ts'

const START_MS = 60_000
const TOPIC_MS = 30_000
/** How often other ports are tried. */
const TRIES = 3
const TAKEN = /Address already in use/

export interface KafkaOptions {
  /** Each is a controller too; with three, any one may be killed. */
  readonly brokers: 1 | 3
  /** Settings of brokers, instead of those of settings.ts. */
  readonly config?: Readonly<Record<string, string>>
  /** With listeners for `SASL_USER`, by PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512. */
  readonly sasl?: boolean
  /** With listeners for TLS: `ca` is what to trust. */
  readonly tls?: boolean
}

const clusters = new Set<ApacheKafka>()
process.once('exit', () => {
  for (const cluster of clusters) cluster.abandon()
})

export class ApacheKafka {
  /** `host:port` of each broker. */
  readonly brokers: readonly string[]
  readonly saslBrokers: readonly string[]
  readonly tlsBrokers: readonly string[]
  /** The certificate of the brokers, which has signed itself, as PEM. */
  readonly ca: string | undefined
  readonly folder: string
  readonly #nodes: readonly Broker[]

  private constructor(kafka: Distribution, folder: string, ports: readonly Ports[], keys?: Keys) {
    this.folder = folder
    this.#nodes = ports.map((_, i) => new Broker(kafka, folder, `broker-${i}`))
    const at = (name: keyof Ports) =>
      ports.flatMap((all) => (all[name] === undefined ? [] : [`127.0.0.1:${all[name]}`]))
    this.brokers = at('client')
    this.saslBrokers = at('sasl')
    this.tlsBrokers = at('tls')
    this.ca = keys?.certificate
    clusters.add(this)
  }

  /** Resolves when all brokers take connections; after 60 s it rejects, with what a broker has logged last. */
  static async start(options: KafkaOptions): Promise<ApacheKafka> {
    const kafka = distribution()
    if (!existsSync(kafka.classes)) await ApacheKafka.#archiveClasses(kafka)
    const until = performance.now() + START_MS
    for (let left = TRIES; ; left--) {
      const cluster = await ApacheKafka.#create(kafka, options)
      try {
        for (const broker of cluster.#nodes) broker.spawn()
        await Promise.all(cluster.#nodes.map((broker) => broker.ready(until)))
        return cluster
      } catch (error) {
        const isTaken = cluster.#nodes.some(({ log }) => TAKEN.test(log))
        await cluster.stop()
        // Another test has been given one of the ports at the same moment.
        if (left === 0 || !isTaken) throw error
      }
    }
  }

  static async #create(kafka: Distribution, options: KafkaOptions): Promise<ApacheKafka> {
    const free = await freePorts(options.brokers * 4)
    const ports = Array.from({ length: options.brokers }, () => ({
      client: free.pop()!,
      controller: free.pop()!,
      ...(options.sasl ? { sasl: free.pop()! } : {}),
      ...(options.tls ? { tls: free.pop()! } : {}),
    }))
    const folder = mkdtempSync(join(tmpdir(), 'tidemark-kafka-run-'))
    try {
      const keys = options.tls ? await makeKeys(kafka.keytool, folder) : undefined
      const cluster = new ApacheKafka(kafka, folder, ports, keys)
      const id = randomId()
      const nodes = ports.map((own, i) => {
        return { id: i + 1, dir: cluster.#nodes[i]!.data, ports: own }
      })
      for (const [i, broker] of cluster.#nodes.entries()) {
        broker.format(id, i + 1, propertiesOf(nodes[i]!, nodes, options.config, keys))
      }
      return cluster
    } catch (error) {
      rmSync(folder, { recursive: true, force: true })
      throw error
    }
  }

  /** Once for each version of Java: a JVM that reads its classes from an archive is up in half the time. */
  static async #archiveClasses(kafka: Distribution): Promise<void> {
    const cluster = await ApacheKafka.#create(kafka, { brokers: 1 })
    const archive = join(cluster.folder, 'classes.jsa')
    try {
      const [broker] = cluster.#nodes as [Broker]
      broker.spawn(archive)
      await broker.ready(performance.now() + START_MS)
      await broker.end()
      // Nothing depends on it: without an archive brokers start more slowly.
      if (!existsSync(archive)) return
      const partial = `${kafka.classes}-${process.pid}`
      copyFileSync(archive, partial)
      renameSync(partial, kafka.classes)
    } finally {
      await cluster.stop()
    }
  }

  isRunning(index: number): boolean {
    return this.#nodes[index]!.isRunning
  }

  /** By SIGKILL. Resolves when the JVM is gone, and its ports are free. */
  kill(index: number): Promise<void> {
    return this.#nodes[index]!.kill()
  }

  /** It holds still, and its connections stay, until it is resumed. */
  pause(index: number): void {
    this.#nodes[index]!.signal('SIGSTOP')
  }

  resume(index: number): void {
    this.#nodes[index]!.signal('SIGCONT')
  }

  /** Resolves when the controller has let it in, and it takes connections; after 60 s it rejects. */
  async restart(index: number): Promise<void> {
    const broker = this.#nodes[index]!
    await broker.kill()
    broker.spawn()
    await broker.ready(performance.now() + START_MS)
  }

  /** What a broker has logged since it was last started. */
  log(index: number): string {
    return this.#nodes[index]!.log
  }

  /**
   * The index of the broker that leads a partition, `undefined` if none does: as a broker that runs knows it, so a leader
   * that was just killed may still be named.
   */
  async leaderOf(topic: string, partition: number): Promise<number | undefined> {
    const leaders = await leadersOf(this.#anyBroker(), topic)
    const id = leaders[partition] ?? -1
    return id < 1 ? undefined : id - 1
  }

  /** Resolves when every broker that runs knows the leaders of all partitions; after 30 s it rejects. */
  async createTopic(name: string, options: TopicOptions = {}): Promise<void> {
    const { partitions = 1, replicas = this.#nodes.length, config = {} } = options
    const until = performance.now() + TOPIC_MS
    await createTopic(() => this.#anyBroker(), name, { partitions, replicas, config }, until)
    const up = this.brokers.filter((_, i) => this.isRunning(i))
    await Promise.all(up.map((broker) => untilLed(broker, name, partitions, until)))
  }

  #anyBroker(): string {
    const broker = this.brokers.find((_, i) => this.isRunning(i))
    if (broker === undefined) throw new Error('no broker is running')
    return broker
  }

  /** Kills all brokers, and removes their folder. */
  async stop(): Promise<void> {
    await Promise.all(this.#nodes.map((broker) => broker.kill()))
    this.abandon()
    clusters.delete(this)
  }

  /** The same at once, without waiting: for a process that ends. */
  abandon(): void {
    for (const broker of this.#nodes) broker.signal('SIGKILL')
    rmSync(this.folder, { recursive: true, force: true })
  }
}
