// The port to time. Timers never keep a process alive: a log that nobody awaits must not.

/** Stops a timer; without effect once it has fired. */
export type Cancel = () => void

export interface Clock {
  /** Milliseconds since 1970, of the wall: it may jump. */
  now(): number
  /** Milliseconds from some fixed point, never going back. */
  monotonic(): number
  /** Calls `fire` once, not before `delayMs` have passed. */
  after(delayMs: number, fire: () => void): Cancel
  /** Resolves when everything that can run now has run: the moment to see who else wants to append. */
  settled(): Promise<void>
}

/**
 * Resolves after the microtask queue has drained. `nextTick` from within a microtask runs when no
 * microtask is left, so the continuations of all promises resolved until now, however deep, come first.
 */
export function afterMicrotasks(): Promise<void> {
  return new Promise((resolve) => {
    queueMicrotask(() => process.nextTick(resolve))
  })
}

export const nodeClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(delayMs, fire) {
    const timer = setTimeout(fire, delayMs)
    timer.unref()
    return () => clearTimeout(timer)
  },
  settled: afterMicrotasks,
}
