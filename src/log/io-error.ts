import { errnoOf, TidemarkError } from '../base/index.ts'
import { SyncFailure } from './file-steps.ts'

/**
 * Gives a failure of the operating system the code IO; `what` completes "cannot ...". Everything else,
 * errors that have their code and bugs alike, stays as it is.
 */
export function ioError(what: string, error: unknown): unknown {
  if (error instanceof SyncFailure) {
    return new TidemarkError('IO', `cannot ${what}: ${error.message}`, {}, error.cause)
  }
  if (error instanceof TidemarkError || errnoOf(error) === undefined) return error
  const { message } = error as Error
  return 'syscall' in (error as Error)
    ? new TidemarkError('IO', `cannot ${what}: ${message}`, {}, error)
    : error
}

/** Runs `work`; its failures become those of {@link ioError}. */
export async function withIoErrors<R>(what: string, work: () => Promise<R>): Promise<R> {
  try {
    return await work()
  } catch (error) {
    throw ioError(what, error)
  }
}
