// A day in the life of a log: its clock is told to move, its disk forgets, and everything that a log
// does by the hour is done by the hour: segments end by age, retention forgets, consumers come and go,
// backups are taken, the power fails, and someone sets the clock. The same seed makes the same day.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { deleteLog, Log, verifyLog } from 'tidemark'
import { cloneAll, crashImage, ForgetfulFiles, ManualClock, seededRandom } from 'tidemark/testing'
import { Consumer } from './consumer.ts'
import { DayModel, textOf } from './day-model.ts'

const FOLDER = '/data/log'
const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const SEGMENT_BYTES = 256 * 1024
const SEGMENT_AGE_MS = 20 * MINUTE
const MAX_AGE_MS = 3 * HOUR
const MAX_BYTES = 3 * 1024 * 1024
/** The slowest sync. */
const SYNC_MS_MAX = 400
/** How far someone may set the clock, and how often in a day. */
const JUMP_MS_MAX = 2 * MINUTE
const BACKUPS_KEPT = 3

type Policy = 'always' | 'never' | { readonly intervalMs: number }

export interface DayOptions {
  readonly seed: number
  readonly hours: number
  readonly onHour?: (report: DayReport) => void
}

export interface DayReport {
  hours: number
  sync: string
  trim: string
  appends: number
  entries: number
  rolls: number
  trims: number
  forgotten: number
  commits: number
  missed: number
  backups: number
  seeks: number
  jumps: number
  kills: number
  powerLosses: number
  /** Acknowledged entries that power loss took, as the policy allows; none under `always`. */
  lost: number
  checked: number
  /** A hash over everything that happened, and when. */
  trace: string
}

export class Day {
  readonly report: DayReport
  readonly #random
  readonly #hours: number
  readonly #onHour: ((report: DayReport) => void) | undefined
  readonly #policy: Policy
  readonly #trim: 'manual' | 'slowest-cursor'
  readonly #trace = createHash('sha256')
  readonly #model = new DayModel()
  readonly #consumers = [
    new Consumer('live', 2 * SECOND, 1000),
    new Consumer('billing', 5 * MINUTE, 2000),
    new Consumer('report', 40 * MINUTE, 5000),
  ]
  #clock: ManualClock
  #files: ForgetfulFiles
  #log!: Log
  #low = 0
  #serial = 0
  /** How often the log was opened: what comes of an earlier opening comes from a process that is gone. */
  #openings = 0
  /** Ms since the day began, whatever the clocks of its machines say. */
  #elapsed = 0
  /** What the logs counted that are no longer open. */
  #rollsBefore = 0
  #trimsBefore = 0
  #backups: { readonly folder: string; readonly end: number }[] = []
  /** Set when anything that runs beside the day has failed. */
  #failure: unknown

  constructor({ seed, hours, onHour }: DayOptions) {
    this.#random = seededRandom(seed)
    this.#hours = hours
    this.#onHour = onHour
    this.#clock = new ManualClock()
    this.#files = new ForgetfulFiles()
    this.#policy = this.#oneOf<Policy>(['always', { intervalMs: SECOND }, 'never'])
    this.#trim = this.#oneOf(['manual', 'slowest-cursor'])
    const none = { appends: 0, entries: 0, rolls: 0, trims: 0, forgotten: 0, commits: 0, missed: 0 }
    this.report = {
      hours: 0,
      sync: JSON.stringify(this.#policy),
      trim: this.#trim,
      ...none,
      ...{ backups: 0, seeks: 0, jumps: 0, kills: 0, powerLosses: 0, lost: 0, checked: 0 },
      trace: '',
    }
  }

  #below(bound: number): number {
    return this.#random.uint32() % bound
  }

  #oneOf<T>(choices: readonly T[]): T {
    return choices[this.#below(choices.length)]!
  }

  #note(event: string): void {
    this.#trace.update(`${this.#elapsed} ${event}\n`)
  }

  /** Runs the day. Throws at the first thing that is not as it must be. */
  async run(): Promise<DayReport> {
    await this.#open()
    for (const consumer of this.#consumers) await this.#during(consumer.arrive(this.#log))
    for (let hour = 1; hour <= this.#hours; hour++) {
      while (this.#elapsed < hour * HOUR) await this.#step()
      await this.#endHour(hour)
    }
    await this.#during(this.#log.close())
    this.#countClosed()
    this.report.trace = this.#trace.digest('hex').slice(0, 16)
    return this.report
  }

  /** The next thing that happens: nearly always an append, at night seldom. */
  async #step(): Promise<void> {
    const hourOfDay = (this.#elapsed / HOUR) % 24
    const meanMs = 700 + 2500 * (1 + Math.cos((hourOfDay / 24) * 2 * Math.PI))
    const gap = Math.ceil(-Math.log((this.#below(1_000_000) + 1) / 1_000_001) * meanMs)
    await this.#advance(gap)
    this.#append()
    for (const consumer of this.#consumers) {
      if (consumer.isDue(this.#elapsed)) {
        await this.#during(consumer.consume(this.#log, this.#model, this.#elapsed))
        this.#note(`${consumer.name} ${consumer.position}`)
      }
    }
    if (this.#below(400) === 0) await this.#seek()
    if (this.#below(2500) === 0) await this.#crash()
    if (this.#below(5000) === 0) this.#jump()
    if (this.#below(1500) === 0) await this.#comeOrGo()
    this.#checkLow()
    if (this.#failure) throw this.#failure
  }

  async #advance(ms: number): Promise<void> {
    await this.#clock.advance(ms)
    this.#elapsed += ms
  }

  /** Lets time pass until something is done. */
  async #during<T>(work: Promise<T>): Promise<T> {
    let isDone = false
    const end = () => {
      isDone = true
    }
    work.then(end, end)
    await new Promise((resolve) => setImmediate(resolve))
    for (let turns = 0; !isDone; turns++) {
      assert.ok(turns < 100_000, 'it does not end')
      await this.#advance(5)
    }
    return work
  }

  #append(): void {
    const log = this.#log
    const opening = this.#openings
    const count = this.#below(10) === 0 ? 1 + this.#below(20) : 1
    const now = this.#clock.now()
    const first = this.#model.next
    const texts = Array.from({ length: count }, () => {
      const size = 12 + this.#below(this.#below(20) === 0 ? 4000 : 300)
      this.#model.submitted(this.#serial, size, now)
      return textOf(this.#serial++, size)
    })
    const appended = count === 1 ? log.append(texts[0]!) : log.appendBatch(texts)
    appended.then(
      (result) => {
        if (opening !== this.#openings) return
        const offset = typeof result === 'number' ? result : result.first
        if (offset !== first) this.#failure ??= new Error(`${first} was given the offset ${offset}`)
        this.#model.acknowledged(first + count, this.#elapsed)
        this.report.appends++
        this.report.entries += count
      },
      (error) => {
        if (opening === this.#openings) this.#failure ??= error
      },
    )
  }

  async #open(): Promise<void> {
    const delay = async () => {
      const ms = this.#below(50) === 0 ? this.#below(SYNC_MS_MAX) : 1 + this.#below(20)
      await new Promise<void>((resolve) => this.#clock.after(ms, resolve))
    }
    this.#files.syncDelay = delay
    const opened = Log.open(FOLDER, {
      sync: this.#policy,
      trim: this.#trim,
      segmentBytes: SEGMENT_BYTES,
      segmentAgeMs: SEGMENT_AGE_MS,
      retention: { maxAgeMs: MAX_AGE_MS, maxBytes: MAX_BYTES },
      files: this.#files,
      clock: this.#clock,
      random: this.#random,
    })
    this.#log = await this.#during(opened)
  }

  /** The process ends, or the power fails; the log is opened again. What was promised must be there. */
  async #crash(): Promise<void> {
    const isKill = this.#below(2) === 0
    this.#countClosed()
    const safe = isKill ? this.#model.acknowledgedEnd() : this.#safeEnd()
    const appended = this.#model.next
    const low = this.#log.lowWaterMark
    this.#openings++
    this.#files = isKill ? cloneAll(this.#files) : crashImage(this.#files, this.#random).files
    // What is left of the process must not see the time go on.
    this.#clock = new ManualClock(this.#clock.now())
    await this.#advance(10 * SECOND + this.#below(MINUTE))
    await this.#open()
    const { lowWaterMark, highWaterMark } = this.#log
    assert.ok(highWaterMark >= safe, `${safe} was safe, but the log ends at ${highWaterMark}`)
    assert.ok(highWaterMark <= appended, `${highWaterMark} was never appended`)
    assert.ok(lowWaterMark >= low, `the low-water mark went back from ${low} to ${lowWaterMark}`)
    this.report.lost += this.#model.reopened(highWaterMark)
    for (const consumer of this.#consumers) {
      if (isKill) consumer.killed()
      else await this.#during(consumer.powerLost(this.#log))
    }
    this.#checkLow()
    await this.#checkAll()
    for (const consumer of this.#consumers) await this.#during(consumer.arrive(this.#log))
    if (isKill) this.report.kills++
    else this.report.powerLosses++
    this.#note(`crash ${isKill} ${lowWaterMark} ${highWaterMark}`)
  }

  /** The end of what a power loss must leave, by README's table. */
  #safeEnd(): number {
    const model = this.#model
    if (this.#policy === 'always') return model.acknowledgedEnd()
    if (this.#policy === 'never') return model.flushed
    const by = this.#elapsed - this.#policy.intervalMs - SYNC_MS_MAX
    return Math.max(model.flushed, model.acknowledgedEnd(by))
  }

  #countClosed(): void {
    const { rolls, trims } = this.#log.metrics()
    this.#rollsBefore += rolls
    this.#trimsBefore += trims
    this.report.rolls = this.#rollsBefore
    this.report.trims = this.#trimsBefore
    this.report.commits = this.#consumers.reduce((sum, { commits }) => sum + commits, 0)
    this.report.missed = this.#consumers.reduce((sum, { missed }) => sum + missed, 0)
  }

  /** Whenever the low-water mark has moved, something must have allowed it to. */
  #checkLow(): void {
    const low = this.#log.lowWaterMark
    if (low === this.#low) return
    assert.ok(low > this.#low, `the low-water mark went back from ${this.#low} to ${low}`)
    const model = this.#model
    const isOld = model.newestIn(this.#low, low) < this.#clock.now() - MAX_AGE_MS
    // Without the last segment that went there was still too much.
    const isMuch = (model.bytesFrom(low) + SEGMENT_BYTES) * 1.01 > MAX_BYTES
    const made = this.#consumers.filter(({ exists }) => exists)
    const isRead =
      this.#trim === 'slowest-cursor' &&
      made.length > 0 &&
      made.every(({ position }) => position >= low)
    assert.ok(
      isOld || isMuch || isRead,
      `nothing allowed to forget ${this.#low} to ${low}: ${model.bytesFrom(low)} bytes are left`,
    )
    this.report.forgotten += low - this.#low
    this.#note(`low ${low}`)
    this.#low = low
    model.trimmed(low)
  }

  /** Reads the whole log. */
  async #checkAll(): Promise<void> {
    let expected = this.#log.lowWaterMark
    const read = async () => {
      for await (const entry of this.#log.read()) {
        assert.equal(entry.offset, expected++)
        this.#model.check(entry)
      }
    }
    await this.#during(read())
    assert.equal(expected, this.#log.highWaterMark)
    this.report.checked += expected - this.#log.lowWaterMark
  }

  /** The first entry since some moment is the first in the order of the log. */
  async #seek(): Promise<void> {
    const { lowWaterMark, highWaterMark } = this.#log
    const since = this.#clock.now() - this.#below(MAX_AGE_MS + HOUR)
    let found: number | undefined
    const read = async () => {
      for await (const entry of this.#log.read({ fromTimestamp: since, to: highWaterMark })) {
        found = entry.offset
        this.#model.check(entry)
        break
      }
    }
    await this.#during(read())
    const expected = this.#model.firstSince(since, lowWaterMark, highWaterMark)
    if (this.#log.lowWaterMark === lowWaterMark) assert.equal(found, expected, `since ${since}`)
    this.report.seeks++
    this.#note(`seek ${found}`)
  }

  /** Someone sets the clock. */
  #jump(): void {
    this.#clock.jump(this.#below(2 * JUMP_MS_MAX) - JUMP_MS_MAX)
    this.report.jumps++
  }

  /** A consumer goes away for a while, or comes back. */
  async #comeOrGo(): Promise<void> {
    const consumer = this.#oneOf(this.#consumers)
    await this.#during(consumer.isHere ? consumer.leave() : consumer.arrive(this.#log))
    this.#note(`${consumer.name} ${consumer.isHere}`)
  }

  async #endHour(hour: number): Promise<void> {
    await this.#backUp(hour)
    await this.#during(this.#log.flush())
    this.#model.flushed = this.#model.acknowledgedEnd()
    this.#checkLow()
    await this.#checkAll()
    this.#checkKept()
    const timers = this.#clock.pendingTimers
    assert.ok(timers <= 2, `${timers} timers are set, though nothing is under way`)
    this.report.hours = hour
    this.#onHour?.(this.report)
  }

  /** No more is kept than retention says, but for a segment that had not ended at the last roll. */
  #checkKept(): void {
    const { storeBytes } = this.#log.metrics()
    assert.ok(storeBytes <= MAX_BYTES + SEGMENT_BYTES, `${storeBytes} bytes are kept`)
    const now = this.#clock.now()
    const ageMax = MAX_AGE_MS + 2 * SEGMENT_AGE_MS + 4 * JUMP_MS_MAX
    const low = this.#log.lowWaterMark
    const oldest = this.#model.newestIn(low, low + 1)
    assert.ok(oldest >= now - ageMax, `the oldest entry is ${now - oldest} ms old`)
  }

  /** A backup while appends go on: sound, a prefix of the log, and no shorter than it was at the start. */
  async #backUp(hour: number): Promise<void> {
    const folder = `/backups/hour-${hour}-${this.#serial}`
    const highAtStart = this.#log.highWaterMark
    const backup = this.#log.backup(folder)
    this.#append()
    const made = await this.#during(backup)
    assert.ok(made.highWaterMark >= highAtStart)
    this.#backups.push({ folder, end: made.highWaterMark })
    if (this.#backups.length > BACKUPS_KEPT) {
      await this.#during(deleteLog(this.#backups.shift()!.folder, { files: this.#files }))
    }
    for (const { folder, end } of this.#backups) {
      const verified = await this.#during(verifyLog(folder, { files: this.#files }))
      assert.deepEqual(verified.damage, [], folder)
      assert.equal(verified.highWaterMark, end, folder)
    }
    const copy = await this.#during(
      Log.open(folder, { mode: 'read', files: this.#files, clock: this.#clock }),
    )
    for await (const entry of copy.read()) {
      if (entry.offset >= this.#low) this.#model.check(entry)
    }
    await copy.close()
    this.report.backups++
    this.#note(`backup ${end(made)}`)
  }
}

function end({ lowWaterMark, highWaterMark }: { lowWaterMark: number; highWaterMark: number }) {
  return `${lowWaterMark} to ${highWaterMark}`
}
