import type { Clock } from '../io/index.ts'

/** Reads from the disk for those who are behind, at one time. */
const READS_MAX = 2

/**
 * Keeps members that catch up from taking the disk and the connections away from those who are at the end of a log:
 * what has to be read from the disk for them is read a few stretches at a time, and no faster than so many bytes a
 * second. What is in memory, as for live traffic, does not come by here.
 */
export class CatchUp {
  readonly #clock: Clock
  readonly #bytesPerMs: number
  #reading = 0
  readonly #waiting: (() => void)[] = []
  /** When what was read so far would have been read at the rate that is allowed. */
  #paidUntil = 0

  constructor(clock: Clock, bytesPerSecond: number) {
    this.#clock = clock
    this.#bytesPerMs = bytesPerSecond / 1000
  }

  /** Runs `read` when it is its turn; it resolves with how many bytes it has read. */
  async turn(read: () => Promise<number>): Promise<void> {
    if (this.#reading >= READS_MAX) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    } else this.#reading++
    try {
      await this.#pause()
      this.#pay(await read())
    } finally {
      const next = this.#waiting.shift()
      if (next) next()
      else this.#reading--
    }
  }

  #pay(bytes: number): void {
    const now = this.#clock.monotonic()
    this.#paidUntil = Math.max(this.#paidUntil, now) + bytes / this.#bytesPerMs
  }

  async #pause(): Promise<void> {
    const ms = this.#paidUntil - this.#clock.monotonic()
    if (ms >= 1) await new Promise<void>((resolve) => this.#clock.after(ms, resolve))
  }
}
