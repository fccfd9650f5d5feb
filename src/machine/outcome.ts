import { TidemarkError } from '../base/index.ts'
import type { Codec } from '../log/index.ts'

/** What came of a command: what `apply` returned, or what it threw. */
export type Outcome<R> =
  | { readonly ok: true; readonly result: R }
  | { readonly ok: false; readonly error: unknown }

/** What came of an entry: a session, or what a command gave. */
export type Applied<R> = Outcome<R> | { readonly ok?: undefined; readonly opened: number }

/** An outcome as a session remembers it. */
export interface StoredOutcome {
  readonly ok: boolean
  /** Undefined: the result was undefined, for which there are no bytes. */
  readonly bytes: Uint8Array | undefined
}

/** What an outcome is, in a snapshot. */
const OUTCOME = { error: 0, result: 1, noResult: 2 } as const

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true })

/** What of an error survives: its name, its message, and its code if it has one. */
interface StoredError {
  readonly name: string
  readonly message: string
  readonly code?: string
}

/** How an outcome is marked in a snapshot. */
export function kindOf({ ok, bytes }: StoredOutcome): number {
  if (!ok) return OUTCOME.error
  return bytes === undefined ? OUTCOME.noResult : OUTCOME.result
}

/** The outcome of a snapshot with this mark and these bytes. Throws CORRUPT. */
export function outcomeOf(kind: number, bytes: Uint8Array): StoredOutcome {
  if (kind === OUTCOME.result) return { ok: true, bytes }
  if (kind === OUTCOME.noResult && bytes.length === 0) return { ok: true, bytes: undefined }
  if (kind === OUTCOME.error && errorOf(bytes)) return { ok: false, bytes }
  throw new TidemarkError('CORRUPT', `an answer in a snapshot is none: ${kind}`)
}

/**
 * The form in which an outcome is kept and answered again. A result that its codec cannot encode becomes an
 * error: it has to be the same on every replica, and after every replay.
 */
export function storeOutcome<R>(outcome: Outcome<R>, results: Codec<R>): StoredOutcome {
  if (!outcome.ok) return { ok: false, bytes: Buffer.from(JSON.stringify(describe(outcome.error))) }
  if (outcome.result === undefined) return { ok: true, bytes: undefined }
  try {
    return { ok: true, bytes: bytesOf(results.encode(outcome.result)) }
  } catch (error) {
    return storeOutcome<R>({ ok: false, error }, results)
  }
}

/** What a session remembers, as it was. What the codec cannot read any more is an error with the code CORRUPT. */
export function restoreOutcome<R>({ ok, bytes }: StoredOutcome, results: Codec<R>): Outcome<R> {
  if (bytes === undefined) return { ok: true, result: undefined as R }
  if (!ok) return { ok: false, error: errorOf(bytes) ?? unreadable(undefined) }
  try {
    return { ok: true, result: results.decode(Buffer.from(bytes)) }
  } catch (error) {
    return { ok: false, error: unreadable(error) }
  }
}

function unreadable(cause: unknown): TidemarkError {
  const message = 'the answer that a session remembers cannot be read by the codec of results'
  return new TidemarkError('CORRUPT', message, {}, cause)
}

/** The error that was stored; undefined if these bytes are none. */
function errorOf(bytes: Uint8Array): Error | undefined {
  let stored: Partial<StoredError> | null
  try {
    stored = JSON.parse(utf8.decode(bytes)) as Partial<StoredError> | null
  } catch {
    return undefined
  }
  const { name, message, code } = stored ?? {}
  if (typeof name !== 'string' || typeof message !== 'string') return undefined
  if (code !== undefined && typeof code !== 'string') return undefined
  return Object.assign(new Error(message), { name }, code === undefined ? {} : { code })
}

/** The codec is the user's, and may give anything. */
function bytesOf(encoded: unknown): Uint8Array {
  if (typeof encoded === 'string') return Buffer.from(encoded)
  if (encoded instanceof Uint8Array) return encoded
  const found = typeof encoded
  throw new TidemarkError(
    'INVALID_ARGUMENT',
    `the codec of results must give a Uint8Array or a string, not ${found}`,
  )
}

function describe(error: unknown): StoredError {
  if (!(error instanceof Error)) return { name: 'Error', message: textOf(error) }
  const { code } = error as { code?: unknown }
  const stored = { name: textOf(error.name), message: textOf(error.message) }
  return typeof code === 'string' ? { ...stored, code } : stored
}

/** Anything can be thrown, also what has no text. */
function textOf(value: unknown): string {
  try {
    return String(value)
  } catch {
    return typeof value
  }
}

/** That the machine no longer knows whether a request was applied. */
export function uncertain(session: string, request: number, why: string): TidemarkError {
  return new TidemarkError(
    'UNCERTAIN',
    `request ${request} of session ${session}: ${why}, so it is not known whether it was applied before; it was not applied now`,
  )
}
