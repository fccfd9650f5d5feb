import { afterMicrotasks, type Cancel, type Clock } from '../io/index.ts'
import { invalid, requireFinite } from './arguments.ts'
import { type SimulatedTime, START_MS } from './simulated-time.ts'

/** How a member's clock differs from the time of the simulation. */
export interface MemberClockOptions {
  /** What its wall clock is ahead of the true time at first, in ms. */
  readonly wallOffsetMs?: number
  /** What it gains, in millionths: with 200 it is 0.2 ms ahead after each second. More than -1,000,000. */
  readonly driftPpm?: number
}

/** The clock of one life of one member. */
export interface SimulatedClock extends Clock {
  /** What the wall clock is ahead of the true time now, in ms: for the clock of the member's next life. */
  readonly wallOffsetMs: number
  readonly isPaused: boolean
  readonly isStopped: boolean
  /** Sets the wall clock forward or back by `ms` milliseconds, as an operator may; no timer notices. */
  jump(ms: number): void
  /** From now on nothing of the member runs, though time goes on: a process that has no processor. */
  pause(): void
  /** What came due or was to {@link enter} meanwhile runs now, in that order, each as an event of its own. */
  resume(): void
  /** The member is dead: no timer fires, nothing enters any more. For ever. */
  stop(): void
  /**
   * Runs what comes from outside, such as a message: at once, if the member is paused when it resumes, and never
   * if it is stopped.
   */
  enter(fire: () => void): void
}

/**
 * The clock of a member that is born now. Its monotonic clock begins at 0. Its drift scales that, the wall
 * clock and the delays of timers alike, so by its own measure no timer is ever early. The wall shows whole
 * milliseconds, as that of Node does. Throws INVALID_ARGUMENT if an option is out of range.
 */
export function memberClock(time: SimulatedTime, options: MemberClockOptions = {}): SimulatedClock {
  return new MemberClock(time, options)
}

/** What has come due, and waits for the member to resume. */
interface Held {
  fire: (() => void) | undefined
}

class MemberClock implements SimulatedClock {
  readonly #time: SimulatedTime
  readonly #bornMs: number
  readonly #rate: number
  #offsetMs: number
  /**
   * The latest moment, by this clock, at which a timer has fired. Scaling rounds, and a timer that seems to come a
   * trifle early would be set again and again by those who wait for a deadline, without time ever moving.
   */
  #reachedMs = 0
  readonly #cancels = new Set<Cancel>()
  readonly #held: Held[] = []
  #isPaused = false
  #isStopped = false

  constructor(time: SimulatedTime, { wallOffsetMs = 0, driftPpm = 0 }: MemberClockOptions) {
    this.#time = time
    this.#bornMs = time.now
    this.#offsetMs = requireFinite(wallOffsetMs, 'wallOffsetMs')
    this.#rate = 1 + requireFinite(driftPpm, 'driftPpm') / 1e6
    if (this.#rate <= 0) throw invalid(`driftPpm must be more than -1000000, but is ${driftPpm}`)
  }

  get isPaused(): boolean {
    return this.#isPaused
  }

  get isStopped(): boolean {
    return this.#isStopped
  }

  get wallOffsetMs(): number {
    return this.#offsetMs + this.monotonic() - (this.#time.now - this.#bornMs)
  }

  now(): number {
    const wall = START_MS + this.#offsetMs + this.#bornMs + this.monotonic()
    // A clock that was set far back stands before 1970, which no timestamp can say.
    return Math.max(0, Math.floor(wall))
  }

  monotonic(): number {
    return Math.max(this.#reachedMs, (this.#time.now - this.#bornMs) * this.#rate)
  }

  after(delayMs: number, fire: () => void): Cancel {
    const delay = Math.max(0, requireFinite(delayMs, 'delayMs'))
    if (this.#isStopped) return () => {}
    const due = this.monotonic() + delay
    const timer: Held = {
      fire: () => {
        this.#reachedMs = Math.max(this.#reachedMs, due)
        fire()
      },
    }
    const unschedule = this.#time.schedule(delay / this.#rate, () => {
      this.#cancels.delete(cancel)
      this.#runInTurn(timer)
    })
    const cancel = (): void => {
      timer.fire = undefined
      this.#cancels.delete(cancel)
      unschedule()
    }
    this.#cancels.add(cancel)
    return cancel
  }

  settled(): Promise<void> {
    return afterMicrotasks()
  }

  jump(ms: number): void {
    this.#offsetMs += requireFinite(ms, 'ms')
  }

  pause(): void {
    this.#isPaused = true
  }

  resume(): void {
    if (!this.#isPaused) return
    this.#isPaused = false
    this.#release()
  }

  stop(): void {
    this.#isStopped = true
    for (const cancel of [...this.#cancels]) cancel()
    this.#held.length = 0
  }

  enter(fire: () => void): void {
    this.#runInTurn({ fire })
  }

  /** What is still held goes first: a resumed member sees things in the order in which they came. */
  #runInTurn(what: Held): void {
    if (this.#isStopped) return
    if (this.#isPaused || this.#held.length > 0) this.#held.push(what)
    else what.fire?.()
  }

  /** Runs the first of what is held as an event of this moment, and then the next. */
  #release(): void {
    if (this.#held.length === 0) return
    this.#time.schedule(0, () => {
      if (this.#isPaused) return
      const first = this.#held.shift()
      this.#release()
      first?.fire?.()
    })
  }
}
