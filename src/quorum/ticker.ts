import type { Cancel, Clock } from '../io/index.ts'

/** One timer for all replicas of a member: each is told of every tick. */
export class Ticker {
  readonly tickMs: number
  readonly #clock: Clock
  readonly #listeners = new Set<() => void>()
  #cancel: Cancel | undefined

  constructor(clock: Clock, tickMs: number) {
    this.#clock = clock
    this.tickMs = tickMs
  }

  /** Calls `listener` with every tick from now on, until what this returns is called. */
  add(listener: () => void): Cancel {
    this.#listeners.add(listener)
    if (!this.#cancel) this.#next()
    return () => {
      this.#listeners.delete(listener)
      if (this.#listeners.size > 0) return
      this.#cancel?.()
      this.#cancel = undefined
    }
  }

  #next(): void {
    this.#cancel = this.#clock.after(this.tickMs, () => {
      this.#cancel = undefined
      for (const listener of [...this.#listeners]) listener()
      if (this.#listeners.size > 0 && !this.#cancel) this.#next()
    })
  }
}
