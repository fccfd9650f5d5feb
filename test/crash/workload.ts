// One random run of a log over the forgetful file system, with images taken as it goes.
import type { Random } from '#dist/io/index.js'
import type { CrashImage, ForgetfulFiles, ManualClock } from '#dist/simulation/index.js'
import { contentsOf, LOG_FOLDER, type Settings } from './check.ts'
import type { Library } from './library.ts'
import { type Expectation, Model } from './model.ts'

export interface Sample {
  readonly image: CrashImage
  readonly expected: Expectation
  /** What must be there: after a power loss, or after the end of the process alone. */
  readonly promised: ReadonlyMap<number, string>
  readonly operation: string
}

type Log = Awaited<ReturnType<Library['Log']['open']>>
type Policy = 'always' | 'never' | { intervalMs: number }

/** A run, and what it may do. Everything follows from the random source. */
export class Workload {
  readonly samples: Sample[] = []
  readonly settings: Settings
  readonly events = new Map<string, number>()
  readonly #library: Library
  readonly #random: Random
  readonly #model = new Model()
  readonly #clock: ManualClock
  readonly #policy: Policy
  readonly #preallocate: boolean
  readonly #perOperation: number
  #files: ForgetfulFiles
  #log!: Log
  #batch = 0
  #term = 1
  #waiting: Promise<unknown>[] = []
  /** What a reader that follows has been shown since the log was opened. */
  #shown = new Map<number, string>()

  constructor(library: Library, random: Random, perOperation: number) {
    this.#library = library
    this.#random = random
    this.#perOperation = perOperation
    this.#clock = new library.ManualClock()
    this.#files = new library.ForgetfulFiles()
    this.#policy = this.#oneOf<Policy>(['always', 'always', 'always', 'never', { intervalMs: 5 }])
    this.#preallocate = this.#below(2) === 0
    this.settings = {
      segmentBytes: this.#oneOf([512, 700, 1024, 2048, 8192]),
      indexIntervalBytes: this.#oneOf([1, 100, 4096]),
      replica: this.#below(4) === 0,
    }
  }

  #below(bound: number): number {
    return this.#random.uint32() % bound
  }

  #oneOf<T>(choices: readonly T[]): T {
    return choices[this.#below(choices.length)]!
  }

  #count(event: string): void {
    this.events.set(event, (this.events.get(event) ?? 0) + 1)
  }

  async run(steps: number): Promise<void> {
    this.#delaySyncs()
    this.#watch()
    await this.#open()
    for (let i = 0; i < steps; i++) await this.#step()
    await this.#settleAll()
    if (this.#below(2) === 0) await this.#close()
  }

  /** Takes images before each operation that changes the disk. */
  #watch(): void {
    const files = this.#files
    files.onOperation = (op) => {
      if (files !== this.#files) return
      const expected = this.#model.expectation
      const operation = `${op.kind} ${op.path}`
      const { crashImage, extremeImages, cloneAll } = this.#library
      const add = (image: CrashImage, promised: ReadonlyMap<number, string>) => {
        this.samples.push({ image, expected, promised, operation })
      }
      for (let i = 0; i < this.#perOperation; i++) {
        add(crashImage(files, this.#random), expected.durable)
      }
      if (this.#below(12) === 0) {
        for (const image of extremeImages(files, 24)) add(image, expected.durable)
      }
      if (this.#below(12) === 0) {
        const killed = { files: cloneAll(files), fingerprint: -1, kind: 'killed' }
        add(killed, expected.acknowledged)
      }
    }
  }

  async #open(): Promise<void> {
    const { settings } = this
    this.#log = await this.#library.Log.open(LOG_FOLDER, {
      ...settings,
      sync: this.#policy,
      preallocate: this.#preallocate,
      files: this.#files,
      clock: this.#clock,
      random: this.#random,
    })
    if (settings.replica) this.#term = this.#log.replica.lastTerm + 1
    this.#shown = new Map()
    if (this.#below(3) === 0) this.#follow(this.#log, this.#shown)
  }

  /** A reader that follows, while everything else goes on. It ends with the log. */
  #follow(log: Log, shown: Map<number, string>): void {
    this.#count('follow')
    const read = async () => {
      for await (const { offset, data } of log.read({ follow: true })) {
        shown.set(offset, (data as Buffer).toString())
      }
    }
    // It falls behind when the log is trimmed past it, and is not what a poisoned log is tested for.
    read().catch(() => this.#count('overtaken'))
  }

  /** Whatever was shown stays: a reader is never shown what can still be taken back. */
  #checkShown(): void {
    const { allowed, lowMax } = this.#model.expectation
    for (const [offset, content] of this.#shown) {
      if (offset < lowMax || allowed.get(offset)?.has(content)) continue
      throw new Error(`a reader was shown "${content}" at offset ${offset}, which is not there`)
    }
  }

  async #step(): Promise<void> {
    const { replica } = this.settings
    const roll = this.#below(100)
    if (roll < 38) this.#append()
    else if (roll < 47) this.#appendMany()
    else if (roll < 52 && !replica) this.#appendSync()
    else if (roll < 58) await this.#flush()
    else if (roll < 66) await this.#settleAll()
    else if (roll < 76) await this.#passTime()
    else if (roll < 81) await this.#trim()
    else if (roll < 85) await this.#reopen()
    else if (roll < 88) await this.#kill()
    else if (roll < 93) await this.#losePower()
    else if (roll < 94) await this.#failSync()
    else if (roll < 95) await this.#fillDisk()
    else if (roll < 97) await this.#refill()
    else if (replica && roll < 99) await this.#cut()
    else if (replica) await this.#reset()
    else this.#append()
  }

  #contents(n: number, size?: number): string[] {
    const batch = `b${String(this.#batch++).padStart(3, '0')}`
    return Array.from({ length: n }, (_, i) => {
      // Entries of one size are where bytes of an older life would fit in unnoticed.
      const length = size ?? (this.#below(2) === 0 ? 40 : this.#oneOf([0, 3, 40, 300, 900]))
      return `${batch}:${i}/${n}:${'x'.repeat(length)}`
    })
  }

  /** Appends without waiting. The outcome reaches the model when it is known. */
  #append(n = 1, size?: number): void {
    this.#count(n > 1 ? 'batch' : 'append')
    const contents = this.#contents(n, size)
    const log = this.#log
    const data = contents.map((content) => Buffer.from(content))
    const first = this.#nextOffset()
    for (const [i, content] of contents.entries()) this.#model.submitted(first + i, content)
    this.#next += n
    const done = this.settings.replica
      ? log.replica.append(
          data.map((bytes) => ({ term: this.#term, type: 1, timestamp: 1, count: 1, data: bytes })),
        )
      : log.appendBatch(data)
    const model = this.#model
    const epoch = this.#epoch
    const ended = done.then(
      (range) => {
        if (range.first !== first) throw new Error(`append at ${range.first}, expected ${first}`)
        if (epoch !== this.#epoch) return
        const isDurable = this.#policy === 'always'
        for (const [i, content] of contents.entries()) {
          model.acknowledged(first + i, content, isDurable)
        }
      },
      (error: { code?: string }) => {
        this.#count('rejected')
        // After a failed sync nobody knows; after a failed write it was not written.
        if (epoch !== this.#epoch || error.code === 'POISONED') return
        for (const [i, content] of contents.entries()) model.retracted(first + i, content)
      },
    )
    this.#waiting.push(ended)
  }

  #appendMany(): void {
    this.#append(2 + this.#below(5))
  }

  #appendSync(): void {
    this.#count('appendSync')
    const [content] = this.#contents(1) as [string]
    const offset = this.#nextOffset()
    this.#model.submitted(offset, content)
    const at = this.#log.appendSync(content)
    if (at !== offset) throw new Error(`appendSync at ${at}, expected ${offset}`)
    this.#next++
    this.#model.acknowledged(at, content, this.#policy === 'always')
  }

  /** The offset that the next append will get, which the log promises at once. */
  #next = 0
  /** Counts the moments after which outcomes of earlier appends say nothing any more. */
  #epoch = 0

  #nextOffset(): number {
    return this.#next
  }

  async #settleAll(): Promise<void> {
    await Promise.all(this.#waiting)
    this.#waiting = []
    this.#checkShown()
  }

  async #flush(): Promise<void> {
    this.#count('flush')
    await this.#settleAll()
    const upTo = this.#next
    await this.#log.flush()
    this.#model.flushed(upTo)
    if (this.settings.replica) this.#log.replica.commit(this.#oneOf(await this.#batchEnds()))
  }

  async #trim(): Promise<void> {
    await this.#settleAll()
    const { lowWaterMark, highWaterMark } = this.#log
    const before = lowWaterMark + this.#below(highWaterMark - lowWaterMark + 1)
    this.#count('trim')
    this.#model.trimBegins(before)
    await this.#log.trim(before)
    this.#model.trimDone(before)
  }

  async #close(): Promise<void> {
    await this.#settleAll()
    await this.#log.close()
    this.#model.flushed(this.#next)
  }

  async #reopen(): Promise<void> {
    this.#count('reopen')
    await this.#close()
    await this.#open()
  }

  /** Timers fire, and what they start may be overtaken by appends. */
  async #passTime(): Promise<void> {
    const moving = this.#clock.advance(1 + this.#below(8))
    for (let i = this.#below(5); i > 0; i--) {
      await this.#turn(this.#below(2) === 0)
      this.#append()
    }
    await moving
  }

  /** Loses power while nothing of this opening is synced, and writes the same again in its place. */
  async #refill(): Promise<void> {
    await this.#reopen()
    for (let i = 0; i < 4; i++) this.#append(1, 300)
    for (let i = this.#below(3); i >= 0; i--) await this.#turn(false)
    await this.#losePower()
    this.#append(1, 300)
    await this.#settleAll()
    await this.#kill()
  }

  /** The machine ends; a crash image is all that there is. */
  async #losePower(): Promise<void> {
    this.#count('power loss')
    if (this.#below(2) === 0) await this.#settleAll()
    this.#epoch++
    this.#model.powerLost()
    const { expectation } = this.#model
    this.#files.onOperation = undefined
    this.#files = this.#library.crashImage(this.#files, this.#random).files
    this.#delaySyncs()
    await this.#recover(expectation)
  }

  /** A sync takes a while, in which other things happen. */
  #delaySyncs(): void {
    const turns = this.#below(4)
    const isLong = this.#below(2) === 0
    this.#files.syncDelay = async () => {
      for (let i = 0; i <= turns; i++) await this.#turn(isLong)
    }
  }

  /** Lets what can run run; a long turn also lets timers and what they have begun. */
  #turn(isLong: boolean): Promise<void> {
    return isLong ? new Promise((resolve) => setImmediate(resolve)) : this.#clock.settled()
  }

  /** The process ends; the page cache stays. What is found afterwards is what there is. */
  async #kill(): Promise<void> {
    this.#count('kill')
    if (this.#below(2) === 0) await this.#settleAll()
    this.#epoch++
    const { expectation } = this.#model
    this.#files.onOperation = undefined
    this.#files = this.#library.cloneAll(this.#files)
    this.#delaySyncs()
    await this.#recover(expectation)
  }

  /** Opens again, checks that nothing acknowledged is gone, and goes on from what is there. */
  async #recover(expected: Expectation): Promise<void> {
    this.#waiting = []
    // While it opens, what was promised stays promised; what was under way may or may not be there.
    this.#watch()
    await this.#open()
    const { low, found } = await contentsOf(this.#log, this.settings.replica)
    for (const [offset, content] of expected.acknowledged) {
      if (offset >= low && found.get(offset) !== content) {
        throw new Error(`lost by the end of the process: offset ${offset} held "${content}"`)
      }
    }
    for (const [offset, content] of found) {
      if (!expected.allowed.get(offset)?.has(content)) {
        throw new Error(`invented: offset ${offset} holds "${content}"`)
      }
    }
    // Opening has made all of it durable.
    this.#model.restart(low, found, true)
    this.#next = low + found.size
  }

  /** A sync fails: the log is poisoned, closed, opened again in the same machine. */
  async #failSync(): Promise<void> {
    await this.#settleAll()
    this.#count('failed sync')
    const { errnoError } = this.#library
    const kind = this.#oneOf(['datasync', 'datasync', 'syncDirectory'] as const)
    this.#files.fault = (op) => {
      return op.kind === kind && !op.issued ? errnoError('EIO', 'fsync', op.path) : undefined
    }
    this.#append()
    this.#append(3)
    await this.#settleAll()
    await this.#log.flush().catch(() => {})
    const { expectation } = this.#model
    this.#epoch++
    await this.#log.close().catch(() => {})
    this.#files.fault = undefined
    await this.#recover(expectation)
  }

  /** The disk is full for a while. */
  async #fillDisk(): Promise<void> {
    await this.#settleAll()
    this.#count('full disk')
    this.#files.capacityBytes = this.#usedBytes() + this.#below(400)
    for (let i = 0; i < 4; i++) this.#append(1 + this.#below(2))
    await this.#settleAll()
    this.#files.capacityBytes = Number.POSITIVE_INFINITY
    // The offsets of what was rejected are given out again.
    this.#next = this.settings.replica ? this.#log.replica.endOffset : this.#log.highWaterMark
    this.#append()
    await this.#settleAll()
  }

  #usedBytes(): number {
    let sum = 0
    for (const name of this.#files.listSync(LOG_FOLDER)) {
      const path = `${LOG_FOLDER}/${name}`
      const file = this.#files.openSync(path, 'read')
      sum += file.sizeSync()
      file.closeSync()
    }
    return sum
  }

  /** Where the log may be committed or cut: from the high-water mark on, between two batches. */
  async #batchEnds(): Promise<number[]> {
    const { replica, highWaterMark } = this.#log
    const ends = [highWaterMark]
    for await (const entry of replica.read(highWaterMark, replica.endOffset)) {
      if (!entry.more) ends.push(entry.offset + entry.count)
    }
    return ends
  }

  async #cut(): Promise<void> {
    await this.#settleAll()
    const { replica } = this.#log
    this.#count('cut')
    const from = this.#oneOf(await this.#batchEnds())
    this.#model.cutBegins(from)
    this.#term++
    const done = replica.truncateAfter(from)
    this.#next = from
    // Entries appended now come behind the cut, which need not be waited for.
    if (this.#below(2) === 0) this.#append(1 + this.#below(3))
    await done
    this.#model.cutDone()
    await this.#settleAll()
  }

  async #reset(): Promise<void> {
    await this.#settleAll()
    this.#count('reset')
    const to = this.#log.replica.endOffset + this.#below(5)
    this.#model.cutBegins(0)
    this.#model.trimBegins(to)
    await this.#log.replica.reset(to, this.#term++)
    this.#model.cutDone()
    this.#model.trimDone(to)
    this.#next = to
  }
}
