import { errnoOf, TidemarkError } from '../base/index.ts'
import type { Files } from '../io/index.ts'
import { SyncFailure } from './file-steps.ts'
import type { Steps } from './steps.ts'

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

/** Throws INVALID_ARGUMENT if `folder` cannot be a path. */
export function checkFolderName(folder: unknown): asserts folder is string {
  if (typeof folder === 'string' && folder !== '' && !folder.includes('\0')) return
  throw new TidemarkError(
    'INVALID_ARGUMENT',
    `folder must be a path, not ${typeof folder === 'string' ? JSON.stringify(folder) : String(folder)}`,
  )
}

/** Throws INVALID_ARGUMENT if there is something at `path` that is not a folder, IO if that cannot be told. */
export function checkLogPath(files: Files, path: string): void {
  try {
    if (files.existsSync(path)) files.listSync(path)
  } catch (error) {
    if (errnoOf(error) !== 'ENOTDIR') throw ioError(`open the log ${path}`, error)
    const problem = `${path} is, or lies below, a file; a log is a folder`
    throw new TidemarkError('INVALID_ARGUMENT', problem, {}, error)
  }
}

/** Runs `work`; its failures become those of {@link ioError}. */
export async function withIoErrors<R>(what: string, work: () => Promise<R>): Promise<R> {
  try {
    return await work()
  } catch (error) {
    throw ioError(what, error)
  }
}

/** The same for work in steps. A failed sync in it becomes IO as well, so it poisons no log. */
export function* stepsWithIoErrors<R>(what: string, work: () => Steps<R>): Steps<R> {
  try {
    return yield* work()
  } catch (error) {
    throw ioError(what, error)
  }
}
