// One random run of a log with cursors over the forgetful file system, with images taken as it goes.
import type { Random } from '#dist/io/index.js'
import type { CrashImage, ForgetfulFiles, ManualClock } from '#dist/simulation/index.js'
import { LOG_FOLDER } from './check.ts'
import type { Library } from './library.ts'

type Log = Awaited<ReturnType<Library['Log']['open']>>
type Cursor = Awaited<ReturnType<Log['cursor']>>

/** What must hold of a cursor after a crash at some moment. */
export interface CursorPromise {
  readonly mayExist: boolean
  readonly mustExist: boolean
  /** Positions that a power loss may leave. */
  readonly positions: ReadonlySet<number>
  /** Positions that the end of the process alone may leave. */
  readonly current: ReadonlySet<number>
}

export interface CursorSample {
  readonly image: CrashImage
  readonly isKill: boolean
  readonly promises: ReadonlyMap<string, CursorPromise>
  readonly operation: string
}

const NAMES = ['a', 'b', 'c']

/** What is known of one cursor. A change that is under way has several outcomes. */
class CursorModel {
  mayExist = false
  mustExist = false
  positions = new Set<number>()
  current = new Set<number>()

  /** It will be at `position`, durably, but is not known to be yet. */
  changing(position: number): void {
    this.mayExist = true
    this.positions.add(position)
    this.current.add(position)
  }

  /** It is at `position`, durably. */
  settled(position: number): void {
    this.mayExist = true
    this.mustExist = true
    this.positions = new Set([position])
    this.current = new Set([position])
  }

  committed(position: number): void {
    this.positions.add(position)
    this.current = new Set([position])
  }

  /** What the power loss has left is what a process that ends now leaves. */
  powerLost(): void {
    this.current = new Set(this.positions)
  }

  gone(): void {
    this.mayExist = false
    this.mustExist = false
    this.positions = new Set()
    this.current = new Set()
  }

  get promise(): CursorPromise {
    const { mayExist, mustExist } = this
    return { mayExist, mustExist, positions: new Set(this.positions), current: this.current }
  }
}

/** A run. Everything follows from the random source. Nothing is trimmed but behind the slowest cursor. */
export class CursorWorkload {
  readonly samples: CursorSample[] = []
  readonly #library: Library
  readonly #random: Random
  readonly #clock: ManualClock
  readonly #options: object
  readonly #models = new Map(NAMES.map((name) => [name, new CursorModel()]))
  #cursors = new Map<string, Cursor>()
  #files: ForgetfulFiles
  #log!: Log
  #waiting: Promise<unknown>[] = []

  constructor(library: Library, random: Random) {
    this.#library = library
    this.#random = random
    this.#clock = new library.ManualClock()
    this.#files = new library.ForgetfulFiles()
    this.#options = {
      sync: this.#oneOf(['always', 'never', { intervalMs: 5 }]),
      trim: this.#oneOf(['manual', 'slowest-cursor', 'slowest-cursor']),
      segmentBytes: this.#oneOf([512, 700, 2048]),
      clock: this.#clock,
      random,
    }
  }

  #below(bound: number): number {
    return this.#random.uint32() % bound
  }

  #oneOf<T>(choices: readonly T[]): T {
    return choices[this.#below(choices.length)]!
  }

  async run(steps: number): Promise<void> {
    this.#watch()
    await this.#open()
    for (let i = 0; i < steps; i++) await this.#step()
    await this.#settle()
    await this.#log.close()
  }

  #watch(): void {
    const files = this.#files
    const { crashImage, extremeImages, cloneAll } = this.#library
    files.onOperation = (op) => {
      if (files !== this.#files) return
      const promises = new Map([...this.#models].map(([name, model]) => [name, model.promise]))
      const operation = `${op.kind} ${op.path}`
      const add = (image: CrashImage, isKill: boolean) => {
        this.samples.push({ image, isKill, promises, operation })
      }
      add(crashImage(files, this.#random), false)
      if (this.#below(8) === 0) for (const image of extremeImages(files, 12)) add(image, false)
      if (this.#below(8) === 0) {
        add({ files: cloneAll(files), fingerprint: -1, kind: 'killed' }, true)
      }
    }
  }

  /** Opens the log, and all cursors that are there: that makes them durable. */
  async #open(): Promise<void> {
    this.#log = await this.#library.Log.open(LOG_FOLDER, { ...this.#options, files: this.#files })
    this.#cursors = new Map()
    for (const { name } of await this.#log.cursors.list()) {
      const cursor = await this.#log.cursor(name)
      this.#cursors.set(name, cursor)
      this.#models.get(name)!.settled(cursor.position)
    }
    for (const [name, model] of this.#models) if (!this.#cursors.has(name)) model.gone()
  }

  async #step(): Promise<void> {
    const roll = this.#below(100)
    if (roll < 30) this.#append()
    else if (roll < 55) await this.#commit()
    else if (roll < 60) await this.#settle()
    else if (roll < 65) await this.#flush()
    else if (roll < 73) await this.#log.trim('slowest-cursor')
    else if (roll < 78) await this.#clock.advance(1 + this.#below(8))
    else if (roll < 86) await this.#make()
    else if (roll < 89) await this.#reset()
    else if (roll < 92) await this.#delete()
    else if (roll < 94) await this.#reopen()
    else await this.#crash(roll < 97)
  }

  #append(): void {
    for (let i = this.#below(4); i >= 0; i--) {
      this.#waiting.push(this.#log.append('x'.repeat(this.#below(200))))
    }
  }

  async #settle(): Promise<void> {
    await Promise.all(this.#waiting)
    this.#waiting = []
  }

  async #commit(): Promise<void> {
    if (this.#cursors.size === 0) return
    const [name, cursor] = this.#oneOf([...this.#cursors])
    if (cursor.lag === 0) await this.#settle()
    if (cursor.lag === 0) return
    const offset = cursor.position + this.#below(Math.min(6, cursor.lag))
    const model = this.#models.get(name)!
    model.changing(offset + 1)
    await cursor.commit(offset)
    model.committed(offset + 1)
  }

  /** Of one cursor, or of all with the log. */
  async #flush(): Promise<void> {
    const one = this.#cursors.size > 0 && this.#below(2) === 0
    if (!one) await this.#settle()
    const flushed = one ? [this.#oneOf([...this.#cursors])] : [...this.#cursors]
    await (one ? flushed[0]![1] : this.#log).flush()
    for (const [name, cursor] of flushed) this.#models.get(name)!.settled(cursor.position)
  }

  async #make(): Promise<void> {
    const free = NAMES.filter((name) => !this.#cursors.has(name))
    if (free.length === 0) return
    const name = this.#oneOf(free)
    await this.#settle()
    await this.#log.drained()
    const { lowWaterMark, highWaterMark } = this.#log
    const from = lowWaterMark + this.#below(highWaterMark - lowWaterMark + 1)
    const model = this.#models.get(name)!
    model.changing(from)
    this.#cursors.set(name, await this.#log.cursor(name, { from }))
    model.settled(from)
  }

  async #reset(): Promise<void> {
    if (this.#cursors.size === 0) return
    await this.#settle()
    await this.#log.drained()
    const [name, cursor] = this.#oneOf([...this.#cursors])
    const { lowWaterMark, highWaterMark } = this.#log
    const to = lowWaterMark + this.#below(highWaterMark - lowWaterMark + 1)
    const model = this.#models.get(name)!
    model.changing(to)
    await cursor.reset(to)
    model.settled(to)
  }

  async #delete(): Promise<void> {
    if (this.#cursors.size === 0) return
    const [name, cursor] = this.#oneOf([...this.#cursors])
    await cursor.close()
    this.#cursors.delete(name)
    const model = this.#models.get(name)!
    model.settled(cursor.position)
    model.mustExist = false
    await this.#log.cursors.delete(name)
    model.gone()
  }

  async #reopen(): Promise<void> {
    await this.#settle()
    await this.#log.close()
    await this.#open()
  }

  /** The process ends, or the machine. */
  async #crash(isKill: boolean): Promise<void> {
    this.#files.onOperation = undefined
    const { cloneAll, crashImage } = this.#library
    const left = isKill ? cloneAll(this.#files) : crashImage(this.#files, this.#random).files
    this.#waiting.forEach((each) => {
      each.catch(() => {})
    })
    this.#waiting = []
    if (!isKill) for (const model of this.#models.values()) model.powerLost()
    this.#files = left
    this.#watch()
    await this.#open()
  }
}

/** Throws unless the cursors of an image are what was promised, and work. */
export async function checkCursors(library: Library, sample: CursorSample): Promise<void> {
  const { image, isKill, promises } = sample
  const clock = new library.ManualClock()
  const options = { files: image.files, clock, random: library.seededRandom(1), segmentBytes: 700 }
  const log = await library.Log.open(LOG_FOLDER, options)
  const { lowWaterMark, highWaterMark } = log
  const found = new Map((await log.cursors.list()).map((info) => [info.name, info]))
  for (const [name, promise] of promises) {
    const info = found.get(name)
    if (!info && promise.mustExist) throw new Error(`the cursor ${name} is lost`)
    if (!info) continue
    if (info.problem) throw info.problem
    if (!promise.mayExist) throw new Error(`the cursor ${name} has come back`)
    if (info.missed > 0) throw new Error(`the cursor ${name} was passed by ${info.missed}`)
    const { position } = info
    const allowed = isKill ? promise.current : promise.positions
    const wasLowered = position === highWaterMark && Math.max(...allowed) > highWaterMark
    if (allowed.has(position!) || wasLowered) continue
    throw new Error(
      `the cursor ${name} is at ${position}, not at ${[...allowed].join(' or ')} (marks ${lowWaterMark} and ${highWaterMark})`,
    )
  }
  for (const name of found.keys()) await useCursor(log, name)
  await log.close()
}

async function useCursor(log: Log, name: string): Promise<void> {
  const cursor = await log.cursor(name)
  let next = cursor.position
  for await (const { offset } of cursor.read({ follow: false })) {
    if (offset !== next) throw new Error(`the cursor ${name} gave ${offset} instead of ${next}`)
    await cursor.commit(offset)
    next++
  }
  if (next !== log.highWaterMark) throw new Error(`the cursor ${name} ended at ${next}`)
}
