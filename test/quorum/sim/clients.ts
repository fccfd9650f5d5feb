// Those who use the cluster, and what they are told.
import type { Draws, LogAppend, LogRead, SimulatedTime } from 'tidemark/testing'
import type { Acks } from '#dist/quorum/core/index.js'
import { Refused } from '#dist/quorum/replica-host.js'
import type { BatchEntry } from '#dist/quorum/wire/index.js'
import type { AppendCounts } from './append-path.ts'
import type { SimMember } from './member.ts'
import type { SimSettings } from './settings.ts'

const TYPE_USER = 128

/** How many entries a read looks at, up to the mark that it was given. */
const READ_ENTRIES = 8

export interface ClientParts {
  readonly time: SimulatedTime
  readonly settings: SimSettings
  readonly members: () => readonly SimMember[]
  readonly counts: AppendCounts
  readonly onAcked: (end: number) => void
  /** For the trace. */
  readonly note: (text: string) => void
}

/** What a client appends. */
interface Wish {
  readonly count: number
  readonly padding: number
  readonly acks: Acks
  /** Offsets of the entry, if it is one. */
  readonly width: number
}

/** One client after the other asks members at random, and writes down what it hears. */
export class Clients {
  readonly appends: LogAppend[] = []
  readonly reads: LogRead[] = []
  /** Which appends each appender has made, in order. */
  readonly sessions = new Map<number, number[]>()
  acked = 0
  refused = 0
  /** One append at a time. */
  isGentle = false
  #value = 0
  #isStopped = false
  readonly #time: SimulatedTime
  readonly #members: () => readonly SimMember[]
  readonly #parts: ClientParts

  constructor(parts: ClientParts) {
    this.#parts = parts
    this.#time = parts.time
    this.#members = parts.members
  }

  start(count: number, thinkMs: number, draws: Draws): void {
    for (let client = 1; client <= count; client++) this.#next(client, thinkMs, draws.fork())
  }

  stop(): void {
    this.#isStopped = true
  }

  #next(client: number, thinkMs: number, draws: Draws): void {
    this.#time.schedule(draws.exponential(thinkMs), () => {
      if (this.#isStopped) return
      void this.#act(client, draws).finally(() => this.#next(client, thinkMs, draws))
    })
  }

  async #act(client: number, draws: Draws): Promise<void> {
    const members = this.#members().filter(({ isAlive }) => isAlive)
    if (members.length === 0) return
    const leaders = members.filter(({ host }) => host?.status.role === 'leader')
    const member =
      leaders.length > 0 && draws.chance(0.9) ? draws.pick(leaders) : draws.pick(members)
    // A client does not wait for ever; what it has asked may still happen.
    const given = { over: false }
    const work = draws.chance(0.75)
      ? this.#appendSome(client, member, draws, given)
      : this.read(client, member, given)
    await Promise.race([
      work,
      new Promise<void>((resolve) => {
        this.#time.schedule(this.#patienceMs(), () => {
          given.over = true
          resolve()
        })
      }),
    ])
  }

  /** Who asks a member is told in time; asking again before would only add to what waits. */
  #patienceMs(): number {
    const { appends } = this.#parts.settings
    return 2_000 + (appends && !this.isGentle ? appends.pipeline.timeoutMs : 0)
  }

  /** By way of any member at all, where they take appends; then also many at once, which stay in order. */
  async #appendSome(
    client: number,
    leader: SimMember,
    draws: Draws,
    given: { over: boolean },
  ): Promise<void> {
    const { appends } = this.#parts.settings
    const any = this.#members().filter(({ isAlive }) => isAlive)
    // Who was taken out of the cluster may know of no leader for ever.
    const isAny = appends && !this.isGentle && draws.chance(0.7)
    const member = isAny ? draws.pick(any) : leader
    const appending: Promise<boolean>[] = []
    for (let i = this.isGentle ? 1 : draws.integer(1, appends?.burst ?? 1); i > 0; i--) {
      const isWide = appends !== undefined && appends.width > 1 && draws.chance(0.5)
      const count = isWide ? 1 : draws.integer(1, 3)
      const wish = { count, padding: draws.integer(0, 40), acks: drawAcks(draws) }
      const width = isWide ? appends.width : 1
      appending.push(this.append(client, member, { ...wish, width }, given))
    }
    await Promise.all(appending)
  }

  async append(
    client: number,
    member: SimMember,
    { count, padding, acks, width }: Wish,
    given = { over: false },
  ): Promise<boolean> {
    const values = Array.from({ length: count }, () => `v${++this.#value}.${'x'.repeat(padding)}`)
    const call = this.#time.now
    const at =
      this.appends.push({ client, values, outcome: { kind: 'unknown' }, call, return: call }) - 1
    const settle = (outcome: LogAppend['outcome']) => {
      this.appends[at] = { client, values, outcome, call, return: this.#time.now }
    }
    const timestamp = member.clock?.now() ?? 0
    const entries = values.map((value) => {
      return { type: TYPE_USER, timestamp, count: width, data: Buffer.from(value) }
    })
    try {
      const { first, last } = await this.#ask(member, entries, acks, at)
      // What fewer have confirmed may be lost: nothing is known of it.
      if (given.over || acks !== 'quorum') return false
      settle({ kind: 'ok', first, last })
      this.acked++
      this.#parts.onAcked(last + width)
      return true
    } catch (error) {
      this.refused++
      if (this.#isCertain(error)) settle({ kind: 'failed' })
      return false
    }
  }

  /** Asks the member, or its host. */
  async #ask(
    member: SimMember,
    entries: readonly BatchEntry[],
    acks: Acks,
    at: number,
  ): Promise<{ first: number; last: number }> {
    const path = member.appends
    if (!path) {
      const { start, end } = await member.host!.propose(entries, acks)
      return { first: start, last: end - 1 }
    }
    const calls = this.sessions.get(path.session)
    if (calls) calls.push(at)
    else this.sessions.set(path.session, [at])
    const range = await path.pipeline.append(entries, acks)
    this.#parts.note(`append ${at} is at ${range.first}`)
    return range
  }

  /** True if nothing was appended, nor will be. Throws what nobody is told. */
  #isCertain(error: unknown): boolean {
    if (error instanceof Refused) return error.why !== 'lost'
    const { code } = error as { code?: string }
    const count = { UNCERTAIN: 'uncertain', UNAVAILABLE: 'unavailable', OVERLOADED: 'overloaded' }
    const what = count[code as keyof typeof count]
    if (!what) throw error
    this.#parts.counts[what]!++
    return what !== 'uncertain'
  }

  async read(
    client: number,
    member: SimMember,
    given = { over: false },
    whole = false,
  ): Promise<boolean> {
    const { host, log } = member
    const call = this.#time.now
    try {
      const mark = await host!.readIndex()
      while (log!.highWaterMark < mark) {
        if (given.over || member.log !== log) return false
        await new Promise<void>((resolve) => this.#time.schedule(5, resolve))
      }
      const highWaterMark = log!.highWaterMark
      const from = Math.max(log!.lowWaterMark, whole ? 0 : highWaterMark - READ_ENTRIES)
      const entries: [number, string][] = []
      for await (const { offset, type, data } of log!.read({ from, to: highWaterMark })) {
        // The first one may begin before.
        if (type === TYPE_USER && offset >= from) entries.push([offset, data.toString()])
      }
      if (given.over || member.log !== log) return false
      const read = { from, entries, highWaterMark, call, return: this.#time.now }
      this.reads.push({ client, ...read, linearizable: true, final: whole })
      return true
    } catch (error) {
      const code = (error as { code?: string }).code
      if (error instanceof Refused || code === 'TRIMMED' || code === 'CORRUPT') return false
      throw error
    }
  }
}

function drawAcks(draws: Draws): Acks {
  if (draws.chance(0.85)) return 'quorum'
  return draws.chance(0.5) ? 'leader' : 'none'
}
