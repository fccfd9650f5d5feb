import { TidemarkError } from '../base/index.ts'
import type { Clock } from '../io/index.ts'

interface Awaited {
  readonly isSo: () => boolean
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/** Those who wait until something is so of a log: a mark that rises, a leader that is there. */
export class MarksAwaited {
  readonly #clock: Clock
  #awaited: Awaited[] = []

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Something may have become so. */
  check(): void {
    if (this.#awaited.length === 0) return
    const due = this.#awaited.filter(({ isSo }) => isSo())
    if (due.length === 0) return
    this.#awaited = this.#awaited.filter((each) => !due.includes(each))
    for (const { resolve } of due) resolve()
  }

  /** Resolves when `isSo` is true. Rejects with UNAVAILABLE after `timeoutMs`, saying `what` was waited for. */
  until(isSo: () => boolean, timeoutMs: number, what: string): Promise<void> {
    if (isSo()) return Promise.resolve()
    return new Promise((resolve, reject) => {
      const cancel = this.#clock.after(
        timeoutMs,
        () => {
          this.#awaited = this.#awaited.filter((each) => each !== awaited)
          reject(
            new TidemarkError('UNAVAILABLE', `${what}: not within ${Math.round(timeoutMs)} ms`),
          )
        },
        true,
      )
      const awaited: Awaited = {
        isSo,
        resolve: () => {
          cancel()
          resolve()
        },
        reject: (error) => {
          cancel()
          reject(error)
        },
      }
      this.#awaited.push(awaited)
    })
  }

  /** Nothing becomes so any more. */
  fail(error: unknown): void {
    const awaited = this.#awaited
    this.#awaited = []
    for (const { reject } of awaited) reject(error)
  }
}
