import type { Cancel, Clock, Random } from '../../io/index.ts'

const FIRST_MS = 20
const MOST_MS = 1000
/** How many failures a refusal counts for: who is refused is hardly let in a moment later. */
const REFUSAL_FAILURES = 3

/** When to dial a member again: sooner at first, ever later up to a second, and never all at once. */
export class Redial {
  readonly #clock: Clock
  readonly #random: Random
  readonly #dial: () => void
  #failures = 0
  #cancel: Cancel | undefined
  #isStopped = false

  constructor(clock: Clock, random: Random, dial: () => void) {
    this.#clock = clock
    this.#random = random
    this.#dial = dial
  }

  succeeded(): void {
    this.#failures = 0
  }

  failed(wasRefused: boolean): void {
    if (this.#isStopped) return
    const most = Math.min(MOST_MS, FIRST_MS * 2 ** this.#failures)
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
