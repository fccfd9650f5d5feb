import { TidemarkError } from '../base/index.ts'
import type { Codec } from '../log/index.ts'

/** What came of a command: what `apply` returned, or what it threw. */
export type Outcome<R> =
  | { readonly ok: true; readonly result: R }
  | { readonly ok: false; readonly error: unknown }

/** An outcome as a session remembers it. */
export interface StoredOutcome {
  readonly ok: boolean
  readonly bytes: Uint8Array
}

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true })

/** What of an error survives: its name, its message, and its code if it has one. */
interface StoredError {
  readonly name: string
  readonly message: string
  readonly code?: string
}

/**
 * The form in which an outcome is kept and answered again. A result that its codec cannot encode becomes an
 * error: it has to be the same on every replica, and after every replay.
 */
export function storeOutcome<R>(outcome: Outcome<R>, results: Codec<R>): StoredOutcome {
  if (!outcome.ok) return { ok: false, bytes: Buffer.from(JSON.stringify(describe(outcome.error))) }
  try {
    const encoded = outcome.result === undefined ? '' : results.encode(outcome.result)
    return { ok: true, bytes: typeof encoded === 'string' ? Buffer.from(encoded) : encoded }
  } catch (error) {
    return storeOutcome<R>({ ok: false, error }, results)
  }
}

export function restoreOutcome<R>({ ok, bytes }: StoredOutcome, results: Codec<R>): Outcome<R> {
  if (ok) {
    const result = bytes.length === 0 ? (undefined as R) : results.decode(Buffer.from(bytes))
    return { ok, result }
  }
  const { name, message, code } = JSON.parse(utf8.decode(bytes)) as StoredError
  const error = Object.assign(new Error(message), { name }, code === undefined ? {} : { code })
  return { ok, error }
}

function describe(error: unknown): StoredError {
  if (!(error instanceof Error)) return { name: 'Error', message: String(error) }
  const { name, message } = error
  const { code } = error as { code?: unknown }
  return typeof code === 'string' ? { name, message, code } : { name, message }
}

/** That the machine no longer knows whether a request was applied. */
export function uncertain(session: string, request: number, why: string): TidemarkError {
  return new TidemarkError(
    'UNCERTAIN',
    `request ${request} of session ${session}: ${why}, so it is not known whether it was applied before; it was not applied now`,
  )
}
