// The port to time.

/** Stops a timer; without effect once it has fired. */
export type Cancel = () => void

export interface Clock {
  /** Milliseconds since 1970, of the wall: it may jump. */
  now(): number
  /** Milliseconds from some fixed point, never going back. */
  monotonic(): number
  /**
   * Calls `fire` once, not before `delayMs` have passed. Unless `keepsAlive`, the timer does not keep
   * the process from ending: a log that nobody waits for must not.
   */
  after(delayMs: number, fire: () => void, keepsAlive?: boolean): Cancel
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

/** How long promises may resolve one another before timers and sockets get their turn. */
const TURN_MS_MAX = 5

let lastTurn = 0

/**
 * The same, but not for ever: those who append in a loop and wait for no disk would never let the event loop
 * turn, since all that they wait for are promises.
 */
function settledInTurn(): Promise<void> {
  if (performance.now() - lastTurn < TURN_MS_MAX) return afterMicrotasks()
  return new Promise((resolve) => {
    setImmediate(() => {
      lastTurn = performance.now()
      resolve()
    })
  })
}

export const nodeClock: Clock = {
  // A clock that was never set can stand before 1970, which no timestamp can say.
  now: () => Math.max(0, Date.now()),
  monotonic: () => performance.now(),
  after(delayMs, fire, keepsAlive = false) {
    const timer = setTimeout(fire, delayMs)
    if (!keepsAlive) timer.unref()
    return () => clearTimeout(timer)
  },
  settled: settledInTurn,
}
