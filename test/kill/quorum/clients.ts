// Who appends, reads and executes commands meanwhile, and what each of them was told.
import { setTimeout as delay } from 'node:timers/promises'
import { type Random, seededRandom } from '#dist/io/index.js'
import type { LogAppend, LogRead } from '#dist/simulation/index.js'
import type { MemberHandle } from './member-handle.js'
import type { Members } from './members.js'
import { MemberError } from './process-handle.js'

/** Codes of appends that are certainly not in the log, nor ever will be. */
const REFUSED = ['UNAVAILABLE', 'OVERLOADED', 'DOWN']
const TAIL = 200
const READ_PAUSE_MS = 100
const DOWN_PAUSE_MS = 5

export interface Command {
  readonly name: string
  /** What it resolved with; undefined: it is not known whether it was executed. */
  readonly result: number | undefined
}

export class Clients {
  readonly appends: LogAppend[] = []
  readonly reads: LogRead[] = []
  readonly commands: Command[] = []
  /** How often each code was met. */
  readonly codes: Record<string, number> = {}
  readonly #members: Members
  readonly #random: Random
  /** Behind the last entry that anyone was told of. */
  #end = 0
  #isOver = false
  readonly #running: Promise<void>[] = []

  constructor(members: Members, seed: number) {
    this.#members = members
    this.#random = seededRandom(seed)
  }

  start(writers: number, readers: number): void {
    for (let i = 0; i < writers; i++) this.#running.push(this.#write(i))
    for (let i = 0; i < readers; i++) this.#running.push(this.#read(`reader ${i}`))
    for (const member of this.#members.all) this.#running.push(this.#execute(member))
  }

  async stop(): Promise<void> {
    this.#isOver = true
    await Promise.all(this.#running)
  }

  /** The writer stays with one member while that lives: some write beside the leader, others do not. */
  async #write(writer: number): Promise<void> {
    const { all } = this.#members
    for (let n = 0, at = writer; !this.#isOver; ) {
      const member = all[at % all.length]!
      if (!member.isReady) {
        at++
        await delay(DOWN_PAUSE_MS)
        continue
      }
      const size = this.#random.uint32() % 6 === 0 ? 2 + (this.#random.uint32() % 4) : 1
      const values = Array.from({ length: size }, () => `${writer}-${n++}`)
      const call = performance.now()
      const outcome = await this.#outcome(member.ask('append', { values }))
      this.appends.push({ client: writer, values, outcome, call, return: performance.now() })
    }
  }

  async #outcome(append: Promise<{ first: number; last: number }>): Promise<LogAppend['outcome']> {
    try {
      const { first, last } = await append
      this.#end = Math.max(this.#end, last + 1)
      return { kind: 'ok', first, last }
    } catch (error) {
      return REFUSED.includes(this.#count(error)) ? { kind: 'failed' } : { kind: 'unknown' }
    }
  }

  async #read(client: string): Promise<void> {
    while (!this.#isOver) {
      await delay(READ_PAUSE_MS)
      const member = this.#members.someone(this.#random)
      const from = Math.max(0, this.#end - TAIL)
      const call = performance.now()
      try {
        const answer = await member?.ask('read', { from, max: Number.MAX_SAFE_INTEGER })
        if (!answer) continue
        this.reads.push({
          client,
          from,
          ...answer,
          call,
          return: performance.now(),
          linearizable: true,
        })
      } catch (error) {
        this.#count(error)
      }
    }
  }

  /** Commands of its own for the machine of one member, each with another name. */
  async #execute(member: MemberHandle): Promise<void> {
    for (let n = 0; !this.#isOver; n++) {
      await delay(DOWN_PAUSE_MS)
      if (!member.isReady) continue
      const name = `${member.id}-${n}`
      try {
        this.commands.push({
          name,
          result: await member.ask('execute', { machine: 0, command: name }),
        })
      } catch (error) {
        this.#count(error)
        this.commands.push({ name, result: undefined })
      }
    }
  }

  #count(error: unknown): string {
    if (!(error instanceof MemberError)) throw error
    this.codes[error.code] = (this.codes[error.code] ?? 0) + 1
    return error.code
  }
}
