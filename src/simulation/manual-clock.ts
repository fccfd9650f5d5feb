import { afterMicrotasks, type Cancel, type Clock } from '../io/index.ts'
import { requireFinite, requireNotNegative } from './arguments.ts'
import { START_MS, settledEntirely } from './simulated-time.ts'

interface Timer {
  /** On the monotonic clock, in ms. */
  readonly due: number
  readonly fire: () => void
}

/**
 * A clock that stands still until it is told to move. Timers fire only within {@link advance}, each at
 * exactly the moment it is due.
 */
export class ManualClock implements Clock {
  #elapsedMs = 0
  /** What the wall showed, or would have shown, when `#elapsedMs` was 0. */
  #originMs: number
  /** In the order in which they were set; of those due at the same moment the earlier fires first. */
  readonly #timers = new Set<Timer>()
  #advancing: Promise<void> = Promise.resolve()

  /** The clock starts at `startMs` milliseconds since 1970. */
  constructor(startMs = START_MS) {
    this.#originMs = requireFinite(startMs, 'startMs')
  }

  now(): number {
    return this.#originMs + this.#elapsedMs
  }

  /** Milliseconds since the clock was made; {@link jump} does not change it. */
  monotonic(): number {
    return this.#elapsedMs
  }

  after(delayMs: number, fire: () => void): Cancel {
    const due = this.#elapsedMs + Math.max(0, requireFinite(delayMs, 'delayMs'))
    const timer: Timer = { due, fire }
    this.#timers.add(timer)
    return () => {
      this.#timers.delete(timer)
    }
  }

  settled(): Promise<void> {
    return afterMicrotasks()
  }

  /** How many timers are set and have neither fired nor been cancelled. */
  get pendingTimers(): number {
    return this.#timers.size
  }

  /**
   * Moves the clock on by `ms` milliseconds. Timers that become due fire in the order of their time,
   * also those set meanwhile; before the first and after each, everything runs that can run without
   * the outside world. Rejects if a timer throws, with the clock at that timer's moment, and with
   * INVALID_ARGUMENT if `ms` is negative or no number.
   *
   * Calls made while one is under way follow it. A timer must not wait for a call of its own.
   */
  async advance(ms: number): Promise<void> {
    requireNotNegative(ms, 'ms')
    const done = this.#advancing.then(() => this.#advanceTo(this.#elapsedMs + ms))
    this.#advancing = done.catch(() => {})
    await done
  }

  /** Sets the wall clock forward or back by `ms` milliseconds, as an operator may; no timer notices. */
  jump(ms: number): void {
    this.#originMs += requireFinite(ms, 'ms')
  }

  async #advanceTo(end: number): Promise<void> {
    await settledEntirely()
    for (let timer = this.#nextDue(end); timer; timer = this.#nextDue(end)) {
      this.#timers.delete(timer)
      this.#elapsedMs = timer.due
      timer.fire()
      await settledEntirely()
    }
    this.#elapsedMs = end
  }

  #nextDue(end: number): Timer | undefined {
    let next: Timer | undefined
    for (const timer of this.#timers) {
      if (timer.due <= end && (!next || timer.due < next.due)) next = timer
    }
    return next
  }
}
