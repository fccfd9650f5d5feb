// Those who use the cluster, and what they are told.
import type { Draws, LogAppend, LogRead, SimulatedTime } from 'tidemark/testing'
import type { Acks } from '#dist/quorum/core/index.js'
import { Refused } from '#dist/quorum/replica-host.js'
import type { SimMember } from './member.ts'

const TYPE_USER = 128

/** How many entries a read looks at, up to the mark that it was given. */
const READ_ENTRIES = 8

/** One client after the other asks members at random, and writes down what it hears. */
export class Clients {
  readonly appends: LogAppend[] = []
  readonly reads: LogRead[] = []
  acked = 0
  refused = 0
  #value = 0
  #isStopped = false
  readonly #time: SimulatedTime
  readonly #members: () => readonly SimMember[]
  readonly #onAcked: (end: number) => void

  constructor(
    time: SimulatedTime,
    members: () => readonly SimMember[],
    onAcked: (end: number) => void,
  ) {
    this.#time = time
    this.#members = members
    this.#onAcked = onAcked
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
      ? this.append(
          client,
          member,
          draws.integer(1, 3),
          draws.integer(0, 40),
          given,
          drawAcks(draws),
        )
      : this.read(client, member, given)
    await Promise.race([
      work,
      new Promise<void>((resolve) => {
        this.#time.schedule(2_000, () => {
          given.over = true
          resolve()
        })
      }),
    ])
  }

  async append(
    client: number,
    member: SimMember,
    count: number,
    padding: number,
    given = { over: false },
    acks: Acks = 'quorum',
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
      return { type: TYPE_USER, timestamp, count: 1, data: Buffer.from(value) }
    })
    try {
      const { start, end } = await member.host!.propose(entries, acks)
      // What fewer have confirmed may be lost: nothing is known of it.
      if (given.over || acks !== 'quorum') return false
      settle({ kind: 'ok', first: start, last: end - 1 })
      this.acked++
      this.#onAcked(end)
      return true
    } catch (error) {
      if (!(error instanceof Refused)) throw error
      this.refused++
      if (error.why !== 'lost') settle({ kind: 'failed' })
      return false
    }
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
        if (type === TYPE_USER) entries.push([offset, data.toString()])
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
