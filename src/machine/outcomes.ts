import { invariant } from '../base/index.ts'
import type { Applied } from './outcome.ts'

/** Appends that began at about the same time. */
export interface Generation {
  /** Their entries lie here or behind. */
  readonly from: number
  underWay: number
}

export interface Waiter<R> {
  /** Called with `undefined` for an entry without a result. */
  readonly resolve: (result: R) => void
  /** Instead, if the entry has opened a session: with its number. */
  readonly opened?: (session: number) => void
  readonly reject: (error: unknown) => void
}

/** Those who wait for the entries from `first` on, one for each. */
interface Batch<R> {
  readonly first: number
  readonly waiters: readonly Waiter<R>[]
}

/** How many outcomes gather before those are dropped that nobody can ask for. */
const PRUNE_AT = 4096

/**
 * Brings those who append and what comes of their entries together. Which of the two is first is not known: the
 * append may resolve before the entry is applied, or after.
 *
 * Invariants: while an append is under way, the outcome of every entry that may be its own is kept. The batches
 * stand in the order of their offsets.
 */
export class Outcomes<R> {
  #newest: Generation = { from: 0, underWay: 0 }
  /** Those with appends under way, the oldest first; the newest is the last. */
  #generations: Generation[] = [this.#newest]
  #underWay = 0
  #batches: Batch<R>[] = []
  readonly #early = new Map<number, Applied<R> | undefined>()
  #idle: (() => void)[] = []

  /** An append begins. Whoever calls this calls `ended` or `appended` with what it returns. */
  begin(): Generation {
    this.#newest.underWay++
    this.#underWay++
    return this.#newest
  }

  /** The append has failed, or nobody waits for what comes of it. */
  ended(generation: Generation): void {
    generation.underWay--
    this.#underWay--
    if (this.#underWay === 0) this.#early.clear()
    this.#wakeIfIdle()
  }

  /** The append has put an entry at `first`, and behind it one for each other waiter. All below `next` were applied. */
  appended(
    generation: Generation,
    first: number,
    next: number,
    waiters: readonly Waiter<R>[],
  ): void {
    const applied = Math.min(Math.max(0, next - first), waiters.length)
    for (let i = 0; i < applied; i++) {
      invariant(this.#early.has(first + i), `the outcome of offset ${first + i} was not kept`)
      settle(this.#early.get(first + i), waiters[i]!)
      this.#early.delete(first + i)
    }
    const left = applied === 0 ? waiters : waiters.slice(applied)
    if (left.length > 0) this.#insert({ first: first + applied, waiters: left })
    this.ended(generation)
  }

  /** The entry at `offset` was applied, and all before it. */
  applied(offset: number, outcome: Applied<R> | undefined): void {
    const batch = this.#batches[0]
    if (batch && offset >= batch.first) {
      const index = offset - batch.first
      settle(outcome, batch.waiters[index]!)
      if (index < batch.waiters.length - 1) return
      this.#batches.shift()
      this.#wakeIfIdle()
    } else if (this.#underWay > 0) {
      this.#early.set(offset, outcome)
      if (this.#early.size % PRUNE_AT === 0) this.#prune(offset + 1)
    }
  }

  /** Nothing will be applied any more. */
  fail(error: unknown): void {
    for (const { waiters } of this.#batches) for (const { reject } of waiters) reject(error)
    this.#batches = []
    this.#wakeIfIdle()
  }

  /** Resolves when no append is under way, and none waits for its outcome. */
  idle(): Promise<void> {
    if (this.#isIdle) return Promise.resolve()
    return new Promise((resolve) => this.#idle.push(resolve))
  }

  get #isIdle(): boolean {
    return this.#underWay === 0 && this.#batches.length === 0
  }

  /** Nearly always at the end: appends resolve in order. */
  #insert(batch: Batch<R>): void {
    let at = this.#batches.length
    while (at > 0 && this.#batches[at - 1]!.first > batch.first) at--
    this.#batches.splice(at, 0, batch)
  }

  #wakeIfIdle(): void {
    if (this.#idle.length === 0 || !this.#isIdle) return
    for (const wake of this.#idle.splice(0)) wake()
  }

  /** Drops the outcomes of others' entries: those before the oldest append that is under way. */
  #prune(next: number): void {
    this.#newest = { from: next, underWay: 0 }
    this.#generations = this.#generations.filter(({ underWay }) => underWay > 0)
    this.#generations.push(this.#newest)
    const { from } = this.#generations[0]!
    for (const offset of this.#early.keys()) if (offset < from) this.#early.delete(offset)
  }
}

function settle<R>(outcome: Applied<R> | undefined, waiter: Waiter<R>): void {
  const { resolve, reject, opened } = waiter
  if (outcome === undefined) resolve(undefined as R)
  else if (outcome.ok) resolve(outcome.result)
  else if (outcome.ok === undefined) opened?.(outcome.opened)
  else reject(outcome.error)
}
