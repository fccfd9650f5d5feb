// Two durable maps on one topic, each with a client that changes it under a session.
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { KafkaLog } from 'tidemark/kafka'
import { DurableMap } from 'tidemark/machine'
import { type Random, seededRandom } from '#dist/io/index.js'

const KEYS = 5
const PAUSE_MS = 5
const REOPEN_MS = 5_000

export type CommandsLog = KafkaLog<Buffer, string | Uint8Array>
type CommandsMap = DurableMap<string, string>

/** A request that was answered. */
export interface Answered {
  readonly session: number
  readonly request: number
  readonly result: boolean
}

export interface MapPlace {
  readonly brokers: readonly string[]
  readonly topic: string
  /** For snapshots. */
  readonly folder: string
}

export class MapClient {
  readonly answered: Answered[] = []
  /** How often a request was sent again. */
  retries = 0
  reopened = 0
  readonly codes: Record<string, number> = {}
  readonly #name: string
  readonly #place: MapPlace
  readonly #random: Random
  readonly #reopens: boolean
  #log: CommandsLog | undefined
  #map: CommandsMap | undefined
  #isOver = false
  readonly #running: Promise<void>

  constructor(name: string, place: MapPlace, reopens: boolean, seed: number) {
    this.#name = name
    this.#place = place
    this.#reopens = reopens
    this.#random = seededRandom(seed)
    this.#running = this.#run()
  }

  /** Resolves when what was sent is answered. */
  async stop(): Promise<void> {
    this.#isOver = true
    await this.#running
  }

  /** Everything that is in the map, once everything that was appended is. */
  async state(): Promise<[string, string][]> {
    return this.#insist(async (map) => {
      await map.read('')
      return [...map.entries()].sort(([a], [b]) => (a < b ? -1 : 1))
    })
  }

  async close(): Promise<void> {
    await this.#map?.close()
    await this.#log?.close()
    this.#map = undefined
  }

  async #run(): Promise<void> {
    const { id } = await this.#insist((map) => map.openSession())
    let openedAt = performance.now()
    for (let request = 1; !this.#isOver; request++) {
      if (this.#reopens && performance.now() - openedAt > REOPEN_MS) {
        await this.close()
        this.reopened++
        openedAt = performance.now()
      }
      const change = this.#change(request)
      const result = await this.#insist((map) => change(map, { session: id, request }))
      this.answered.push({ session: Number(id.slice(1)), request, result })
      await delay(PAUSE_MS)
    }
  }

  #change(request: number): (map: CommandsMap, named: object) => Promise<boolean> {
    const key = `key ${this.#random.uint32() % KEYS}`
    const value = `${this.#name} ${request}`
    if (this.#random.uint32() % 3 === 0) {
      return (map, named) => map.set(key, value, named).then(() => true)
    }
    // Often the other one has been quicker.
    const expected = this.#map?.get(key)
    return (map, named) => map.compareAndSet(key, expected, value, named)
  }

  /** Asks again and again, for as long as it takes: the session keeps it from being done twice. */
  async #insist<T>(ask: (map: CommandsMap) => Promise<T>): Promise<T> {
    for (;;) {
      try {
        this.#map ??= await this.#open()
        return await ask(this.#map)
      } catch (error) {
        const code = (error as { code?: unknown }).code
        if (code !== 'UNAVAILABLE' && code !== 'UNCERTAIN') throw error
        this.codes[code] = (this.codes[code] ?? 0) + 1
        this.retries++
        await delay(PAUSE_MS)
      }
    }
  }

  async #open(): Promise<CommandsMap> {
    const { brokers, topic, folder } = this.#place
    const dir = join(folder, this.#name)
    await this.#log?.close()
    this.#log = await KafkaLog.open({ brokers, topic, dir, timeoutMs: 5_000 })
    const snapshot = { entries: 2_000 }
    // What the ring looks at in the end begins at 0.
    return DurableMap.open<string, string>(this.#log, { snapshot, trim: false })
  }
}
