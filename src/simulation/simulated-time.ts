import { invariant } from '../base/index.ts'
import type { Cancel } from '../io/index.ts'
import { requireNotNegative } from './arguments.ts'
import { EventQueue } from './event-queue.ts'

/** 2026-01-01T00:00:00Z, for tests that do not care. */
export const START_MS = 1_767_225_600_000

/**
 * The time of a simulation in which many members run in one process. It moves only from one event to the
 * next, and after each everything runs that can run without the outside world. So what happens is a function of the
 * seed, as long as what is simulated waits for nothing but promises, ticks and events of this time.
 */
export class SimulatedTime {
  readonly #queue = new EventQueue()
  #now = 0
  #events = 0
  #isMoving = false

  /** Milliseconds since the simulation began; they may be fractional. */
  get now(): number {
    return this.#now
  }

  /** How many events have fired. */
  get events(): number {
    return this.#events
  }

  /** How many events are scheduled and have neither fired nor been cancelled. */
  get pending(): number {
    return this.#queue.size
  }

  /**
   * Calls `fire` when `delayMs` milliseconds have passed; a negative delay is none. Events of the same moment fire in
   * the order in which they were scheduled. To cancel takes constant time. Throws INVALID_ARGUMENT if the delay
   * is no finite number.
   */
  schedule(delayMs: number, fire: () => void): Cancel {
    const due = this.#now + Math.max(0, delayMs)
    if (!Number.isFinite(due)) requireNotNegative(due, 'delayMs')
    const event = this.#queue.add(due, fire)
    return () => this.#queue.cancel(event)
  }

  /**
   * Moves on to the next event, fires it, and lets everything run that can. Returns whether there was one. Rejects
   * if the event throws, with the time at its moment. Steps follow each other: one within another is a mistake.
   *
   * What was started just before may not have got as far as its first event; {@link settle} lets it.
   */
  step(): Promise<boolean> {
    return this.#alone(async () => {
      if (this.#queue.size === 0) return false
      this.#fireNext()
      await settledEntirely()
      return true
    })
  }

  /**
   * Lets everything run that can, then steps until no event is left that is due at `untilMs` (on the scale of
   * {@link now}) or before, and ends at that moment. Rejects if an event throws, with the time at its moment, and with
   * INVALID_ARGUMENT if `untilMs` is in the past or no finite number.
   */
  run(untilMs: number): Promise<void> {
    return this.#alone(async () => {
      requireNotNegative(untilMs - this.#now, 'untilMs - now')
      await settledEntirely()
      while (this.#queue.nextDue() <= untilMs) {
        this.#fireNext()
        await settledEntirely()
      }
      this.#now = untilMs
    })
  }

  /** Lets everything run that can, without moving on. */
  settle(): Promise<void> {
    return settledEntirely()
  }

  #fireNext(): void {
    const due = this.#queue.nextDue()
    const fire = this.#queue.take()
    invariant(fire !== undefined, 'an event was to fire, and there is none')
    invariant(due >= this.#now, `an event of ${due} ms comes up at ${this.#now} ms`)
    this.#now = due
    this.#events += 1
    fire()
  }

  async #alone<T>(move: () => Promise<T>): Promise<T> {
    invariant(!this.#isMoving, 'time is moved by two at once')
    this.#isMoving = true
    try {
      return await move()
    } finally {
      this.#isMoving = false
    }
  }
}

/**
 * Resolves when neither microtasks nor ticks are left, however long a chain of them is: stronger than
 * `settled`, so that simulated files, which take a few turns for each operation, come to rest.
 */
export function settledEntirely(): Promise<void> {
  return new Promise(settleThen)
}

function settleThen(resolve: () => void): void {
  setImmediate(resolve)
}
