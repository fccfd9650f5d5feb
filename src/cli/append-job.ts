import { TidemarkError } from '../base/index.ts'
import { type Appending, AppendWindow } from './append-window.ts'
import type { Context } from './command.ts'
import { chunksOf, type Input } from './input.ts'
import { LineSplitter } from './lines.ts'

export interface AppendJobOptions {
  /** Print the offset of each entry once it is safe. */
  readonly acknowledge: boolean
  /** So many lines at a time, all or nothing; 0 for one by one. */
  readonly batchLines: number
  /** All of the input is one entry. */
  readonly whole: boolean
  /** The largest entry that the log takes. */
  readonly maxEntryBytes: number
  /** So many lines may be under way, if it is not the default. */
  readonly maxLines?: number
}

/** Feeds an input into a log, line by line, and says what is safe. */
export class AppendJob {
  readonly #context: Context
  readonly #options: AppendJobOptions
  readonly #stop = new AbortController()
  readonly #window: AppendWindow
  /** Offsets that are safe and not yet printed. */
  #acknowledged = ''
  /** Lines of a batch that is not yet full. */
  #batch: Buffer[] = []

  constructor(log: Appending, context: Context, options: AppendJobOptions) {
    this.#context = context
    this.#options = options
    const stop = () => this.#stop.abort()
    const onSafe = (first: number, last: number) => this.#acknowledge(first, last)
    const tell = options.acknowledge ? onSafe : () => {}
    this.#window = new AppendWindow(log, tell, stop, options.maxLines)
    for (const signal of [context.interrupted, context.out.ended]) {
      if (signal.aborted) stop()
      signal.addEventListener('abort', stop)
    }
  }

  /** What is safe so far. */
  get done(): Pick<AppendWindow, 'entries' | 'bytes' | 'first' | 'last'> {
    return this.#window
  }

  /**
   * Resolves when the input has ended, or reading was stopped, and all that was read is safe. What was
   * read of a line or a batch whose end has not been seen is then left out.
   */
  async run(input: Input): Promise<void> {
    try {
      if (this.#options.whole) await this.#feedWhole(input)
      else await this.#feedLines(input)
    } catch (error) {
      // An append that failed comes first, in time and in importance.
      await this.#finish()
      throw error
    }
    await this.#finish()
  }

  async #finish(): Promise<void> {
    try {
      await this.#window.drain()
    } catch (error) {
      if (!(error instanceof TidemarkError)) throw error
      const where = this.#options.whole ? '' : ` (line ${this.#window.entries + 1} of the input)`
      throw new TidemarkError(error.code, `${error.message}${where}`, error.details, error)
    } finally {
      this.#print()
    }
  }

  async #feedLines(input: Input): Promise<void> {
    const splitter = new LineSplitter(this.#options.maxEntryBytes)
    for await (const chunk of chunksOf(input, this.#stop.signal)) {
      const lines: Buffer[] = []
      try {
        splitter.push(chunk, lines)
      } catch (error) {
        await this.#feed(lines)
        this.#endBatch()
        throw error
      }
      await this.#feed(lines)
    }
    if (this.#stop.signal.aborted) return
    const last = splitter.end()
    if (last) await this.#feed([last])
    this.#endBatch()
  }

  async #feedWhole(input: Input): Promise<void> {
    const { maxEntryBytes } = this.#options
    const chunks: Buffer[] = []
    let length = 0
    for await (const chunk of chunksOf(input, this.#stop.signal)) {
      chunks.push(chunk)
      length += chunk.length
      if (length <= maxEntryBytes) continue
      throw new TidemarkError(
        'TOO_LARGE',
        `${input.name} has more than the ${maxEntryBytes} bytes that an entry may have; nothing was appended`,
      )
    }
    if (!this.#stop.signal.aborted) this.#window.add(Buffer.concat(chunks, length))
  }

  async #feed(lines: readonly Buffer[]): Promise<void> {
    const window = this.#window
    const { out } = this.#context
    const { batchLines } = this.#options
    for (const line of lines) {
      if (batchLines === 0) window.add(line)
      else if (this.#batch.push(line) === batchLines) this.#endBatch()
      if (!window.hasRoom) await window.room()
      // Whoever does not read the offsets holds up the appends: they must not pile up here.
      if (!out.hasRoom) await out.room(this.#stop.signal)
      if (window.hasFailed || out.ended.aborted) return
    }
  }

  #endBatch(): void {
    if (this.#batch.length > 0) this.#window.addBatch(this.#batch)
    this.#batch = []
  }

  #acknowledge(first: number, last: number): void {
    // The appends of one group become safe in one turn, and are printed together behind it.
    if (this.#acknowledged === '') process.nextTick(() => this.#print())
    for (let offset = first; offset <= last; offset++) this.#acknowledged += `${offset}\n`
  }

  #print(): void {
    if (this.#acknowledged === '') return
    this.#context.out.write(this.#acknowledged)
    this.#acknowledged = ''
  }
}
