import { TidemarkError } from '../base/index.ts'
import type { Clock } from '../io/index.ts'
import { isPassing, kafkaError } from './refusals.ts'

const PAUSE_MS_MIN = 20
const PAUSE_MS_MAX = 1_000

export function pause(clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => {
    clock.after(ms, resolve, true)
  })
}

/**
 * Tries until it works or `deadline` (by the monotonic clock) has passed, with growing pauses. `failed` is told of each
 * failure before the next try, and throws if there shall be none. Rejects as `kafkaError` says; `what` completes
 * "cannot ...".
 */
export async function persist<R>(
  clock: Clock,
  what: string,
  deadline: number,
  attempt: () => Promise<R>,
  failed: (error: unknown) => void = () => {},
): Promise<R> {
  for (let ms = PAUSE_MS_MIN; ; ms = Math.min(2 * ms, PAUSE_MS_MAX)) {
    try {
      return await attempt()
    } catch (error) {
      if (error instanceof TidemarkError) throw error
      if (!isPassing(error)) throw kafkaError(what, error)
      failed(error)
      if (clock.monotonic() + ms > deadline) throw kafkaError(what, error)
    }
    await pause(clock, ms)
  }
}
