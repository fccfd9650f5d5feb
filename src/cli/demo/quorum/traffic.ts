import { setTimeout as delay } from 'node:timers/promises'
import { TidemarkError } from '../../../base/index.ts'
import type { LineStream } from '../stream.ts'
import type { Ledger } from './ledger.ts'
import { Gone, type MemberProcess } from './member-process.ts'

/** So many appends are under way through each member. */
const WINDOW = 8
/** A member that refuses is asked again after a while. */
const PAUSE_MS = 100

/** Writes lines through all members at once, and notes what is acknowledged. */
export class Traffic {
  readonly #ledger: Ledger
  readonly #lines: LineStream
  readonly #onFailure: (error: unknown) => void
  readonly #writers: Promise<void>[] = []
  #lives = 0
  #isOver = false
  #lastAt = performance.now()
  /** The highest number that was acknowledged. */
  newest = -1

  /** `onFailure` is called with an answer that no append may have. */
  constructor(ledger: Ledger, lines: LineStream, onFailure: (error: unknown) => void) {
    this.#ledger = ledger
    this.#lines = lines
    this.#onFailure = onFailure
  }

  /** How long nothing has been acknowledged. */
  get gapMs(): number {
    return performance.now() - this.#lastAt
  }

  /** Writes through this life of a member, too, until it ends. */
  add(member: MemberProcess): void {
    const life = this.#lives++
    for (let i = 0; i < WINDOW; i++) this.#writers.push(this.#write(member, life))
  }

  /** Resolves when everything is answered, or will not be. */
  async end(): Promise<void> {
    this.#isOver = true
    await Promise.all(this.#writers)
  }

  async #write(member: MemberProcess, life: number): Promise<void> {
    while (!this.#isOver && !member.isOver) {
      const number = this.#ledger.send(life)
      try {
        const offset = await member.append(this.#lines.line(number))
        this.#ledger.acknowledge(number, offset)
        this.newest = Math.max(this.newest, number)
        this.#lastAt = performance.now()
      } catch (error) {
        if (!this.#isAllowed(number, error)) this.#onFailure(error)
        await delay(PAUSE_MS)
      }
    }
  }

  #isAllowed(number: number, error: unknown): boolean {
    const code = error instanceof TidemarkError ? error.code : undefined
    if (code === 'UNAVAILABLE') this.#ledger.refuse(number)
    else if (error instanceof Gone || code === 'UNCERTAIN') this.#ledger.unknown++
    else return false
    return true
  }
}
