// Opens a changed log in every way that there is. Whatever was done to it: entries as they were written, or
// an error with a code that says so.

import { Buffer } from 'node:buffer'
import { type Entry, inspectLog, Log, type Replica, TidemarkError, verifyLog } from 'tidemark'
import { seededRandom } from '#dist/io/index.js'
import { type ForgetfulFiles, ManualClock } from '#dist/simulation/index.js'
import { dump, readFolder, writeFolder } from '../golden/dump.ts'
import { FOLDER, type GoldenContents, type GoldenEntry } from '../golden/specimens.ts'
import type { Contents } from './mutations.ts'

/** What may be said of a log whose files were changed. */
const CODES = ['CORRUPT', 'UNSUPPORTED_VERSION', 'NOT_FOUND']
/** Where any value may have a checksum that fits, the next offset may also be beyond what there can be. */
const SEALED_CODES = [...CODES, 'TOO_LARGE', 'INVALID_ARGUMENT', 'TRIMMED']

/** Operations on files in one case; an endless loop that reads is ended by this. */
const OPERATIONS_MAX = 50_000

export interface Expected {
  readonly contents: GoldenContents
  /** Checksums were made to fit, so anything may be sound: only the kind of failure is looked at. */
  readonly isResealed: boolean
  /** The evidence of what was synced is gone too: a loss at the end may look like a torn tail... */
  readonly mayLoseSilently: boolean
  /** ...and these entries, cut off by a segment that is gone, may be there again. */
  readonly dead?: readonly GoldenEntry[] | undefined
}

class Examination {
  readonly #changed: Contents
  readonly #expected: Expected
  readonly #entries: ReadonlyMap<number, GoldenEntry>
  readonly #codes: readonly string[]
  /** What an opening or a reading met, by what was done. */
  readonly reported: string[] = []

  constructor(changed: Contents, expected: Expected) {
    this.#changed = changed
    this.#expected = expected
    this.#entries = new Map(expected.contents.entries.map((entry) => [entry.offset, entry]))
    this.#codes = expected.isResealed ? SEALED_CODES : CODES
  }

  disk(): ForgetfulFiles {
    const files = writeFolder(this.#changed, FOLDER)
    let operations = 0
    files.fault = () => {
      if (++operations > OPERATIONS_MAX) throw new Error('an endless loop of reads and writes')
      return undefined
    }
    return files
  }

  /** The result, or undefined if there was an error of the kind that may be. */
  async attempt<T>(what: string, work: () => Promise<T>): Promise<T | undefined> {
    return (await this.#outcome(what, work))?.value
  }

  async #outcome<T>(what: string, work: () => Promise<T>): Promise<{ value: T } | undefined> {
    try {
      return { value: await work() }
    } catch (error) {
      if (error instanceof TidemarkError && this.#codes.includes(error.code)) {
        this.reported.push(what)
        return undefined
      }
      const said = error instanceof Error ? `${error.name}: ${error.message}` : String(error)
      throw new Error(`${what}: ${said}`, { cause: error })
    }
  }

  open(files: ForgetfulFiles, options: { mode?: 'read' | 'append'; replica?: boolean }) {
    const fixed = { files, clock: new ManualClock(), random: seededRandom(3), segmentBytes: 640 }
    return Log.open(FOLDER, { ...fixed, indexIntervalBytes: 128, ...options })
  }

  /** Throws if an entry is not as it was written. */
  #check(what: string, entry: Entry<Uint8Array>): void {
    if (this.#expected.isResealed) return
    const { offset, term, type, timestamp, count, data } = entry
    const found = {
      offset,
      term,
      type,
      timestamp,
      count,
      data: Buffer.from(data).toString('base64'),
    }
    const wanted = this.#entries.get(offset)
    const text = JSON.stringify(found)
    if (text === JSON.stringify(wanted)) return
    const { mayLoseSilently, dead } = this.#expected
    if (mayLoseSilently && dead?.some((entry) => JSON.stringify(entry) === text)) return
    throw new Error(`${what}: a wrong entry ${text}`)
  }

  async #readAll(what: string, log: Log, options: object): Promise<Set<number> | undefined> {
    const found = new Set<number>()
    const whole = await this.attempt(what, async () => {
      for await (const entry of log.read(options)) {
        this.#check(what, entry)
        if (found.has(entry.offset)) throw new Error(`offset ${entry.offset} came twice`)
        found.add(entry.offset)
      }
      return found
    })
    return whole
  }

  #expectAll(what: string, offsets: ReadonlySet<number>): void {
    if (this.#expected.isResealed || this.#expected.mayLoseSilently) return
    const lost = this.#expected.contents.entries.find(({ offset }) => !offsets.has(offset))
    if (lost) throw new Error(`${what}: offset ${lost.offset} is lost in silence`)
  }

  async read(what: string, log: Log): Promise<void> {
    const { entries } = this.#expected.contents
    const found = await this.#readAll(what, log, {})
    const reversed = await this.#readAll(`${what}, reverse`, log, { reverse: true })
    await this.#readAll(`${what}, by time`, log, { fromTimestamp: 1_767_225_600_040 })
    // What a replica shows is up to its high-water mark, which its host can always set again.
    const isAll = !this.#expected.contents.isReplica
    for (const offsets of [found, reversed]) if (offsets && isAll) this.#expectAll(what, offsets)
    for (const { offset, count } of entries) {
      const one = await this.#outcome(`${what}, get`, () => log.get(offset + count - 1))
      if (one?.value) this.#check(`${what}, get`, one.value)
      else if (one && found?.has(offset) && !this.#expected.isResealed) {
        throw new Error(`${what}: get ${offset} finds nothing`)
      }
    }
  }

  /** A replica's host sees what is above the high-water mark too, and is told what is damaged. */
  async #readReplica({ lowWaterMark, replica }: Log): Promise<void> {
    const found = new Set<number>()
    const whole = await this.attempt('replica, stored', async () => {
      for await (const entry of replica.read(lowWaterMark, replica.endOffset)) {
        this.#check('replica, stored', entry)
        found.add(entry.offset)
        const isTerm = replica.termAt(entry.offset) === entry.term
        if (!isTerm && !this.#expected.isResealed) throw new Error('the term of an offset')
      }
      return true
    })
    if (whole && replica.damage.length === 0) this.#expectAll('replica', found)
    if (!this.#expected.isResealed) checkRanges(replica)
  }

  async snapshots(log: Log): Promise<void> {
    for (const offset of (await this.attempt('snapshots', () => log.snapshots.list())) ?? []) {
      const chunks: Uint8Array[] = []
      const whole = await this.attempt('snapshot', async () => {
        for await (const chunk of log.snapshots.read(offset)) chunks.push(chunk)
        return true
      })
      if (!whole || this.#expected.isResealed) continue
      const data = Buffer.concat(chunks).toString('base64')
      const wanted = this.#expected.contents.snapshots.find((each) => each.offset === offset)
      if (data !== wanted?.data) throw new Error(`snapshot ${offset} holds "${data}"`)
    }
  }

  /** Opens for writing. A refusal must leave every byte alone; after an opening, appending must work. */
  async write(): Promise<void> {
    const options = { replica: this.#expected.contents.isReplica }
    const what = options.replica ? 'replica' : 'append'
    const files = this.disk()
    const before = dump(readFolder(files, FOLDER))
    const log = await this.attempt(what, () => this.open(files, options))
    if (!log) {
      if (dump(readFolder(files, FOLDER)) !== before) {
        throw new Error(`${what}: the log was refused and has been changed`)
      }
      return
    }
    if (options.replica) await this.#readReplica(log)
    else await this.read(what, log)
    const appended = await this.attempt(`${what}, go on`, () => {
      return options.replica ? appendToReplica(log.replica) : log.append('appended')
    })
    await this.attempt(`${what}, close`, () => log.close())
    if (appended !== undefined) await this.#expectAppended(what, files, options, appended)
  }

  async #expectAppended(
    what: string,
    files: ForgetfulFiles,
    options: { replica?: boolean },
    offset: number,
  ): Promise<void> {
    const again = await this.attempt(`${what}, again`, () => this.open(files, options))
    if (!again) {
      if (this.#expected.isResealed) return
      throw new Error(`${what}: it opened, took an append, and does not open again`)
    }
    const end = options.replica ? again.replica.endOffset : again.highWaterMark
    if (end !== offset + 1 && !this.#expected.isResealed)
      throw new Error(`${what}: the entry at ${offset} is gone, end ${end}`)
    // Damage in front of it, up to the last index point, is in the way of getting it.
    const entry = await this.attempt(`${what}, get`, () => again.get(offset))
    const isWrong = entry && entry.data.toString() !== 'appended'
    if (isWrong && !this.#expected.isResealed) throw new Error(`${what}: a wrong entry`)
    await again.close()
  }
}

function checkRanges({ damage }: Replica): void {
  for (const { offset, endOffset, position, endPosition } of damage) {
    if (offset >= endOffset || position >= (endPosition ?? Number.POSITIVE_INFINITY)) {
      throw new Error(`a damaged range from ${offset} to ${endOffset}, at ${position}`)
    }
  }
}

async function appendToReplica(replica: Replica): Promise<number> {
  const entry = { term: replica.lastTerm + 1, type: 1, timestamp: 0, count: 1 }
  return (await replica.append([{ ...entry, data: Buffer.from('appended') }])).first
}

/** Throws unless all is well with the log of these files, as far as it can be. */
export async function examine(changed: Contents, expected: Expected): Promise<string[]> {
  const one = new Examination(changed, expected)
  const files = one.disk()
  const before = dump(readFolder(files, FOLDER))
  const reader = await one.attempt('read', () => one.open(files, { mode: 'read' }))
  if (reader) {
    await one.read('read', reader)
    await one.snapshots(reader)
    await reader.close()
  }
  const reported = one.reported.filter((what) => what !== 'snapshot').length
  const report = await one.attempt('verify', () => verifyLog(FOLDER, { files }))
  await one.attempt('inspect', () => inspectLog(FOLDER, { files }))
  if (dump(readFolder(files, FOLDER)) !== before) throw new Error('reading has changed something')
  if (report?.sound && reported > 0 && !expected.isResealed) {
    throw new Error(`verified as sound, but reading reports damage: ${one.reported.join('; ')}`)
  }
  await one.write()
  return one.reported
}
