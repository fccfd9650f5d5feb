import { MIB } from '../base/index.ts'
import type { AppendedRange } from '../log/index.ts'
import type { Appending } from './append-window.ts'
import type { PlainKafkaLog } from './open-log.ts'

const GROUP_BYTES = MIB
/** What an entry has on Kafka beside its data, at most. */
const ENTRY_OVERHEAD_BYTES = 40

interface Call {
  readonly lines: readonly Buffer[]
  readonly bytes: number
  resolve(range: AppendedRange): void
  reject(error: unknown): void
}

/**
 * Appends to a log on Kafka, in the order of the calls and many in one batch: while one is under way, the next gathers.
 *
 * Invariant: nothing is sent behind what has failed. A folder is poisoned then; brokers that could not be reached for one
 * batch may take the next.
 */
export class OrderedAppends implements Appending {
  readonly #log: PlainKafkaLog
  readonly #groupBytes: number
  #queue: Call[] = []
  #isRunning = false
  #failure: { readonly error: unknown } | undefined

  constructor(log: PlainKafkaLog) {
    this.#log = log
    this.#groupBytes = Math.min(GROUP_BYTES, log.maxEntryBytes)
  }

  async append(line: Buffer): Promise<number> {
    return (await this.appendBatch([line])).first
  }

  appendBatch(lines: readonly Buffer[]): Promise<AppendedRange> {
    if (this.#failure) return Promise.reject(this.#failure.error)
    const bytes = lines.reduce((sum, line) => sum + line.length + ENTRY_OVERHEAD_BYTES, 0)
    return new Promise((resolve, reject) => {
      this.#queue.push({ lines, bytes, resolve, reject })
      if (!this.#isRunning) void this.#run()
    })
  }

  /** Never rejects: those who have called hear of it. */
  async #run(): Promise<void> {
    this.#isRunning = true
    // What is appended in the same turn goes together.
    await Promise.resolve()
    while (this.#queue.length > 0) {
      const group = this.#takeGroup()
      try {
        let { first } = await this.#log.appendBatch(group.flatMap(({ lines }) => lines))
        for (const { lines, resolve } of group) {
          resolve({ first, last: first + lines.length - 1 })
          first += lines.length
        }
      } catch (error) {
        this.#failure = { error }
        for (const { reject } of [...group, ...this.#queue.splice(0)]) reject(error)
      }
    }
    this.#isRunning = false
  }

  #takeGroup(): Call[] {
    let bytes = 0
    let count = 0
    for (const call of this.#queue) {
      if (count > 0 && bytes + call.bytes > this.#groupBytes) break
      bytes += call.bytes
      count++
    }
    return this.#queue.splice(0, count)
  }
}
