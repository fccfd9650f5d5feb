import type { Message } from '../core/index.ts'
import { WireError } from './frame.ts'
import { BodyReader, BodyWriter } from './frame-body.ts'
import { readMessage, writeMessage } from './message-fields.ts'

/** The kind of a frame of messages. */
export const FRAME_MESSAGES = 16

const VERSION = 1
/** The log, then kind, flags and term. */
const ITEM_BYTES = 6 + 1 + 1 + 4
/** What most messages take. */
const ITEM_ROOM = 48

/** A message of the core, and the number of the log that it is about. */
export interface LogMessage {
  readonly log: number
  readonly message: Message
}

/**
 * All messages to one member that come from one turn, as the head and the data of one frame: the heartbeats of all
 * logs go together. Entries without a checksum get it here.
 */
export function encodeMessages(items: readonly LogMessage[]): {
  head: Buffer
  data: Uint8Array[]
} {
  const out = new BodyWriter(8 + items.length * ITEM_ROOM)
  out.head.u32(VERSION)
  out.head.u32(items.length)
  for (const { log, message } of items) {
    out.head.u48(log)
    writeMessage(out, message)
  }
  return { head: out.head.done(), data: out.data }
}

/**
 * Throws WireError for everything that {@link encodeMessages} does not make, and for messages that no core sends:
 * what comes out is in the form that a core relies on, and its data is what it was when it was appended.
 */
export function decodeMessages(head: Buffer, data: Buffer): LogMessage[] {
  const input = new BodyReader({ head, data })
  const version = input.head.u32()
  if (version !== VERSION) {
    throw new WireError('version', `messages of version ${version}, not ${VERSION}`)
  }
  const items: LogMessage[] = []
  for (let left = input.head.count(ITEM_BYTES); left > 0; left--) {
    const log = input.head.u48()
    items.push({ log, message: readMessage(input) })
  }
  input.end()
  return items
}
