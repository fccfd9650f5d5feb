import { getU48, setU48, TidemarkError } from '../base/index.ts'
import type { Entry } from '../log/index.ts'

// What a state machine puts into the data of an entry: a version, a kind, for a command of a session who
// asks and for which time, and then the command as its codec has encoded it. docs/format.md is its page.

/** The first byte of what is written. */
const COMMAND_VERSION = 2
/** Names sessions and events by offsets. It is read for ever, and no longer written. */
export const VERSION_BY_OFFSET = 1
/** Later versions will be below this, so that other data is told from a newer release's. */
const COMMAND_VERSION_MAX = 15

export const KIND = {
  /** The command alone. */
  plain: 0,
  /** Session (6 bytes: its number, as in session-id.ts) and request (6 bytes), then the command. */
  request: 1,
  /** Opens a session. */
  openSession: 2,
  /** Number (6 bytes) of the last event that was delivered. In version 1 its offset and its index, 6 bytes each. */
  delivered: 3,
} as const

/** The bytes before a command that has no session. */
export const PLAIN_BYTES = 2
const NUMBER_BYTES = 8
const PAIR_BYTES = 14
/** What fits in 6 bytes: a request, a session, the number of an event. */
export const REQUEST_MAX = 2 ** 48 - 1

export interface Command {
  readonly version: number
  readonly kind: number
  /** request: the session. delivered: the number of the event; in version 1 its offset. */
  readonly first: number
  /** request: its number. delivered, in version 1: the index. */
  readonly second: number
  readonly body: Buffer
}

export function encodePlain(body: Uint8Array | string): Buffer {
  return framed(KIND.plain, PLAIN_BYTES, body)
}

/** Makes a plain command of bytes that have room for its head. */
export function framePlain(b: Buffer): Buffer {
  b[0] = COMMAND_VERSION
  b[1] = KIND.plain
  return b
}

export function encodeRequest(session: number, request: number, body: Uint8Array | string): Buffer {
  const b = framed(KIND.request, PAIR_BYTES, body)
  setU48(b, 2, session)
  setU48(b, 8, request)
  return b
}

export function encodeOpenSession(): Buffer {
  return framed(KIND.openSession, PLAIN_BYTES, '')
}

export function encodeDelivered(number: number): Buffer {
  const b = framed(KIND.delivered, NUMBER_BYTES, '')
  setU48(b, 2, number)
  return b
}

function framed(kind: number, headBytes: number, body: Uint8Array | string): Buffer {
  const isText = typeof body === 'string'
  const b = Buffer.allocUnsafe(headBytes + (isText ? Buffer.byteLength(body) : body.length))
  b[0] = COMMAND_VERSION
  b[1] = kind
  if (isText) b.write(body, headBytes)
  else b.set(body, headBytes)
  return b
}

/** Takes an entry apart. Throws CORRUPT if it is not a command, UNSUPPORTED_VERSION if it is a newer one. */
export function decodeCommand({ data, offset }: Entry): Command {
  const [version = 0, kind = 0] = data
  if (version > COMMAND_VERSION && version <= COMMAND_VERSION_MAX) {
    throw new TidemarkError(
      'UNSUPPORTED_VERSION',
      `the command at offset ${offset} has version ${version}; this release reads versions up to ${COMMAND_VERSION}`,
      { offset },
    )
  }
  const headBytes = headBytesOf(version, kind)
  const hasBody = kind === KIND.plain || kind === KIND.request
  const isWhole = hasBody ? data.length >= headBytes : data.length === headBytes
  if (version === 0 || version > COMMAND_VERSION || kind > KIND.delivered || !isWhole) {
    throw new TidemarkError(
      'CORRUPT',
      `the entry at offset ${offset} is not a command of a state machine: something else appended to its log`,
      { offset },
    )
  }
  return {
    version,
    kind,
    first: headBytes >= NUMBER_BYTES ? getU48(data, 2) : 0,
    second: headBytes >= PAIR_BYTES ? getU48(data, 8) : 0,
    body: data.subarray(headBytes),
  }
}

function headBytesOf(version: number, kind: number): number {
  if (kind === KIND.request) return PAIR_BYTES
  if (kind !== KIND.delivered) return PLAIN_BYTES
  return version === VERSION_BY_OFFSET ? PAIR_BYTES : NUMBER_BYTES
}
