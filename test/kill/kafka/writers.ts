// Who appends numbered entries, and what each of them was told.
import { setTimeout as delay } from 'node:timers/promises'
import { KafkaLog } from 'tidemark/kafka'
import { type Random, seededRandom } from '#dist/io/index.js'

const DATA_BYTES = 200
const IN_FLIGHT_MAX = 8
const BATCH_MAX = 5
const PAUSE_MS = 20
/** These are certainly not in the log, nor ever will be. */
const REFUSED = ['UNAVAILABLE', 'OVERLOADED']

export interface Append {
  readonly values: readonly string[]
  /** `unknown` may be there, once. */
  outcome: 'ok' | 'refused' | 'unknown'
  /** Where it is, if it is `ok`. */
  first: number
}

/** What one writer has sent, in its order. */
export interface Sent {
  readonly name: string
  readonly appends: readonly Append[]
}

/** `name-number`, and so many dots that it is 200 bytes. */
export function valueFor(name: string, number: number): string {
  return `${name}-${number}`.padEnd(DATA_BYTES, '.')
}

/** Appends until it is told to stop, several at a time, one in six as a batch. */
export class Writer implements Sent {
  readonly name: string
  readonly appends: Append[] = []
  /** When an append was acknowledged, by `performance.now()`. */
  readonly acknowledgedAt: number[] = []
  readonly codes: Record<string, number> = {}
  readonly #log: KafkaLog<Buffer, string | Uint8Array>
  readonly #random: Random
  readonly #running: Promise<void>
  #number = 0
  #isOver = false

  private constructor(name: string, log: KafkaLog<Buffer, string | Uint8Array>, seed: number) {
    this.name = name
    this.#log = log
    this.#random = seededRandom(seed)
    this.#running = this.#run()
  }

  static async start(
    name: string,
    options: { brokers: readonly string[]; topic: string; timeoutMs: number },
    seed: number,
  ): Promise<Writer> {
    return new Writer(name, await KafkaLog.open(options), seed)
  }

  async stop(): Promise<void> {
    this.#isOver = true
    await this.#running
    await this.#log.close()
  }

  async #run(): Promise<void> {
    while (!this.#isOver) {
      const count = 1 + (this.#random.uint32() % IN_FLIGHT_MAX)
      const all = await Promise.all(Array.from({ length: count }, () => this.#append()))
      if (all.includes(false)) await delay(PAUSE_MS)
    }
  }

  async #append(): Promise<boolean> {
    const isBatch = this.#random.uint32() % 6 === 0
    const size = isBatch ? 2 + (this.#random.uint32() % (BATCH_MAX - 1)) : 1
    const values = Array.from({ length: size }, () => valueFor(this.name, this.#number++))
    const append: Append = { values, outcome: 'unknown', first: -1 }
    this.appends.push(append)
    try {
      const first = isBatch
        ? (await this.#log.appendBatch(values)).first
        : await this.#log.append(values[0]!)
      Object.assign(append, { outcome: 'ok', first })
      this.acknowledgedAt.push(performance.now())
      return true
    } catch (error) {
      const code = String((error as { code?: unknown }).code ?? error)
      this.codes[code] = (this.codes[code] ?? 0) + 1
      if (REFUSED.includes(code)) append.outcome = 'refused'
      return false
    }
  }
}
