import { isUtf8 } from 'node:buffer'
import { setImmediate as turn } from 'node:timers/promises'
import { ENTRY_BYTES_DEFAULT, TidemarkError } from '../../base/index.ts'
import type { SetOptions } from '../../machine/index.ts'
import { UsageError } from '../arguments.ts'
import type { Context } from '../command.ts'
import { chunksOf, type Input } from '../input.ts'
import { LineSplitter } from '../lines.ts'
import { Window } from '../window.ts'
import { escaped, unescaped } from './escapes.ts'
import type { TextMap } from './map.ts'

/** A line that is longer may have a key or a value that is too large. */
const SURELY_FITS_BYTES = 0xffff

export interface SetJobOptions {
  /** Print each key once it is safe. */
  readonly acknowledge: boolean
  readonly set: SetOptions
}

/** A line whose key is being set. */
interface Line {
  readonly key: string
  readonly bytes: number
  isSafe: boolean
}

/** Sets the keys of an input, line by line and many at a time, and says which are safe. */
export class SetJob {
  readonly #map: TextMap
  readonly #context: Context
  readonly #options: SetJobOptions
  readonly #stop = new AbortController()
  readonly #window = new Window(() => this.#stop.abort())
  /** Lines that were begun and not yet told, in the order of the input; those before `#head` are told. */
  #lines: Line[] = []
  #head = 0
  #read = 0
  /** Keys that are safe and not yet printed. */
  #acknowledged = ''
  /** Lines whose key was set, and what they had. */
  done = 0
  bytes = 0

  constructor(map: TextMap, context: Context, options: SetJobOptions) {
    this.#map = map
    this.#context = context
    this.#options = options
    const stop = () => this.#stop.abort()
    for (const signal of [context.interrupted, context.out.ended]) {
      if (signal.aborted) stop()
      signal.addEventListener('abort', stop)
    }
  }

  /** Resolves when the input has ended, or reading was stopped, and all whole lines that were read are safe. */
  async run(input: Input): Promise<void> {
    try {
      await this.#feedAll(input)
    } catch (error) {
      // A line that could not be set comes first, in time and in importance.
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
      const message = `${error.message} (line ${this.done + 1} of the input)`
      throw new TidemarkError(error.code, message, error.details, error)
    } finally {
      this.#print()
    }
  }

  async #feedAll(input: Input): Promise<void> {
    const splitter = new LineSplitter(ENTRY_BYTES_DEFAULT)
    for await (const chunk of chunksOf(input, this.#stop.signal)) {
      const lines: Buffer[] = []
      try {
        splitter.push(chunk, lines)
      } catch (error) {
        await this.#feed(lines)
        throw error
      }
      await this.#feed(lines)
    }
    const last = this.#stop.signal.aborted ? undefined : splitter.end()
    if (last) await this.#feed([last])
  }

  async #feed(lines: readonly Buffer[]): Promise<void> {
    const { out } = this.#context
    for (const line of lines) {
      this.#set(line)
      // What is refused for its size is refused within a turn: nothing is to follow it.
      if (line.length > SURELY_FITS_BYTES) await turn()
      if (!this.#window.hasRoom) await this.#window.room()
      // Whoever does not read the keys holds up the work: they must not pile up here.
      if (!out.hasRoom) await out.room(this.#stop.signal)
      if (this.#window.hasFailed || out.ended.aborted) return
    }
  }

  #set(bytes: Buffer): void {
    const [key, value] = this.#fields(bytes)
    const line = { key, bytes: bytes.length, isSafe: false }
    this.#lines.push(line)
    this.#window.track(this.#map.set(key, value, this.#options.set), 1, bytes.length, () => {
      line.isSafe = true
      this.#tell()
    })
  }

  #fields(bytes: Buffer): [key: string, value: string] {
    this.#read++
    if (!isUtf8(bytes)) throw this.#wrong('is not UTF-8')
    const line = bytes.toString('utf8')
    const tab = line.indexOf('\t')
    if (tab < 0) throw this.#wrong('has no TAB between a key and a value')
    const wrong = (pair: string) => {
      return this.#wrong(`has ${pair}, which is none of \\\\, \\t, \\n and \\r`)
    }
    return [unescaped(line.slice(0, tab), wrong), unescaped(line.slice(tab + 1), wrong)]
  }

  #wrong(problem: string): UsageError {
    return new UsageError(
      `line ${this.#read} of the input ${problem}; the lines before it were set, the rest was not`,
    )
  }

  /** Tells of the lines that are safe, none before those in front of it. */
  #tell(): void {
    for (; this.#lines[this.#head]?.isSafe; this.#head++) {
      const { key, bytes } = this.#lines[this.#head]!
      this.done++
      this.bytes += bytes
      if (!this.#options.acknowledge) continue
      // What becomes safe in one turn is printed together behind it.
      if (this.#acknowledged === '') process.nextTick(() => this.#print())
      this.#acknowledged += `${escaped(key)}\n`
    }
    if (this.#head * 2 < this.#lines.length) return
    this.#lines = this.#lines.slice(this.#head)
    this.#head = 0
  }

  #print(): void {
    if (this.#acknowledged === '') return
    this.#context.out.write(this.#acknowledged)
    this.#acknowledged = ''
  }
}
