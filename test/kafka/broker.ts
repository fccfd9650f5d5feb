// One broker: a JVM, kept by a shell that kills it and removes its folder when this process is gone, however it went.
import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { closeSync, copyFileSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import type { Distribution } from './distribution.ts'

const POLL_MS = 20
const LINES_SHOWN = 30
const STARTED = 'Kafka Server started'

/** Stdin is a pipe from this process, and ends with it. A group of its own: Ctrl-C does not reach the JVM. */
const KEEPER = `
exec 4<&0
"$@" </dev/null 4<&- &
java=$!
{ read -r _ <&4; trap '' TERM; kill -9 $java; rm -rf "$FOLDER"; } 2>/dev/null &
keeper=$!
wait $java; code=$?
kill $keeper
exit $code`

const JVM = [
  '-Xmx256m',
  '-XX:+UseSerialGC',
  '-XX:TieredStopAtLevel=1',
  // A file that a killed JVM would leave behind.
  '-XX:-UsePerfData',
]

export class Broker {
  readonly dir: string
  readonly #folder: string
  readonly #kafka: Distribution
  #child: ChildProcess | undefined
  #closed: Promise<unknown> = Promise.resolve()
  #log = ''
  #starts = 0

  /** `folder` is what goes when this process is gone, `name` the broker's part of it. */
  constructor(kafka: Distribution, folder: string, name: string) {
    this.#kafka = kafka
    this.#folder = folder
    this.dir = join(folder, name)
  }

  get data(): string {
    return join(this.dir, 'data')
  }

  get #settings(): string {
    return join(this.dir, 'server.properties')
  }

  get isRunning(): boolean {
    return this.#child !== undefined
  }

  get log(): string {
    return this.#log === '' ? '' : readFileSync(this.#log, 'utf8')
  }

  /** Makes its folder, with what `kafka-storage format` writes, and the text of `server.properties`. */
  format(cluster: string, node: number, settings: string): void {
    mkdirSync(this.data, { recursive: true })
    writeFileSync(this.#settings, settings)
    mkdirSync(join(this.dir, 'tmp'))
    const ids = `cluster.id=${cluster}\nnode.id=${node}\ndirectory.id=${randomId()}\n`
    writeFileSync(join(this.data, 'meta.properties'), `version=1\n${ids}`)
    copyFileSync(this.#kafka.bootstrap, join(this.data, 'bootstrap.checkpoint'))
  }

  /** Starts the JVM, see {@link ready}; one that is to `end` writes an archive of its classes if it is told where. */
  spawn(archive?: string): void {
    this.#log = join(this.dir, `broker-${++this.#starts}.log`)
    const { java, classPath, logging, classes } = this.#kafka
    const flags = [
      ...JVM,
      archive === undefined
        ? `-XX:SharedArchiveFile=${classes}`
        : `-XX:ArchiveClassesAtExit=${archive}`,
      `-Dlog4j2.configurationFile=${logging}`,
      `-Djava.io.tmpdir=${join(this.dir, 'tmp')}`,
    ]
    const main = ['-cp', classPath, 'kafka.Kafka', this.#settings]
    const log = openSync(this.#log, 'a')
    const child = spawn('sh', ['-c', KEEPER, 'sh', java, ...flags, ...main], {
      detached: true,
      // The last is held by the JVM too, and closes when it is gone with its sockets.
      stdio: ['pipe', log, log, 'pipe'],
      env: { ...process.env, FOLDER: this.#folder },
    })
    closeSync(log)
    const held = child.stdio[3] as Readable
    held.resume()
    child.stdin?.on('error', () => {})
    this.#child = child
    this.#closed = once(child, 'close').finally(() => {
      if (this.#child === child) this.#child = undefined
    })
    // Whoever waits for it is told.
    this.#closed.catch(() => {})
  }

  /** Resolves when the controller has let it in, and it answers. `until` is a time of `performance.now()`. */
  async ready(until: number): Promise<void> {
    while (!this.log.includes(STARTED)) {
      if (!this.isRunning) throw new Error(`${this.dir} has ended\n${this.lastLines()}`)
      if (performance.now() > until) {
        throw new Error(`${this.dir} is not up in time\n${this.lastLines()}`)
      }
      await delay(POLL_MS)
    }
  }

  lastLines(): string {
    return this.log.trimEnd().split('\n').slice(-LINES_SHOWN).join('\n')
  }

  /** Asks the JVM to end, as an operator would, and waits for it. */
  async end(): Promise<void> {
    this.signal('SIGTERM')
    await this.#closed
  }

  async kill(): Promise<void> {
    this.signal('SIGKILL')
    await this.#closed
  }

  /** To the JVM and the shell that keeps it. */
  signal(signal: NodeJS.Signals): void {
    const pid = this.#child?.pid
    if (pid === undefined) return
    try {
      process.kill(-pid, signal)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
    }
  }
}

/** An id as Kafka writes them: 16 bytes, and none that begins like an option. */
export function randomId(): string {
  const id = randomBytes(16).toString('base64url')
  return id.startsWith('-') ? randomId() : id
}
