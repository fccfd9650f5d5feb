import type { Cancel } from '../io/index.ts'
import type { Fetched } from './fetch-response.ts'
import type { Partition } from './partition.ts'
import { pause } from './patience.ts'
import { isPassing } from './refusals.ts'
import type { TideMarks } from './tide-marks.ts'

/** So long a broker may hold back its answer while nothing comes. */
const WAIT_MS = 2_000
const TAIL_BYTES = 1024 * 1024
const PAUSE_MS_MIN = 50
const PAUSE_MS_MAX = 1_000

interface Waiter {
  readonly position: number
  resolve(): void
  reject(error: unknown): void
}

/** What was fetched last, for those who come to it at about the same time. */
export interface Latest {
  readonly from: number
  readonly fetched: Fetched
}

/**
 * Looks for what is new, once for all who wait for it. While nobody waits, nothing is asked. A broker that does not answer is
 * asked again for as long as somebody waits.
 */
export class Tail {
  readonly #partition: Partition
  readonly #marks: TideMarks
  readonly #waiters = new Set<Waiter>()
  #latest: Latest | undefined
  #isLooking = false

  constructor(partition: Partition, marks: TideMarks) {
    this.#partition = partition
    this.#marks = marks
  }

  /** What was fetched last, if it has what is at `position`. Its bytes are shared: they must be copied. */
  has(position: number): Fetched | undefined {
    const latest = this.#latest
    return latest && latest.from === position ? latest.fetched : undefined
  }

  /**
   * Resolves when there may be more at `position`, when the log is closed, or when `stop` is called. Rejects with what does
   * not pass by itself, as the client or the broker says it.
   */
  wait(position: number): { readonly more: Promise<void>; readonly stop: Cancel } {
    let stop: Cancel = () => {}
    const more = new Promise<void>((resolve, reject) => {
      const waiter = { position, resolve, reject }
      stop = () => {
        this.#waiters.delete(waiter)
        resolve()
      }
      this.#waiters.add(waiter)
    })
    if (!this.#isLooking) void this.#look()
    return { more, stop }
  }

  close(): void {
    this.#wake((waiter) => waiter.resolve())
  }

  async #look(): Promise<void> {
    const { brokers, settings } = this.#partition
    this.#isLooking = true
    let pauseMs = PAUSE_MS_MIN
    while (this.#waiters.size > 0 && !brokers.isClosed) {
      const from = Math.min(...[...this.#waiters].map(({ position }) => position))
      try {
        const waitMs = Math.min(WAIT_MS, settings.requestMs / 2)
        const ask = { from, maxBytes: TAIL_BYTES, waitMs, lane: 'tail' as const }
        const asked = brokers.clock.monotonic()
        const fetched = await this.#partition.fetch(ask)
        this.#marks.learn(fetched, settings.isCommittedOnly)
        if (fetched.bytes.length > 0) {
          this.#latest = { from, fetched }
          this.#wake((waiter) => waiter.resolve())
        } else if (brokers.clock.monotonic() - asked < waitMs / 2) {
          // Not every server that speaks the protocol holds its answer back.
          await pause(brokers.clock, PAUSE_MS_MIN)
        }
        pauseMs = PAUSE_MS_MIN
      } catch (error) {
        if (brokers.isClosed) break
        if (!isPassing(error)) {
          this.#wake((waiter) => waiter.reject(error))
          break
        }
        await pause(brokers.clock, pauseMs)
        pauseMs = Math.min(2 * pauseMs, PAUSE_MS_MAX)
      }
    }
    this.#isLooking = false
    // Whoever came while the last answer was looked at.
    if (brokers.isClosed) this.close()
    else if (this.#waiters.size > 0) void this.#look()
  }

  #wake(tell: (waiter: Waiter) => void): void {
    const waiters = [...this.#waiters]
    this.#waiters.clear()
    for (const waiter of waiters) tell(waiter)
  }
}
