import { getU48, setU48 } from '../base/index.ts'
import type { Frame } from './wire/index.ts'

const FRAME_REQUEST = 32
const FRAME_REPLY = 33

/** Sends a frame, if there is a connection and, unless the frame is owed, room; says whether. */
export type Send = (
  to: number,
  kind: number,
  head: Uint8Array,
  data: readonly Uint8Array[],
  isOwed?: boolean,
) => boolean

/** What a request or a reply holds: see `encodeFrame`. */
export interface Body {
  readonly head: Buffer
  readonly data: readonly Uint8Array[]
}

/** What came of one: a view that is good for the moment. */
export interface Arrived {
  readonly head: Buffer
  readonly data: Buffer
}

/** Answers a request of a peer, or throws what says that it is none: the connection ends then. */
export type Handler = (from: number, request: Arrived) => Body | Promise<Body>

/** There is no connection to ask by, or it has ended before the answer. */
export class Disconnected extends Error {
  /** False: the peer certainly has not got the request. */
  readonly wasSent: boolean

  constructor(id: number, wasSent: boolean) {
    super(`no answer of member ${id}`)
    this.name = 'Disconnected'
    this.wasSent = wasSent
  }
}

interface Asked {
  readonly to: number
  readonly resolve: (reply: Arrived) => void
  readonly reject: (error: Disconnected) => void
}

/** Number of the request (6 bytes), then, of a request only, its operation (1). */
const REPLY_HEAD_BYTES = 6
const REQUEST_HEAD_BYTES = 7

/** The operation of a request; undefined of any other frame. */
export function operationOf({ kind, head }: Frame): number | undefined {
  return kind === FRAME_REQUEST ? head[REPLY_HEAD_BYTES] : undefined
}

/** Questions to other members, and their answers, in any order: over the connection that messages go by. */
export class Requests {
  readonly #send: Send
  readonly #handlers = new Map<number, Handler>()
  readonly #asked = new Map<number, Asked>()
  /** How many connections with each peer have ended. */
  readonly #ended = new Map<number, number>()
  #number = 0

  constructor(send: Send) {
    this.#send = send
  }

  handle(operation: number, handler: Handler): void {
    this.#handlers.set(operation, handler)
  }

  /** Requests to one peer get there in the order of the calls. Rejects with {@link Disconnected}. */
  ask(to: number, operation: number, { head, data }: Body): Promise<Arrived> {
    const number = ++this.#number
    const whole = Buffer.allocUnsafe(REQUEST_HEAD_BYTES + head.length)
    setU48(whole, 0, number)
    whole[REPLY_HEAD_BYTES] = operation
    whole.set(head, REQUEST_HEAD_BYTES)
    if (!this.#send(to, FRAME_REQUEST, whole, data)) {
      return Promise.reject(new Disconnected(to, false))
    }
    return new Promise((resolve, reject) => this.#asked.set(number, { to, resolve, reject }))
  }

  /** Takes a frame if it is a request or a reply; says whether it is. Throws if it is none that can be. */
  onFrame(from: number, { kind, head, data }: Frame): boolean {
    if (kind === FRAME_REQUEST) this.#onRequest(from, head, data)
    else if (kind === FRAME_REPLY) this.#onReply(from, head, data)
    else return false
    return true
  }

  /** The connection has ended: what was asked by it gets no answer. */
  onDown(id: number): void {
    this.#ended.set(id, this.#endedOf(id) + 1)
    for (const [number, { to, reject }] of this.#asked) {
      if (to !== id) continue
      this.#asked.delete(number)
      reject(new Disconnected(id, true))
    }
  }

  #onRequest(from: number, head: Buffer, data: Buffer): void {
    const operation = head[REPLY_HEAD_BYTES]
    const handler = operation === undefined ? undefined : this.#handlers.get(operation)
    if (!handler) throw new Error(`a request that nobody knows: ${operation}`)
    const number = Buffer.from(head.subarray(0, REPLY_HEAD_BYTES))
    const answer = handler(from, { head: head.subarray(REQUEST_HEAD_BYTES), data })
    if (!(answer instanceof Promise)) {
      this.#reply(from, number, answer)
      return
    }
    const ended = this.#endedOf(from)
    void answer.then((body) => {
      // A peer that has started again counts from 1 again: to it, it would be the answer to something else.
      if (this.#endedOf(from) === ended) this.#reply(from, number, body)
    })
  }

  #endedOf(id: number): number {
    return this.#ended.get(id) ?? 0
  }

  #reply(to: number, number: Buffer, { head, data }: Body): void {
    // Whoever has asked waits for it as long as the connection lasts.
    this.#send(to, FRAME_REPLY, Buffer.concat([number, head]), data, true)
  }

  #onReply(from: number, head: Buffer, data: Buffer): void {
    if (head.length < REPLY_HEAD_BYTES) throw new Error('a reply without a number')
    const number = getU48(head, 0)
    const asked = this.#asked.get(number)
    // Of a connection that has ended meanwhile.
    if (asked?.to !== from) return
    this.#asked.delete(number)
    asked.resolve({ head: head.subarray(REPLY_HEAD_BYTES), data })
  }
}
