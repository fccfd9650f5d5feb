import { InvariantError, TidemarkError } from '../base/index.ts'
import { SyncFailure } from './file-steps.ts'
import type { Steps } from './steps.ts'
import type { WriterState } from './writer-state.ts'

/**
 * Queues work behind everything that was asked for before, and resolves when it is done. A failed sync
 * in it poisons the log; other failures of the operating system become IO, with the log as it was.
 */
export function runJob<T>(w: WriterState, what: string, work: () => Steps<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    w.sequencer.enqueue(function* job() {
      try {
        if (w.poison) throw w.poison
        resolve(yield* work())
      } catch (error) {
        reject(jobError(w, what, error))
        if (error instanceof InvariantError) throw error
      }
    })
  })
}

export function jobError(w: WriterState, what: string, error: unknown): Error {
  if (error instanceof TidemarkError) return error
  if (error instanceof SyncFailure || error instanceof InvariantError) return w.poisonWith(error)
  const why = error instanceof Error ? error.message : String(error)
  return new TidemarkError('IO', `cannot ${what} the log ${w.folder}: ${why}`, {}, error)
}
