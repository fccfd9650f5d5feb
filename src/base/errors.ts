/**
 * Every way in which an operation can fail, as a closed union. A code is stable API; a message is
 * not. An error without a code is a programming mistake. docs/errors.md lists them, and a test
 * fails when that list and this one differ.
 */
export const ERROR_CODES = [
  'CLOSED',
  'CORRUPT',
  'DENIED',
  'DIVERGED',
  'INVALID_ARGUMENT',
  'IO',
  'LOCKED',
  'NOT_FOUND',
  'OVERLOADED',
  'POISONED',
  'READ_ONLY',
  'TOO_LARGE',
  'TRIMMED',
  'UNAVAILABLE',
  'UNCERTAIN',
  'UNSUPPORTED_VERSION',
] as const

export type ErrorCode = (typeof ERROR_CODES)[number]

/** Facts that a program may want beside the message; which are set depends on the code. */
export interface ErrorDetails {
  /** CORRUPT, UNSUPPORTED_VERSION: name of the file in the log's folder; for a snapshot, its path. */
  readonly file?: string
  /** CORRUPT: byte position in that file. */
  readonly position?: number
  /** CORRUPT, TRIMMED: the first offset that cannot be read. */
  readonly offset?: number
  /** TRIMMED: the low-water mark at the time. */
  readonly lowWaterMark?: number
  /** LOCKED: process id of the writer that holds the lock, where it is known. */
  readonly pid?: number
}

/** An operating failure: the disk, another process or the caller's input. Never a bug in Tidemark. */
export class TidemarkError extends Error {
  readonly code: ErrorCode
  readonly details: ErrorDetails

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'TidemarkError'
    this.code = code
    this.details = details
  }
}

/** A state that cannot be: a bug in Tidemark. It has no code, and should not be caught. */
export class InvariantError extends Error {
  constructor(message: string) {
    super(`invariant broken: ${message}`)
    this.name = 'InvariantError'
  }
}

/** Throws {@link InvariantError} unless `condition` holds. Stays on in production. */
export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw new InvariantError(message)
}

/** The `code` that Node puts on errors of the operating system, such as `ENOENT`. */
export function errnoOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null) return undefined
  const code = (error as { code?: unknown }).code
  return typeof code === 'string' ? code : undefined
}
