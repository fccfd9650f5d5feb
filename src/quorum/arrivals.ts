import type { Cancel, Clock } from '../io/index.ts'

/** A replica that is further behind than this is not waited for. */
const LATE_MS = 1_000

interface Arrival {
  readonly mark: number
  readonly tell: () => void
}

/**
 * Appends that a majority has, of which the replica on this member is none yet: whoever appended here is told when they
 * can be read here. That is nearly always at once.
 */
export class Arrivals {
  readonly #clock: Clock
  /** What can be read here. */
  readonly #here: () => number
  #waiting: Arrival[] = []
  #cancel: Cancel | undefined

  constructor(clock: Clock, here: () => number) {
    this.#clock = clock
    this.#here = here
  }

  /** Calls `tell` when everything below `mark` can be read here, or after a while. */
  wait(mark: number, tell: () => void): void {
    if (this.#here() >= mark) {
      tell()
      return
    }
    this.#waiting.push({ mark, tell })
    this.#cancel ??= this.#clock.after(LATE_MS, () => this.release(), true)
  }

  /** More may have come. */
  check(): void {
    if (this.#waiting.length === 0) return
    const here = this.#here()
    const waiting = this.#waiting
    this.#waiting = waiting.filter(({ mark }) => mark > here)
    if (this.#waiting.length === 0) this.#rest()
    for (const { mark, tell } of waiting) if (mark <= here) tell()
  }

  /** Tells all: the replica is late, or does not run. */
  release(): void {
    this.#rest()
    for (const { tell } of this.#waiting.splice(0)) tell()
  }

  #rest(): void {
    this.#cancel?.()
    this.#cancel = undefined
  }
}
