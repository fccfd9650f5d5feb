import { TidemarkError } from '../base/index.ts'
import type { Clock } from '../io/index.ts'
import { Expired, isPassing, kafkaError } from './refusals.ts'

const PAUSE_MS_MIN = 20
const PAUSE_MS_MAX = 1_000

export function pause(clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => {
    clock.after(ms, resolve, true)
  })
}

/**
 * Tries until it works or `deadline` (by the monotonic clock) has passed, with growing pauses. A try that is under way by
 * then is left to itself. `failed` is told of each failure. Rejects as `kafkaError` says; `what` completes
 * "cannot ...".
 */
export async function persist<R>(
  clock: Clock,
  what: string,
  deadline: number,
  attempt: () => Promise<R>,
  failed: (error: unknown) => void = () => {},
): Promise<R> {
  let last: unknown
  for (let ms = PAUSE_MS_MIN; ; ms = Math.min(2 * ms, PAUSE_MS_MAX)) {
    try {
      return await before(clock, deadline, attempt())
    } catch (error) {
      failed(error)
      if (error instanceof TidemarkError) throw error
      if (error instanceof Expired) throw kafkaError(what, last ?? error)
      if (!isPassing(error)) throw kafkaError(what, error)
      last = error
      if (clock.monotonic() + ms > deadline) throw kafkaError(what, error)
    }
    await pause(clock, ms)
  }
}

/** What the promise says, or {@link Expired} when the time is over. */
function before<R>(clock: Clock, deadline: number, promise: Promise<R>): Promise<R> {
  if (deadline === Number.POSITIVE_INFINITY) return promise
  return new Promise((resolve, reject) => {
    const left = Math.max(0, deadline - clock.monotonic())
    const cancel = clock.after(left, () => reject(new Expired()), true)
    void promise.then(resolve, reject).finally(cancel)
  })
}
