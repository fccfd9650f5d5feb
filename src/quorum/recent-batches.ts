import { TidemarkError } from '../base/index.ts'
import type { Log } from '../log/index.ts'
import type { CatchUp } from './catch-up.ts'
import { type Batch, LATER, type LogView } from './core/index.ts'
import { batchOf } from './wire/index.ts'

type Entries = Parameters<typeof batchOf>[0]

/** In the place of a batch that is not kept any more. */
const NOTHING: Batch = { term: 0, start: 0, end: 0, bytes: 0, kind: 'data', payload: undefined }

/** How many stretches that were read for somebody wait to be asked for again. */
const FETCHED_MAX = 64

/**
 * The batches of a log as its core sees them: the last ones from memory, older ones once they have been
 * read from the disk.
 */
export class RecentBatches implements LogView {
  readonly #log: Log
  readonly #bytesMax: number
  readonly #catchUp: CatchUp | undefined
  /** Called when batches that were not there have been read, or could not be. */
  readonly #onFetched: (error?: unknown) => void
  /** They follow one another to the end of what was written; those before `#first` are gone. */
  #recent: Batch[] = []
  #first = 0
  #bytes = 0
  /** Stretches that were read, by their first mark, or are being read. */
  readonly #fetched = new Map<number, { batches: readonly Batch[] | undefined }>()

  constructor(
    log: Log,
    bytesMax: number,
    onFetched: (error?: unknown) => void,
    catchUp?: CatchUp | undefined,
  ) {
    this.#log = log
    this.#catchUp = catchUp
    this.#bytesMax = bytesMax
    this.#onFetched = onFetched
  }

  batches(from: number, to: number, maxBytes: number): readonly Batch[] | typeof LATER {
    const first = this.#recent[this.#first]
    if (first && from >= first.start) return within(this.#recent, this.#indexOf(from), to, maxBytes)
    const fetched = this.#fetched.get(from)
    if (fetched?.batches) {
      this.#fetched.delete(from)
      return within(fetched.batches, 0, to, maxBytes)
    }
    if (!fetched) void this.#fetch(from, to, maxBytes)
    return LATER
  }

  /** Batches have been handed to the log. */
  written(batches: readonly Batch[]): void {
    for (const batch of batches) {
      this.#recent.push(batch)
      this.#bytes += batch.bytes
    }
    while (this.#bytes > this.#bytesMax && this.#first < this.#recent.length - 1) {
      this.#bytes -= this.#recent[this.#first]!.bytes
      // What is gone holds no memory.
      this.#recent[this.#first++] = NOTHING
    }
    if (this.#first <= this.#recent.length >> 1) return
    this.#recent.splice(0, this.#first)
    this.#first = 0
  }

  /** The log is cut: what lies above the mark is not what it will be. */
  cut(mark: number): void {
    while (this.#recent.length > this.#first && this.#recent.at(-1)!.end > mark) {
      this.#bytes -= this.#recent.pop()!.bytes
    }
    for (const from of this.#fetched.keys()) this.#fetched.delete(from)
  }

  clear(): void {
    this.cut(-1)
  }

  #indexOf(mark: number): number {
    let low = this.#first
    let high = this.#recent.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#recent[middle]!.start < mark) low = middle + 1
      else high = middle
    }
    return low
  }

  async #read(read: () => Promise<number>): Promise<void> {
    if (this.#catchUp) await this.#catchUp.turn(read)
    else await read()
  }

  async #fetch(from: number, to: number, maxBytes: number): Promise<void> {
    if (this.#fetched.size >= FETCHED_MAX) this.#fetched.clear()
    const fetch: { batches: readonly Batch[] | undefined } = { batches: undefined }
    this.#fetched.set(from, fetch)
    // A cut meanwhile has made what is read worthless, and may make it fail; another read may have begun since.
    const isWanted = () => this.#fetched.get(from) === fetch
    let failure: unknown
    try {
      await this.#read(async () => {
        fetch.batches = await readBatches(this.#log, from, to, maxBytes)
        return fetch.batches.reduce((sum, { bytes }) => sum + bytes, 0)
      })
    } catch (error) {
      // What was trimmed meanwhile the core will not ask for again.
      const isTrimmed = error instanceof TidemarkError && error.code === 'TRIMMED'
      if (isWanted()) {
        this.#fetched.delete(from)
        if (!isTrimmed) failure = error
      }
    }
    this.#onFetched(failure)
  }
}

function within(batches: readonly Batch[], at: number, to: number, maxBytes: number): Batch[] {
  const found: Batch[] = []
  let bytes = 0
  for (let i = at; i < batches.length; i++) {
    const batch = batches[i]!
    bytes += batch.bytes
    if (batch.end > to || (found.length > 0 && bytes > maxBytes)) break
    found.push(batch)
  }
  return found
}

/** Whole batches from `from` on, below `to`, until they are more than `maxBytes`. */
export async function readBatches(
  log: Log,
  from: number,
  to: number,
  maxBytes: number,
): Promise<Batch[]> {
  const found: Batch[] = []
  let entries: Entries[number][] = []
  let bytes = 0
  for await (const entry of log.replica.read(from, to)) {
    entries.push(entry)
    if (entry.more) continue
    const batch = batchOf(entries)
    found.push(batch)
    entries = []
    bytes += batch.bytes
    if (bytes >= maxBytes) break
  }
  return found
}
