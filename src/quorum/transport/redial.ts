import type { Cancel, Clock, Random } from '../../io/index.ts'

interface Pace {
  readonly firstMs: number
  readonly mostMs: number
}

/** Of each two members the one with the higher id dials. */
export const DIALER_PACE: Pace = { firstMs: 20, mostMs: 1_000 }
/** The other does so too when it is left alone: who should dial may not know where to. */
export const DIALED_PACE: Pace = { firstMs: 2_000, mostMs: 5_000 }

/** How many failures a refusal counts for: who is refused is hardly let in a moment later. */
const REFUSAL_FAILURES = 3

/** When to dial a member again: sooner at first, then ever later, and never all at once. */
export class Redial {
  readonly #clock: Clock
  readonly #random: Random
  readonly #dial: () => void
  readonly #pace: Pace
  #failures = 0
  #cancel: Cancel | undefined
  #isStopped = false

  constructor(clock: Clock, random: Random, pace: Pace, dial: () => void) {
    this.#clock = clock
    this.#random = random
    this.#dial = dial
    this.#pace = pace
  }

  succeeded(): void {
    this.#failures = 0
  }

  failed(wasRefused: boolean): void {
    if (this.#isStopped) return
    this.#cancel?.()
    const { firstMs, mostMs } = this.#pace
    const most = Math.min(mostMs, firstMs * 2 ** this.#failures)
    this.#failures++
    if (wasRefused) this.#failures = Math.max(this.#failures, REFUSAL_FAILURES)
    const delay = most / 2 + (most / 2) * (this.#random.uint32() / 2 ** 32)
    this.#cancel = this.#clock.after(delay, this.#dial)
  }

  /** For good. */
  stop(): void {
    this.#isStopped = true
    this.#cancel?.()
  }
}
