import { closeSync, fdatasyncSync, fsyncSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { MIB } from '../../base/index.ts'
import { seededRandom } from '../../io/index.ts'
import { Log } from '../../log/index.ts'

const ENTRY_BYTES = 128
/** What an entry of that size takes in a store. */
const WRITE_BYTES = 168
const FLOOR_FILE_BYTES = 8 * MIB
const SCANNED_ENTRIES = 500_000
const BATCH = 256

/** What was measured of one kind of work. */
export interface BenchRow {
  readonly name: string
  readonly entries: number
  readonly perSecond: number
  /** Of one operation; undefined where operations overlap or are not told apart. */
  readonly p50Us: number | undefined
  readonly p99Us: number | undefined
}

/** Where and how long to measure. */
export interface BenchWork {
  readonly folder: string
  readonly millisecondsPerRow: number
  readonly signal: AbortSignal
}

type Measure = (work: BenchWork) => Promise<BenchRow>

const DATA = Buffer.alloc(ENTRY_BYTES, 'x')

/** Repeats an operation until the time is over, and notes how long each took. */
class Meter {
  readonly #name: string
  readonly #work: BenchWork
  readonly #startedAt = performance.now()
  readonly #times: number[] = []
  #entries = 0

  constructor(name: string, work: BenchWork) {
    this.#name = name
    this.#work = work
  }

  /** Throws the reason of an interruption. */
  get isOver(): boolean {
    this.#work.signal.throwIfAborted()
    return performance.now() - this.#startedAt >= this.#work.millisecondsPerRow
  }

  count(entries: number): void {
    this.#entries += entries
  }

  /** Notes an operation that began at `startedAt`. */
  time(startedAt: number, entries = 1): void {
    this.#times.push(performance.now() - startedAt)
    this.#entries += entries
  }

  row(): BenchRow {
    const seconds = (performance.now() - this.#startedAt) / 1000
    const sorted = this.#times.sort((a, b) => a - b)
    const at = (share: number) => {
      const time = sorted[Math.floor(sorted.length * share)]
      return time === undefined ? undefined : Math.round(time * 1000)
    }
    const perSecond = Math.round(this.#entries / seconds)
    const name = this.#name
    return { name, entries: this.#entries, perSecond, p50Us: at(0.5), p99Us: at(0.99) }
  }
}

/** What no log can be faster than: one small write and one sync, into space that is there. */
async function floor(work: BenchWork): Promise<BenchRow> {
  const fd = openSync(join(work.folder, 'floor'), 'wx')
  try {
    writeSync(fd, Buffer.alloc(FLOOR_FILE_BYTES), 0, FLOOR_FILE_BYTES, 0)
    fsyncSync(fd)
    const data = Buffer.alloc(WRITE_BYTES, 'x')
    const meter = new Meter('floor: write and fdatasync', work)
    for (let at = 0; !meter.isOver; at = (at + WRITE_BYTES) % (FLOOR_FILE_BYTES - WRITE_BYTES)) {
      const startedAt = performance.now()
      writeSync(fd, data, 0, WRITE_BYTES, at)
      fdatasyncSync(fd)
      meter.time(startedAt)
      // Ctrl-C is heard between two turns.
      await new Promise<void>((resolve) => setImmediate(resolve))
    }
    return meter.row()
  } finally {
    closeSync(fd)
  }
}

async function withLog<R>(work: BenchWork, name: string, use: (log: Log) => Promise<R>) {
  const sync = name === 'unsynced' || name === 'scan' ? 'never' : 'always'
  const log = await Log.open(join(work.folder, name), { sync })
  try {
    return await use(log)
  } finally {
    await log.close()
  }
}

function serial(work: BenchWork): Promise<BenchRow> {
  return withLog(work, 'serial', async (log) => {
    const meter = new Meter('append, one after the other', work)
    while (!meter.isOver) {
      const startedAt = performance.now()
      await log.append(DATA)
      meter.time(startedAt)
    }
    return meter.row()
  })
}

function concurrent(name: string, title: string): Measure {
  return (work) =>
    withLog(work, name, async (log) => {
      const meter = new Meter(title, work)
      const one = async () => {
        while (!meter.isOver) {
          await log.append(DATA)
          meter.count(1)
        }
      }
      await Promise.all(Array.from({ length: BATCH }, one))
      return meter.row()
    })
}

function batches(work: BenchWork): Promise<BenchRow> {
  return withLog(work, 'batches', async (log) => {
    const batch = Array.from({ length: BATCH }, () => DATA)
    const meter = new Meter(`appendBatch of ${BATCH}`, work)
    while (!meter.isOver) {
      const startedAt = performance.now()
      await log.appendBatch(batch)
      meter.time(startedAt, BATCH)
    }
    return meter.row()
  })
}

/** Fills the log that is scanned, once. */
async function fill(log: Log): Promise<void> {
  const batch = Array.from({ length: 1000 }, () => DATA)
  while (log.highWaterMark < SCANNED_ENTRIES) await log.appendBatch(batch)
}

function scan(work: BenchWork): Promise<BenchRow> {
  return withLog(work, 'scan', async (log) => {
    await fill(log)
    const meter = new Meter('scan, checksums verified', work)
    do {
      for await (const entries of log.read().batches()) {
        meter.count(entries.length)
        if (meter.isOver) break
      }
    } while (!meter.isOver)
    return meter.row()
  })
}

function randomGet(work: BenchWork): Promise<BenchRow> {
  return withLog(work, 'scan', async (log) => {
    const random = seededRandom(1)
    const meter = new Meter('random get', work)
    while (!meter.isOver) {
      for (let i = 0; i < BATCH; i++) await log.get(random.uint32() % SCANNED_ENTRIES)
      meter.count(BATCH)
    }
    return meter.row()
  })
}

/** In the order in which they are shown. */
export const MEASURES: readonly Measure[] = [
  floor,
  serial,
  concurrent('concurrent', `append, ${BATCH} at a time`),
  batches,
  concurrent('unsynced', `append without sync, ${BATCH} at a time`),
  scan,
  randomGet,
]
