import { ERROR_CODES, type ErrorCode, OFFSET_MAX, TidemarkError } from '../base/index.ts'
import { parseAddress } from '../io/index.ts'
import { CATALOG_NAME } from './catalog.ts'
import type { ReplicaId } from './core/index.ts'
import { checkLogName } from './member-options.ts'
import { checkHeads, type EntryHead, STRETCH_BYTES_MAX } from './stretch.ts'

// What an operator says to a member, and hears: JSON, so that people can read it on the way.

/** What an operator may ask of a member. */
export type AdminCommand =
  | { readonly do: 'status' }
  | { readonly do: 'add'; readonly id: ReplicaId; readonly address: string }
  | { readonly do: 'remove'; readonly id: ReplicaId }
  | { readonly do: 'transfer'; readonly log: string; readonly to: ReplicaId }
  | { readonly do: 'delete'; readonly log: string }
  | {
      readonly do: 'read'
      readonly log: string
      /** The low-water mark by default. */
      readonly from?: number | undefined
      readonly bytes: number
    }
  /** How far an import has come. */
  | { readonly do: 'imported'; readonly log: string; readonly session: number }
  /** The next batch of an import; the data of its entries goes beside the command. */
  | {
      readonly do: 'import'
      readonly log: string
      readonly session: number
      readonly request: number
      readonly since: number
      readonly entries: readonly EntryHead[]
    }
  | { readonly do: 'scrub'; readonly log?: string | undefined }

/** Commands that change nothing: where one has no answer, it does not matter how far it came. */
export const CHANGE_NOTHING: ReadonlySet<AdminCommand['do']> = new Set([
  'status',
  'scrub',
  'read',
  'imported',
])

export const COMMAND_BYTES_MAX = 2 ** 20
/** The status of some ten thousand logs. */
const REPLY_BYTES_MAX = 2 ** 23
const ID_MAX = 2 ** 32 - 1

/** By command, its fields and what must be so of each. */
const CHECKS: Readonly<
  Record<AdminCommand['do'], Readonly<Record<string, (value: unknown) => void>>>
> = {
  status: {},
  add: { id: checkId, address: checkAddress },
  remove: { id: checkId },
  transfer: { log: checkAnyLog, to: checkId },
  delete: { log: checkLogName },
  read: { log: checkLogName, from: checkFrom, bytes: checkBytes },
  imported: { log: checkLogName, session: checkNumber },
  import: {
    log: checkLogName,
    session: checkNumber,
    request: checkNumber,
    since: checkNumber,
    entries: checkHeads,
  },
  scrub: { log: (value) => value === undefined || checkAnyLog(value) },
}

/** The catalog's own log has a leader and entries, too. */
function checkAnyLog(value: unknown): unknown {
  return value === CATALOG_NAME || checkLogName(value)
}

/** Throws INVALID_ARGUMENT that says what is wrong. */
export function checkCommand(value: unknown): AdminCommand {
  if (typeof value !== 'object' || value === null) throw invalid('a command is an object')
  const fields = value as Record<string, unknown>
  const name = fields.do
  if (typeof name !== 'string' || !Object.hasOwn(CHECKS, name)) {
    const names = Object.keys(CHECKS).join(', ')
    throw invalid(`there is no command ${JSON.stringify(name)}; there is ${names}`)
  }
  const checks = CHECKS[name as AdminCommand['do']]
  for (const [field, check] of Object.entries(checks)) check(fields[field])
  // What is not known here may be what matters to who has asked.
  const surplus = Object.keys(fields).find((key) => key !== 'do' && !Object.hasOwn(checks, key))
  if (surplus !== undefined) {
    throw invalid(`the command ${name} has no field ${JSON.stringify(surplus)}`)
  }
  return value as AdminCommand
}

/** Throws INVALID_ARGUMENT, TOO_LARGE. */
export function encodeCommand(command: AdminCommand): Buffer {
  const bytes = Buffer.from(JSON.stringify(checkCommand(command)))
  if (bytes.length <= COMMAND_BYTES_MAX) return bytes
  throw new TidemarkError('TOO_LARGE', `a command of ${bytes.length} bytes`)
}

/** Throws INVALID_ARGUMENT for bytes that are no command. */
export function decodeCommand(bytes: Buffer): AdminCommand {
  if (bytes.length > COMMAND_BYTES_MAX) throw invalid(`a command of ${bytes.length} bytes`)
  return checkCommand(parse(bytes))
}

/** Of what a command has come to, or of the error that it has failed with. */
export function encodeReply(reply: { ok: unknown } | { error: unknown }): Buffer {
  const said = 'ok' in reply ? { ok: reply.ok ?? null } : { error: factsOf(reply.error) }
  const bytes = Buffer.from(JSON.stringify(said))
  if (bytes.length <= REPLY_BYTES_MAX) return bytes
  const error = new TidemarkError('TOO_LARGE', `the answer has ${bytes.length} bytes`)
  return encodeReply({ error })
}

/** What the command has come to; throws the TidemarkError that it has failed with. */
export function decodeReply(bytes: Buffer): unknown {
  if (bytes.length > REPLY_BYTES_MAX) throw strange(`${bytes.length} bytes`)
  const reply = parseReply(bytes)
  if ('ok' in reply) return reply.ok
  const { code, message } = (reply.error ?? {}) as { code?: unknown; message?: unknown }
  if (typeof message !== 'string') throw strange('neither a result nor an error')
  const known = ERROR_CODES.find((one) => one === code)
  // Of a member of another version; whatever it was, the command may have had an effect.
  throw new TidemarkError(known ?? 'UNCERTAIN', known ? message : `${String(code)}: ${message}`)
}

function parseReply(bytes: Buffer): { ok?: unknown; error?: unknown } {
  try {
    const reply: unknown = parse(bytes)
    if (typeof reply === 'object' && reply !== null) return reply
  } catch {
    // Said below.
  }
  throw strange('no object in JSON')
}

function strange(what: string): TidemarkError {
  return new TidemarkError('UNCERTAIN', `the member has answered what cannot be read: ${what}`)
}

function parse(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString())
  } catch {
    throw invalid('a command that is no JSON')
  }
}

/** An error without a code is a mistake in the member; how far it came is not known. */
function factsOf(error: unknown): { code: ErrorCode; message: string } {
  if (error instanceof TidemarkError) return { code: error.code, message: error.message }
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error)
  return { code: 'UNCERTAIN', message: `the member has failed: ${text}` }
}

function checkId(value: unknown): void {
  if (Number.isInteger(value) && (value as number) >= 1 && (value as number) <= ID_MAX) return
  throw invalid(`a member is a number from 1 to ${ID_MAX}, not ${JSON.stringify(value)}`)
}

function checkFrom(value: unknown): void {
  const isOffset = Number.isSafeInteger(value) && (value as number) >= 0
  if (value === undefined || (isOffset && (value as number) <= OFFSET_MAX)) return
  throw invalid(`an offset is an integer from 0 to ${OFFSET_MAX}, not ${JSON.stringify(value)}`)
}

function checkBytes(value: unknown): void {
  if (Number.isInteger(value) && (value as number) >= 1 && (value as number) <= STRETCH_BYTES_MAX)
    return
  throw invalid(`bytes is a number from 1 to ${STRETCH_BYTES_MAX}, not ${JSON.stringify(value)}`)
}

function checkNumber(value: unknown): void {
  if (Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) < 2 ** 48) return
  throw invalid(`a session and a request are numbers of 48 bits, not ${JSON.stringify(value)}`)
}

function checkAddress(value: unknown): void {
  const { port } = parseAddress(String(value), 'the address of the member')
  if (port === 0) throw invalid(`the address of the member has no port: ${JSON.stringify(value)}`)
}

function invalid(text: string): TidemarkError {
  return new TidemarkError('INVALID_ARGUMENT', text)
}
