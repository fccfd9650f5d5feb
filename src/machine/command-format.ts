import { getU48, setU48, TidemarkError } from '../base/index.ts'
import type { Entry } from '../log/index.ts'

// What a state machine puts into the data of an entry: a version, a kind, for a command of a session who
// asks and for which time, and then the command as its codec has encoded it. docs/format.md is its page.

/** The first byte. Nothing else is a command. */
const COMMAND_VERSION = 1
/** Later versions will be below this, so that other data is told from a newer release's. */
const COMMAND_VERSION_MAX = 15

export const KIND = {
  /** The command alone. */
  plain: 0,
  /** Session (6 bytes: the offset that opened it) and request (6 bytes), then the command. */
  request: 1,
  /** Opens a session. */
  openSession: 2,
  /** Offset (6 bytes) and index (6 bytes) of the last event that was delivered. */
  delivered: 3,
} as const

/** The bytes before a command that has no session. */
export const PLAIN_BYTES = 2
const PAIR_BYTES = 14
/** What fits in 6 bytes: a request, a session, the place of an event. */
export const REQUEST_MAX = 2 ** 48 - 1

export interface Command {
  readonly kind: number
  /** request: the session. delivered: the offset. */
  readonly first: number
  /** request: its number. delivered: the index. */
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
  return paired(KIND.request, session, request, body)
}

export function encodeOpenSession(): Buffer {
  return framed(KIND.openSession, PLAIN_BYTES, '')
}

export function encodeDelivered(offset: number, index: number): Buffer {
  return paired(KIND.delivered, offset, index, '')
}

function paired(kind: number, first: number, second: number, body: Uint8Array | string): Buffer {
  const b = framed(kind, PAIR_BYTES, body)
  setU48(b, 2, first)
  setU48(b, 8, second)
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
      `the command at offset ${offset} has version ${version}; this release reads ${COMMAND_VERSION}`,
      { offset },
    )
  }
  const isPair = kind === KIND.request || kind === KIND.delivered
  const headBytes = isPair ? PAIR_BYTES : PLAIN_BYTES
  const hasBody = kind === KIND.plain || kind === KIND.request
  const isWhole = hasBody ? data.length >= headBytes : data.length === headBytes
  if (version !== COMMAND_VERSION || kind > KIND.delivered || !isWhole) {
    throw new TidemarkError(
      'CORRUPT',
      `the entry at offset ${offset} is not a command of a state machine: something else appended to its log`,
      { offset },
    )
  }
  return {
    kind,
    first: isPair ? getU48(data, 2) : 0,
    second: isPair ? getU48(data, 8) : 0,
    body: data.subarray(headBytes),
  }
}
