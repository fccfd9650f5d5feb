import { invariant } from '../base/index.ts'
import type { Clock } from '../io/index.ts'

// Whatever changes a log is written once, as a generator that yields each operation which may wait for
// a disk. Two drivers run it: one awaits the operations, the other (for `appendSync`) blocks on them.
//
// Every step can be repeated without harm: the same bytes to the same position, a sync, a rename that
// is the generator's own. So the blocking driver can take over a generator in the middle of a step
// that is still under way in the thread pool: it does that step again, and goes on from there.

/** One operation that may wait for a disk. Both forms do the same, and may be repeated. */
export interface Step {
  run(): Promise<void>
  runSync(): void
  /**
   * Called when `run` failed after the blocking driver had repeated the step with success. A write may
   * fail so without harm; a sync that failed is a failed sync.
   */
  readonly lateFailure?: (error: unknown) => void
}

export type Steps<T = void> = Generator<Step, T, void>

/** A piece of work in the sequence. It handles its own failures: what escapes from it is a bug. */
export type Job = () => Steps

/**
 * Runs jobs one after the other. Everything that writes to a log goes through one of these, so no two
 * writers of a file ever meet.
 */
export class Sequencer {
  readonly #clock: Clock
  readonly #queue: Job[] = []
  /** The generator under way, and the step it waits for. */
  #current: { readonly steps: Steps; step: Step } | undefined
  #running: Promise<void> | undefined
  #escaped: unknown
  #turn = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Appends a job to the sequence and starts it as soon as those before it are done. */
  enqueue(job: Job): void {
    this.#queue.push(job)
    this.#running ??= this.#runAll()
  }

  /** Resolves when everything that was queued before the call is done. What comes after it does not matter. */
  async passed(): Promise<void> {
    if (this.#running === undefined) return
    await new Promise<void>((resolve) => {
      // biome-ignore lint/correctness/useYield: it has nothing to wait for.
      this.enqueue(function* mark() {
        resolve()
      })
    })
  }

  /**
   * Stays the same only within one turn of the process, so what was looked up in a turn need not be
   * looked up again in it. Undefined while a step is under way: then turns come and go unseen.
   */
  get turn(): number | undefined {
    return this.#current ? undefined : this.#turn
  }

  /** Resolves when nothing is queued or under way. */
  async idle(): Promise<void> {
    while (this.#running !== undefined) await this.#running
    if (this.#escaped) throw this.#escaped
  }

  /** Runs all that is queued or under way to its end, blocking. */
  drainSync(): void {
    this.#turn++
    if (this.#current) {
      const { steps, step } = this.#current
      this.#current = undefined
      finishSync(steps, step)
    }
    for (let job = this.#queue.shift(); job; job = this.#queue.shift()) finishSync(job())
  }

  async #runAll(): Promise<void> {
    try {
      // Appends of the same moment, and of writers that the last group has just woken, form one group.
      for (await this.#settled(); this.#queue.length > 0; await this.#settled()) {
        await this.#drive(this.#queue.shift()!())
      }
    } catch (error) {
      this.#escaped = error
      throw error
    } finally {
      this.#running = undefined
    }
  }

  async #settled(): Promise<void> {
    await this.#clock.settled()
    this.#turn++
  }

  async #drive(steps: Steps): Promise<void> {
    let next = steps.next()
    while (!next.done) {
      const turn = { steps, step: next.value }
      this.#current = turn
      let failure: { error: unknown } | undefined
      try {
        await turn.step.run()
      } catch (error) {
        failure = { error }
      }
      if (this.#current !== turn) {
        // The blocking driver took this generator over while the step was under way.
        if (failure) turn.step.lateFailure?.(failure.error)
        return
      }
      this.#current = undefined
      next = failure ? steps.throw(failure.error) : steps.next()
    }
  }
}

/** Drives a generator to its end, blocking; `step` is the one it already waits for, if any. */
export function finishSync<T>(steps: Steps<T>, step?: Step): T {
  let next: IteratorResult<Step, T> = step ? { done: false, value: step } : steps.next()
  while (!next.done) {
    let failure: { error: unknown } | undefined
    try {
      next.value.runSync()
    } catch (error) {
      failure = { error }
    }
    next = failure ? steps.throw(failure.error) : steps.next()
  }
  return next.value
}

/** Drives a generator to its end outside any sequence: for opening, when nobody else is there yet. */
export async function finish<T>(steps: Steps<T>): Promise<T> {
  let next = steps.next()
  while (!next.done) {
    let failure: { error: unknown } | undefined
    try {
      await next.value.run()
    } catch (error) {
      failure = { error }
    }
    next = failure ? steps.throw(failure.error) : steps.next()
  }
  invariant(next.done, 'a finished generator has a value')
  return next.value
}
