// The logs whose bytes are kept as golden files. Everything in them follows from a clock that stands
// still and a seeded source of random numbers, so writing them again gives the same bytes.

import { type AppendOptions, Log } from 'tidemark'
import { seededRandom } from '#dist/io/index.js'
import { cloneAll, errnoError, ForgetfulFiles, ManualClock } from '#dist/simulation/index.js'

export const FOLDER = '/log'

/** An entry as it must be found; its data in base64, so that a list of them is text. */
export interface GoldenEntry {
  readonly offset: number
  readonly term: number
  readonly type: number
  readonly timestamp: number
  readonly count: number
  readonly data: string
}

/** All that a reader must find in a specimen. */
export interface GoldenContents {
  readonly isReplica: boolean
  readonly lowWaterMark: number
  readonly highWaterMark: number
  /** All that is stored; in a replica's log that may reach beyond the high-water mark. */
  readonly entries: readonly GoldenEntry[]
  /** Offset and data of each snapshot. */
  readonly snapshots: readonly { readonly offset: number; readonly data: string }[]
}

export interface Specimen {
  readonly files: ForgetfulFiles
  readonly contents: GoldenContents
  /** Entries that were cut off, and whose bytes are still there. */
  readonly dead?: readonly GoldenEntry[]
}

/** A log that notes what is done to it, so that what must be found is not read from the log itself. */
class Script {
  readonly files = new ForgetfulFiles()
  readonly clock = new ManualClock()
  readonly #random = seededRandom(20_261_121)
  readonly #segmentBytes: number
  readonly #entries: GoldenEntry[] = []
  readonly #snapshots: { offset: number; data: string }[] = []
  #log!: Log
  #term = 0
  #low = 0
  #end = 0

  constructor(segmentBytes: number) {
    this.#segmentBytes = segmentBytes
  }

  /** Opens the log as a new writer, whose term is one higher. */
  async open(): Promise<void> {
    const { files, clock } = this
    this.#log = await Log.open(FOLDER, {
      files,
      clock,
      random: this.#random,
      segmentBytes: this.#segmentBytes,
      indexIntervalBytes: 128,
    })
    this.#term++
  }

  async append(data: readonly Uint8Array[], options: AppendOptions = {}): Promise<void> {
    await this.#log.appendBatch(data, options)
    const { type = 1, timestamp = this.clock.now(), count = 1 } = options
    for (const one of data) {
      const base64 = Buffer.from(one).toString('base64')
      const fields = { term: this.#term, type, timestamp, count, data: base64 }
      this.#entries.push({ offset: this.#end, ...fields })
      this.#end += count
    }
    await this.clock.advance(10)
  }

  async trim(before: number): Promise<void> {
    await this.#log.trim(before)
    this.#low = before
  }

  async snapshot(offset: number, chunks: readonly Uint8Array[]): Promise<void> {
    await this.#log.snapshots.write(offset, chunks)
    this.#snapshots.push({ offset, data: Buffer.concat(chunks).toString('base64') })
  }

  close(): Promise<void> {
    return this.#log.close()
  }

  /** The process is killed while it writes this batch, of which only the first `landed` bytes land. */
  async killedWhileAppending(data: readonly Uint8Array[], landed: number): Promise<ForgetfulFiles> {
    const { files } = this
    let left: ForgetfulFiles | undefined
    files.fault = (op) => {
      if (op.kind !== 'write' || !op.path.endsWith('.store')) return undefined
      // Before the log could put it right: what lies on the disk now is what the next opening finds.
      files.onOperation = () => {
        left ??= cloneAll(files)
      }
      files.fault = undefined
      return { short: landed }
    }
    await this.#log.appendBatch(data).catch(() => {})
    files.onOperation = undefined
    await this.#log.close()
    if (!left) throw new Error('the write did not fail')
    return left
  }

  get contents(): GoldenContents {
    return {
      isReplica: false,
      lowWaterMark: this.#low,
      highWaterMark: this.#end,
      entries: this.#entries.filter((entry) => entry.offset + entry.count > this.#low),
      snapshots: this.#snapshots,
    }
  }
}

const text = (...words: string[]) => words.map((word) => Buffer.from(word))
/** Every byte there is, from `first` on. */
const binary = (first: number, length: number) =>
  Uint8Array.from({ length }, (_, i) => (first + i) & 0xff)

/** Closed cleanly, by its third writer: segments sealed and active, trimmed into one of them. */
export async function closedLog(): Promise<Specimen> {
  const script = new Script(640)
  await script.open()
  await script.append(text('the first entry'))
  await script.append(text('a batch', '', 'of three'))
  await script.append([binary(0, 256)])
  await script.append(text('a type of the user'), { type: 128, timestamp: 0 })
  await script.append(text('the last type, the last moment'), { type: 255, timestamp: 2 ** 48 - 1 })
  await script.append([binary(128, 200), new Uint8Array(40)])
  await script.close()
  await script.open()
  await script.append(text('five offsets'), { count: 5 })
  await script.append(text('three offsets', 'and three'), { count: 3, type: 200 })
  await script.trim(6)
  for (let i = 0; i < 6; i++) await script.append([binary(i, 40 * i)])
  await script.close()
  await script.open()
  await script.append(text('ein Übergang', '潮汐', '🌊'))
  await script.snapshot(14, text('a state in', ' two chunks'))
  await script.snapshot(20, [])
  await script.append(text('the last entry'), { timestamp: 1_000 })
  await script.close()
  return { files: script.files, contents: script.contents }
}

/** Killed in the middle of a write: two entries of a batch of three are whole, the third is torn. */
export async function killedLog(): Promise<Specimen> {
  const script = new Script(1280)
  await script.open()
  for (let i = 0; i < 5; i++) await script.append([binary(16 * i, 100 + i)])
  await script.close()
  await script.open()
  await script.append(text('before', 'the', 'end'))
  await script.append(text('the last that was promised'), { type: 130, count: 2 })
  const batch = text('whole', 'whole as well', 'torn in its data')
  const files = await script.killedWhileAppending(batch, 45 + 53 + 40 + 4)
  return { files, contents: script.contents }
}

/**
 * A replica's log, killed: entries of several terms, a cut that has left dead bytes at the end of a
 * segment, and entries that are not committed.
 */
export async function replicaLog(): Promise<Specimen> {
  const files = new ForgetfulFiles()
  const clock = new ManualClock()
  const fixed = { files, clock, random: seededRandom(7), indexIntervalBytes: 128 }
  const log = await Log.open(FOLDER, { ...fixed, segmentBytes: 640, replica: true })
  let entries: GoldenEntry[] = []
  const append = async (term: number, ...words: string[]) => {
    const batch = words.map((word, i) => {
      return {
        term,
        type: i === 0 ? 2 : 1,
        timestamp: 1000 * term + i,
        count: 1 + i,
        data: Buffer.from(word),
      }
    })
    let { first: offset } = await log.replica.append(batch)
    for (const { data, ...fields } of batch) {
      entries.push({ offset, ...fields, data: data.toString('base64') })
      offset += fields.count
    }
    await clock.advance(10)
  }
  await append(1, 'elected')
  for (let i = 0; i < 5; i++)
    await append(1, `in term one: ${'x'.repeat(30 * i)}`, 'and its sibling')
  log.replica.commit(7)
  await append(4, 'elected, and never committed', 'nor was this')
  // The space behind a cut is given back where that can be done. Here it cannot.
  files.fault = (op) =>
    op.kind === 'truncate' ? errnoError('EIO', 'ftruncate', op.path) : undefined
  await log.replica.truncateAfter(16)
  files.fault = undefined
  const dead = entries.filter(({ offset }) => offset >= 16)
  entries = entries.filter(({ offset }) => offset < 16)
  for (const term of [5, 9]) await append(term, `elected in term ${term}`, 'two', 'three')
  log.replica.commit(22)
  await clock.advance(10)
  const left = cloneAll(files)
  await log.close()
  const marks = { lowWaterMark: 0, highWaterMark: 22 }
  return { files: left, contents: { isReplica: true, ...marks, entries, snapshots: [] }, dead }
}

/** Three entries, one snapshot: the log that docs/format.md shows byte by byte. */
export async function exampleLog(): Promise<Specimen> {
  const script = new Script(64 * 1024 * 1024)
  await script.open()
  await script.append(text('hello'))
  await script.append(text('tide', ''), { type: 128 })
  await script.snapshot(3, text('state'))
  await script.close()
  return { files: script.files, contents: script.contents }
}

/** The specimens that are committed, by name. */
export const SPECIMENS = { closed: closedLog, killed: killedLog, replica: replicaLog } as const
