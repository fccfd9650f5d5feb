import { type Clock, nodeClock } from '#dist/io/index.js'

/** A clock of a machine whose clocks are wrong. */
export class WrongClock implements Clock {
  /** What the wall clock is ahead of the true one, in ms. */
  aheadMs: number
  /** How fast its time runs. */
  readonly #rate: number

  constructor(aheadMs: number, rate: number) {
    this.aheadMs = aheadMs
    this.#rate = rate
  }

  now(): number {
    return Math.max(0, Math.round(Date.now() + this.aheadMs))
  }

  monotonic(): number {
    return performance.now() * this.#rate
  }

  after(delayMs: number, fire: () => void, keepsAlive = false) {
    return nodeClock.after(delayMs / this.#rate, fire, keepsAlive)
  }

  settled(): Promise<void> {
    return nodeClock.settled()
  }
}
