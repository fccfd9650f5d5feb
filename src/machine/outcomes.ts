import { invariant } from '../base/index.ts'
import type { Outcome } from './outcome.ts'

/** An append under way. */
export interface Ticket {
  /** Its entry lies here or behind. */
  readonly from: number
}

interface Waiter<R> {
  readonly resolve: (outcome: Outcome<R> | undefined) => void
  readonly reject: (error: unknown) => void
}

/** How many outcomes gather before those are dropped that nobody can ask for. */
const PRUNE_AT = 4096

/**
 * Brings those who append and what comes of their entries together. Which of the two is first is not known: the
 * append may resolve before the entry is applied, or after.
 *
 * Invariant: while an append is under way, the outcome of every entry that may be its own is kept.
 */
export class Outcomes<R> {
  readonly #tickets = new Set<Ticket>()
  readonly #waiting = new Map<number, Waiter<R>>()
  readonly #early = new Map<number, Outcome<R> | undefined>()
  #idle: (() => void)[] = []

  /** An append begins, when all below `from` has been applied. */
  begin(from: number): Ticket {
    const ticket = { from }
    this.#tickets.add(ticket)
    return ticket
  }

  /** The append has failed. */
  failed(ticket: Ticket): void {
    this.#end(ticket)
  }

  /** The append is at `offset`: resolves with what came of it. `next` says what has been applied. */
  appended(ticket: Ticket, offset: number, next: number): Promise<Outcome<R> | undefined> {
    return new Promise((resolve, reject) => {
      if (offset < next) {
        invariant(this.#early.has(offset), `the outcome of offset ${offset} was not kept`)
        resolve(this.#early.get(offset))
        this.#early.delete(offset)
      } else {
        this.#waiting.set(offset, { resolve, reject })
      }
      this.#end(ticket)
    })
  }

  /** The entry at `offset` was applied. */
  applied(offset: number, outcome: Outcome<R> | undefined): void {
    const waiter = this.#waiting.get(offset)
    if (waiter) {
      this.#waiting.delete(offset)
      waiter.resolve(outcome)
      this.#wakeIfIdle()
    } else if (this.#tickets.size > 0) {
      this.#early.set(offset, outcome)
      if (this.#early.size % PRUNE_AT === 0) this.#prune()
    }
  }

  /** Nothing will be applied any more. */
  fail(error: unknown): void {
    for (const { reject } of this.#waiting.values()) reject(error)
    this.#waiting.clear()
    this.#wakeIfIdle()
  }

  /** Resolves when no append is under way, and none waits for its outcome. */
  idle(): Promise<void> {
    if (this.#isIdle) return Promise.resolve()
    return new Promise((resolve) => this.#idle.push(resolve))
  }

  get #isIdle(): boolean {
    return this.#tickets.size === 0 && this.#waiting.size === 0
  }

  #end(ticket: Ticket): void {
    this.#tickets.delete(ticket)
    if (this.#tickets.size === 0) this.#early.clear()
    this.#wakeIfIdle()
  }

  #wakeIfIdle(): void {
    if (!this.#isIdle) return
    for (const wake of this.#idle) wake()
    this.#idle = []
  }

  /** Drops the outcomes of others' entries: those before the oldest append that is under way. */
  #prune(): void {
    const [oldest] = this.#tickets
    for (const offset of this.#early.keys()) if (offset < oldest!.from) this.#early.delete(offset)
  }
}
