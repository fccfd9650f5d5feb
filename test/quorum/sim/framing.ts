// What is between hosts and the network: messages become bytes and bytes messages, as between real members. Some bits
// are turned on the way, and no frame in which they are may be believed.
import type { Draws } from 'tidemark/testing'
import type { Message } from '#dist/quorum/core/index.js'
import {
  decodeMessages,
  encodeFrame,
  encodeMessages,
  FRAME_MESSAGES,
  FrameReader,
  type LogMessage,
  WireError,
} from '#dist/quorum/wire/index.js'
import { Violation } from './invariants.ts'

/** A frame under way, or, without bytes, what keeps a connection. */
export interface Packet {
  readonly bytes: Buffer
  readonly isDamaged: boolean
  /** Of what goes by a connection; messages are datagrams, for which less is sure. */
  readonly connection?: ConnectionPart
}

export interface ConnectionPart {
  readonly kind: 'dial' | 'accept' | 'data' | 'ping' | 'reset'
  /** Of the connection. */
  readonly number: number
  /** Of data, from 0; a ping has that of the data to come. */
  readonly place: number
}

/** Of so many bits every checksum finds out, in frames as short as these. */
const BITS_MAX = 3

/** There is one log in a simulated cluster. */
export const LOG = 7

/** A copy of a frame for its way, at times with bits turned. */
export function copyOf(packet: Packet, draws: Draws, flips: number): Packet {
  const { bytes, isDamaged } = packet
  if (bytes.length === 0) return packet
  const copy = Buffer.from(bytes)
  // Not twice: that might undo it.
  if (isDamaged || !draws.chance(flips)) return { ...packet, bytes: copy }
  const places = new Set<number>()
  for (let i = draws.integer(1, BITS_MAX); i > 0; i--) {
    places.add(draws.integer(0, 8 * copy.length - 1))
  }
  for (const place of places) copy[place >> 3]! ^= 1 << (place & 7)
  return { ...packet, bytes: copy, isDamaged: true }
}

/** All that a member sends to another in one turn leaves in one frame, when the turn is over. */
export class Outbox {
  readonly #atEndOfTurn: (fire: () => void) => void
  readonly #send: (to: number, packet: Packet) => void
  readonly #waiting = new Map<number, LogMessage[]>()

  constructor(atEndOfTurn: (fire: () => void) => void, send: (to: number, packet: Packet) => void) {
    this.#atEndOfTurn = atEndOfTurn
    this.#send = send
  }

  add(to: number, message: Message): void {
    if (this.#waiting.size === 0) this.#atEndOfTurn(() => this.#flush())
    const items = this.#waiting.get(to)
    const item = { log: LOG, message }
    if (items) items.push(item)
    else this.#waiting.set(to, [item])
  }

  #flush(): void {
    for (const [to, items] of this.#waiting) {
      const { head, data } = encodeMessages(items)
      const bytes = Buffer.concat(encodeFrame(FRAME_MESSAGES, head, data))
      this.#send(to, { bytes, isDamaged: false })
    }
    this.#waiting.clear()
  }
}

/** Bytes in, messages out: with a reader for each of those who send, until what it reads is no frame. */
export class Inbox {
  readonly #draws: Draws
  readonly #onRefused: () => void
  readonly #readers = new Map<number, FrameReader>()

  constructor(draws: Draws, onRefused: () => void) {
    this.#draws = draws
    this.#onRefused = onRefused
  }

  /** The messages of a frame; none if it was damaged. */
  receive(from: number, { bytes, isDamaged }: Packet): Message[] {
    try {
      const messages = this.#read(from, bytes)
      if (isDamaged) throw new Violation('Checksums', 'a frame with turned bits is believed')
      return messages
    } catch (error) {
      if (!isDamaged || !(error instanceof WireError)) throw error
      this.#readers.delete(from)
      this.#onRefused()
      return []
    }
  }

  #read(from: number, bytes: Buffer): Message[] {
    const reader = this.#readers.get(from) ?? new FrameReader()
    this.#readers.set(from, reader)
    const cut = this.#draws.chance(0.2) ? this.#draws.integer(0, bytes.length) : 0
    reader.push(bytes.subarray(0, cut))
    let frame = reader.next()
    reader.push(bytes.subarray(cut))
    frame ??= reader.next()
    if (!frame) throw new Violation('Framing', `no frame in ${bytes.length} bytes`)
    const items = decodeMessages(frame.head, frame.data)
    return items.map(({ message }) => message)
  }
}
