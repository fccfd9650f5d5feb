// Who appends, reads, trims and executes commands meanwhile, and what each of them was told.
import { setTimeout as delay } from 'node:timers/promises'
import { Draws, type LogAppend, type LogRead, seededRandom } from '#dist/testing/index.js'
import type { Command } from '../kill/quorum/clients.ts'
import { MemberError } from '../kill/quorum/process-handle.ts'
import type { Cluster, Place } from './cluster.ts'
import { LOG_NAMES, type LogName, TRIMMED_LOG } from './logs.ts'

/** Codes of appends that are certainly not in the log, nor ever will be. */
const REFUSED = ['UNAVAILABLE', 'OVERLOADED', 'DOWN', 'NOT_OPEN']
const TAIL = 200
const READ_PAUSE_MS = 100
const DOWN_PAUSE_MS = 5
const COMMAND_PAUSE_MS = 20
const TRIM_EVERY_MS = 1500
const TRIM_KEEPS = 1000
/** A client asks somebody else then: whoever was asked may be paused. */
const PATIENCE_MS = 3000
const BATCH_ONE_IN = 6
const BATCH_MAX = 5

interface History {
  readonly appends: LogAppend[]
  readonly reads: LogRead[]
  /** Behind the last entry that anyone was told of. */
  end: number
}

export class Workload {
  readonly histories = new Map<LogName, History>()
  readonly commands: Command[] = []
  /** How often each code was met. */
  readonly codes: Record<string, number> = {}
  acknowledged = 0
  unknown = 0
  refused = 0
  reads = 0
  retries = 0
  /** What was refused is asked again until it is not: nothing is appended twice by that. */
  asksAgain = false
  /** Called with each acknowledgement. */
  onAcknowledged: () => void = () => {}
  readonly #cluster: Cluster
  readonly #draws: Draws
  #isOver = false
  /** Wakes who pauses when it is over. */
  readonly #end = new AbortController()
  readonly #running: Promise<void>[] = []

  constructor(cluster: Cluster, seed: number) {
    this.#cluster = cluster
    this.#draws = new Draws(seededRandom(seed + 1))
    for (const log of LOG_NAMES) this.histories.set(log, { appends: [], reads: [], end: 0 })
  }

  start(writers: number, readers: number, sessions: number): void {
    for (let i = 0; i < writers; i++) this.#running.push(this.#write(i))
    for (let i = 0; i < readers; i++) this.#running.push(this.#read(i))
    for (let i = 0; i < sessions; i++) this.#running.push(this.#execute(i))
    this.#running.push(this.#trim())
  }

  /** Resolves when all were told of what they have asked. */
  async stop(): Promise<void> {
    this.#isOver = true
    this.#end.abort()
    await Promise.all(this.#running)
  }

  /** Resolves with one that answers; stays with the place `at` while that one does. */
  async #ready(at: { place: number }): Promise<Place | undefined> {
    while (!this.#isOver) {
      const { places } = this.#cluster
      const place = places[at.place % places.length]!
      if (place.process.isReady) return place
      at.place++
      await delay(DOWN_PAUSE_MS)
    }
    return undefined
  }

  async #write(writer: number): Promise<void> {
    const at = { place: writer }
    for (let n = 0; !this.#isOver; ) {
      const log = this.#draws.pick(LOG_NAMES)
      const size = this.#draws.chance(1 / BATCH_ONE_IN) ? this.#draws.integer(2, BATCH_MAX) : 1
      const values = Array.from({ length: size }, () => `${writer}-${n++}`)
      const history = this.histories.get(log)!
      const call = performance.now()
      const outcome = await this.#append(at, log, values)
      if (!outcome) return
      history.appends.push({ client: writer, values, outcome, call, return: performance.now() })
      if (outcome.kind === 'ok') history.end = Math.max(history.end, outcome.last + 1)
    }
  }

  /** Undefined if nobody was asked. */
  async #append(
    at: { place: number },
    log: LogName,
    names: string[],
  ): Promise<LogAppend['outcome'] | undefined> {
    let outcome: LogAppend['outcome'] | undefined
    do {
      const place = await this.#ready(at)
      if (!place) return outcome
      outcome = await this.#outcome(patiently(place.process.ask('append', { log, names })))
      // Another may do better.
      if (outcome.kind !== 'ok') at.place++
      if (outcome.kind === 'failed') await delay(DOWN_PAUSE_MS)
    } while (outcome.kind === 'failed' && this.asksAgain)
    return outcome
  }

  async #outcome(append: Promise<{ first: number; last: number }>): Promise<LogAppend['outcome']> {
    try {
      const { first, last } = await append
      this.acknowledged++
      this.onAcknowledged()
      return { kind: 'ok', first, last }
    } catch (error) {
      if (REFUSED.includes(this.#count(error))) {
        this.refused++
        return { kind: 'failed' }
      }
      this.unknown++
      return { kind: 'unknown' }
    }
  }

  async #read(reader: number): Promise<void> {
    for (const at = { place: reader }; !this.#isOver; at.place++) {
      await delay(READ_PAUSE_MS)
      const place = await this.#ready(at)
      if (!place) return
      const log = this.#draws.pick(LOG_NAMES)
      const history = this.histories.get(log)!
      const from = Math.max(0, history.end - TAIL)
      const call = performance.now()
      try {
        const asked = { log, from, max: Number.MAX_SAFE_INTEGER }
        const answer = await patiently(place.process.ask('read', asked))
        const times = { call, return: performance.now() }
        history.reads.push({ client: `reader ${reader}`, ...answer, ...times, linearizable: true })
        this.reads++
      } catch (error) {
        this.#count(error)
      }
    }
  }

  async #trim(): Promise<void> {
    for (const at = { place: 0 }; !this.#isOver; at.place++) {
      await delay(TRIM_EVERY_MS, undefined, { signal: this.#end.signal }).catch(() => {})
      const place = await this.#ready(at)
      try {
        if (place)
          await patiently(place.process.ask('trim', { log: TRIMMED_LOG, keep: TRIM_KEEPS }))
      } catch (error) {
        this.#count(error)
      }
    }
  }

  /** A session whose requests go to one member after the other until one answers: each is executed once. */
  async #execute(number: number): Promise<void> {
    const session = await this.#insist(number, (place) => place.process.ask('openSession', {}))
    if (session === undefined) return
    for (let request = 1; !this.#isOver; request++) {
      const command = `${number}-${request}`
      const asked = { command, session, request }
      const result = await this.#insist(number + request, (place) =>
        place.process.ask('execute', asked),
      )
      this.commands.push({ name: command, result })
      await delay(COMMAND_PAUSE_MS)
    }
  }

  async #insist<T>(first: number, ask: (place: Place) => Promise<T>): Promise<T | undefined> {
    for (const at = { place: first }; ; at.place++) {
      const place = await this.#ready(at)
      if (!place) return undefined
      try {
        return await patiently(ask(place))
      } catch (error) {
        this.#count(error)
        this.retries++
        await delay(DOWN_PAUSE_MS)
      }
    }
  }

  #count(error: unknown): string {
    if (!(error instanceof MemberError)) throw error
    this.codes[error.code] = (this.codes[error.code] ?? 0) + 1
    return error.code
  }
}

async function patiently<T>(answer: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new MemberError('LATE', 'no answer in time')), PATIENCE_MS)
  })
  try {
    return await Promise.race([answer, late])
  } finally {
    clearTimeout(timer)
  }
}
