// One random run of a durable map over the forgetful file system, with images taken as it goes.
import type { Random } from '#dist/io/index.js'
import type { CrashImage, ForgetfulFiles, ManualClock } from '#dist/simulation/index.js'
import {
  type Answer,
  MapModel,
  type MapOperation,
  perform,
  type RequestId,
  type SessionRules,
  type Value,
} from '../machine/map-model.ts'
import { LOG_FOLDER } from './check.ts'
import type { Library } from './library.ts'

export type Log = Awaited<ReturnType<Library['Log']['open']>>
export type DurableMap = Awaited<ReturnType<typeof openMap>>

/** What is the same for a run and for the checks of its images. */
export interface MachineSettings {
  readonly log: { readonly segmentBytes: number; readonly preallocate: boolean }
  readonly map: { readonly snapshot: { readonly entries: number }; readonly sessions: SessionRules }
}

/** A request that was answered. */
export interface Asked extends RequestId {
  readonly operation: MapOperation
  /** Of the entry that executed it. */
  readonly offset: number
  readonly answer: Answer
}

/** What was sent so far. It only grows: after a crash that took entries, there is a new one. */
export interface History {
  /** The state before each offset. */
  readonly states: readonly MapModel[]
  readonly asked: readonly Asked[]
}

export interface MachineSample {
  readonly image: CrashImage
  readonly isKill: boolean
  readonly history: History
  /** The log ends at one of the offsets from here... */
  readonly promised: number
  /** ...to here. */
  readonly submitted: number
  /** How many of the requests were answered by then. */
  readonly answered: number
  readonly now: number
  readonly operation: string
}

export function openMap(library: Library, log: Log, settings: MachineSettings, check = false) {
  return library.DurableMap.open<string, Value>(log, { ...settings.map, check })
}

/** Throws unless the map holds what the model does. */
export function compareMap(map: DurableMap, model: MapModel, where: string): void {
  const found = JSON.stringify([...map].sort(([a], [b]) => (a < b ? -1 : 1)))
  const expected = JSON.stringify(model.entries())
  if (found !== expected) throw new Error(`${where}: the map is ${found}, not ${expected}`)
  const { length } = model.entries()
  if (map.size !== length) throw new Error(`${where}: its size is ${map.size}, not ${length}`)
}

const KEYS = 'abcdefghij'

/** Draws what is done to a map, and what to a map that crashed. */
export class Choices {
  readonly #random: Random

  constructor(random: Random) {
    this.#random = random
  }

  below(bound: number): number {
    return this.#random.uint32() % bound
  }

  oneOf<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)]!
  }

  /** `model` is as all that was sent leaves it, so that some comparisons succeed. */
  operation(model: MapModel): MapOperation {
    const key = this.oneOf([...KEYS])
    const roll = this.below(10)
    const ttl = this.below(3) === 0 ? { ttlMs: 1 + this.below(60) } : {}
    if (roll < 4) return { kind: 'set', key, value: this.#value(), ...ttl }
    if (roll < 5) return { kind: 'delete', key }
    if (roll < 7) {
      const entries = Array.from({ length: 1 + this.below(4) }, (): [string, Value] => {
        return [this.oneOf([...KEYS]), this.#value()]
      })
      return { kind: 'setMany', entries, ...ttl }
    }
    const expected = this.below(4) === 0 ? this.#value() : model.get(key)
    const next = this.below(5) === 0 ? undefined : this.#value()
    return { kind: 'compareAndSet', key, expected, next, ...ttl }
  }

  #value(): Value {
    const number = this.below(1000)
    return this.below(8) === 0 ? 'v'.repeat(number) : number
  }
}

/** A run. Everything follows from the random source. */
export class MachineWorkload {
  readonly samples: MachineSample[] = []
  readonly settings: MachineSettings
  readonly #library: Library
  readonly #random: Random
  readonly #choices: Choices
  readonly #clock: ManualClock
  readonly #policy: 'always' | 'never' | { intervalMs: number }
  readonly #isChecked: boolean
  #files: ForgetfulFiles
  #log!: Log
  #map!: DurableMap
  #states: MapModel[]
  #asked: Asked[] = []
  /** Requests that were sent, answered or not, with what they ask for. */
  #sent: (Omit<Asked, 'answer'> & { answer: Answer | undefined })[] = []
  #sessions: number[] = []
  #lastRequest = 0
  /** The log is not shorter than this after the end of the process, or after a loss of power. */
  #acknowledged = 0
  #durable = 0
  #waiting: Promise<unknown>[] = []
  #problem: unknown
  /** Counts the times that the map was opened: what an older one answers is not heard any more. */
  #life = 0

  constructor(library: Library, random: Random) {
    this.#library = library
    this.#random = random
    const choices = new Choices(random)
    this.#choices = choices
    this.#clock = new library.ManualClock()
    this.#files = new library.ForgetfulFiles()
    this.#policy = choices.oneOf(['always', 'always', 'never', { intervalMs: 5 }])
    this.#isChecked = choices.below(8) === 0
    const max = 1 + choices.below(4)
    this.settings = {
      log: {
        segmentBytes: choices.oneOf([512, 700, 1024, 2048]),
        preallocate: choices.below(2) === 0,
      },
      map: {
        snapshot: { entries: 5 + choices.below(16) },
        sessions: { max, idleMs: choices.oneOf([40, 1000]), requests: 1 + choices.below(5) },
      },
    }
    this.#states = [new MapModel(this.settings.map.sessions)]
  }

  async run(steps: number): Promise<void> {
    this.#watch()
    await this.#open()
    for (let i = 0; i < steps; i++) {
      await this.#step()
      if (this.#problem) throw this.#problem
    }
    await this.#settle()
    if (this.#problem) throw this.#problem
    await this.#close()
  }

  get #newest(): MapModel {
    return this.#states.at(-1)!
  }

  /** Takes images before each operation that changes the disk. */
  #watch(): void {
    const files = this.#files
    const turns = this.#choices.below(4)
    files.syncDelay = async () => {
      for (let i = 0; i <= turns; i++) await this.#clock.settled()
    }
    files.onOperation = (op) => {
      if (files !== this.#files) return
      const { crashImage, extremeImages, cloneAll } = this.#library
      const add = (image: CrashImage, isKill: boolean) => {
        this.samples.push({
          image,
          isKill,
          history: { states: this.#states, asked: this.#asked },
          promised: isKill ? this.#acknowledged : this.#durable,
          submitted: this.#newest.next,
          answered: this.#asked.length,
          now: this.#clock.now(),
          operation: `${op.kind} ${op.path}`,
        })
      }
      add(crashImage(files, this.#random), false)
      add(crashImage(files, this.#random), false)
      if (this.#choices.below(16) === 0) {
        for (const image of extremeImages(files, 12)) add(image, false)
      }
      if (this.#choices.below(10) === 0) {
        add({ files: cloneAll(files), fingerprint: -1, kind: 'killed' }, true)
      }
    }
  }

  async #open(): Promise<void> {
    this.#life++
    this.#log = await this.#library.Log.open(LOG_FOLDER, {
      ...this.settings.log,
      sync: this.#policy,
      clock: this.#clock,
      random: this.#random,
      files: this.#files,
    })
    // The log's own opening may append nothing: its end is where the state has to be.
    const end = this.#log.highWaterMark
    this.#map = await openMap(this.#library, this.#log, this.settings, this.#isChecked)
    const { promised, submitted } = { promised: this.#acknowledged, submitted: this.#newest.next }
    checkEnd(end, promised, submitted)
    compareMap(this.#map, this.#states[end]!, `opened again at offset ${end}`)
    this.#states = this.#states.slice(0, end + 1)
    this.#sent = this.#sent.filter(({ offset }) => offset < end)
    this.#asked = this.#asked.filter(({ offset }) => offset < end)
    this.#sessions = this.#sessions.filter((ordinal) => ordinal <= this.#newest.opened)
    // Opening has made durable all that is there.
    this.#acknowledged = end
    this.#durable = end
    this.#countAppends()
  }

  /**
   * Notes when the map submits a command or opens a session: a request whose answer is known at once needs no
   * entry. Commands are appended a moment later, those of one moment together.
   */
  #appends = 0
  #countAppends(): void {
    const log = this.#log
    const append = log.append.bind(log)
    log.append = (...given) => {
      this.#appends++
      return append(...given)
    }
  }

  get #submitted(): number {
    return this.#appends + this.#library.submissions.count
  }

  async #step(): Promise<void> {
    const roll = this.#choices.below(100)
    if (roll < 34) this.#sendSome()
    else if (roll < 50) this.#retry()
    else if (roll < 60) await this.#settle()
    else if (roll < 65) await this.#openSession()
    else if (roll < 73) await this.#snapshot()
    else if (roll < 76) await this.#flush()
    else if (roll < 88) await this.#advance()
    else if (roll < 93) await this.#reopen()
    else await this.#crash(roll < 96)
  }

  #sendSome(): void {
    for (let i = this.#choices.below(5); i >= 0; i--) {
      const operation = this.#choices.operation(this.#newest)
      if (this.#sessions.length === 0 || this.#choices.below(2) === 0) {
        this.#send(operation)
        continue
      }
      const session = this.#choices.oneOf(this.#sessions)
      this.#send(operation, { session, request: ++this.#lastRequest })
    }
  }

  /** The same request again, whether it was answered or not. */
  #retry(): void {
    for (let i = this.#choices.below(3); i >= 0 && this.#sent.length > 0; i--) {
      const one = this.#choices.oneOf(this.#sent.slice(-12))
      this.#send(one.operation, { session: one.session, request: one.request }, one.answer)
    }
  }

  #send(operation: MapOperation, id?: RequestId, before?: Answer): void {
    const { timestamp, submitted } = { timestamp: this.#clock.now(), submitted: this.#submitted }
    const done = perform(this.#map, operation, id)
    let expected = before
    const isAppended = this.#submitted > submitted
    const offset = this.#newest.next
    if (isAppended) {
      const next = this.#newest.clone()
      expected = next.apply({ operation, timestamp, id })
      this.#states.push(next)
    }
    const life = this.#life
    const sent = id && isAppended && before === undefined ? { ...id, operation, offset } : undefined
    if (sent && expected !== 'UNCERTAIN' && !this.#isSent(sent)) {
      this.#sent.push({ ...sent, answer: expected })
    }
    const checked = done.then((answer) => {
      if (life !== this.#life) return
      if (answer !== expected) {
        const what = JSON.stringify({ operation, id })
        throw new Error(`${what} at offset ${offset} was answered ${answer}, not ${expected}`)
      }
      if (isAppended) this.#isAcknowledged(offset + 1)
      if (sent && answer !== 'UNCERTAIN') this.#asked.push({ ...sent, answer })
    })
    this.#waiting.push(
      checked.catch((error) => {
        if (life === this.#life) this.#problem ??= error
      }),
    )
  }

  #isSent({ session, request }: RequestId): boolean {
    return this.#sent.some((one) => one.session === session && one.request === request)
  }

  #isAcknowledged(end: number): void {
    this.#acknowledged = Math.max(this.#acknowledged, end)
    if (this.#policy === 'always') this.#isDurable(end)
  }

  #isDurable(end: number): void {
    this.#durable = Math.max(this.#durable, end)
  }

  async #openSession(): Promise<void> {
    this.#send({ kind: 'openSession' })
    const { opened } = this.#newest
    await this.#settle()
    this.#sessions.push(opened)
    if (this.#sessions.length > 5) this.#sessions.shift()
  }

  async #settle(): Promise<void> {
    await Promise.all(this.#waiting)
    this.#waiting = []
  }

  async #snapshot(): Promise<void> {
    const life = this.#life
    const taken = this.#map.snapshot().then((offset) => {
      if (life === this.#life) this.#isDurable(offset)
    })
    if (this.#choices.below(2) === 0) await taken
    else this.#waiting.push(taken.catch((error) => this.#failed(life, error)))
  }

  #failed(life: number, error: unknown): void {
    if (life === this.#life) this.#problem ??= error
  }

  async #flush(): Promise<void> {
    const acknowledged = this.#acknowledged
    await this.#log.flush()
    this.#isDurable(acknowledged)
  }

  /** Time goes on; now and then somebody sets the clock back. */
  async #advance(): Promise<void> {
    // What was sent is appended first: with the time that it was sent at, which the model has taken.
    await this.#clock.settled()
    if (this.#choices.below(8) === 0) this.#clock.jump(-this.#choices.below(100))
    await this.#clock.advance(1 + this.#choices.below(30))
  }

  async #close(): Promise<void> {
    await this.#map.close()
    if (this.#map.snapshotFailure !== undefined) throw this.#map.snapshotFailure
    await this.#log.close()
    this.#isDurable(this.#acknowledged)
  }

  async #reopen(): Promise<void> {
    await this.#settle()
    if (this.#problem) return
    await this.#close()
    await this.#open()
  }

  /** The process ends, or the machine. */
  async #crash(isKill: boolean): Promise<void> {
    this.#files.onOperation = undefined
    const { cloneAll, crashImage } = this.#library
    const left = isKill ? cloneAll(this.#files) : crashImage(this.#files, this.#random).files
    this.#waiting = []
    // Whoever still waits is not heard any more, from here on.
    this.#life++
    if (!isKill) this.#acknowledged = this.#durable
    this.#asked = [...this.#asked]
    this.#files = left
    this.#watch()
    await this.#open()
  }
}

/** Throws unless the log ends where it may. */
export function checkEnd(end: number, promised: number, submitted: number): void {
  if (end < promised) throw new Error(`lost: the log ends at ${end}, and ${promised} was promised`)
  if (end > submitted) throw new Error(`the log ends at ${end}, beyond the last, ${submitted}`)
}
