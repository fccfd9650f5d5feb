import type { Envelope, ReplicaId } from './core/index.ts'
import type { Send } from './requests.ts'
import { encodeMessages, FRAME_MESSAGES, type LogMessage } from './wire/index.ts'

/** A frame has room for this much beside the largest message. */
const FRAME_BYTES = 1024 * 1024

/** Messages that fit into a frame together, in order. */
function inFrames(messages: readonly LogMessage[]): readonly (readonly LogMessage[])[] {
  let bytes = 0
  const frames: LogMessage[][] = [[]]
  for (const item of messages) {
    const size = sizeOf(item)
    if (bytes > 0 && bytes + size > FRAME_BYTES) {
      frames.push([])
      bytes = 0
    }
    frames.at(-1)!.push(item)
    bytes += size
  }
  return frames
}

/** About what a message takes in a frame. */
function sizeOf({ message }: LogMessage): number {
  if (message.kind !== 'append' && message.kind !== 'repair-reply') return SMALL_BYTES
  return message.batches.reduce((sum, { bytes }) => sum + bytes, SMALL_BYTES)
}

/** What a message without batches takes, at most, but for one of many members. */
const SMALL_BYTES = 64

/**
 * Gathers what the replicas of this member say to those of others: all to one member that comes of the same moment
 * travels in one frame. So the heartbeats of a thousand logs are one.
 */
export class Outbox {
  readonly #send: Send
  #waiting = new Map<ReplicaId, LogMessage[]>()

  constructor(send: Send) {
    this.#send = send
  }

  put(log: number, { to, message }: Envelope): void {
    if (this.#waiting.size === 0) queueMicrotask(() => this.flush())
    const messages = this.#waiting.get(to)
    if (messages) messages.push({ log, message })
    else this.#waiting.set(to, [{ log, message }])
  }

  /** Sends what was gathered. What a peer cannot be sent is lost, as on any network. */
  flush(): void {
    const waiting = this.#waiting
    this.#waiting = new Map()
    for (const [to, messages] of waiting) {
      for (const part of inFrames(messages)) {
        const { head, data } = encodeMessages(part)
        this.#send(to, FRAME_MESSAGES, head, data)
      }
    }
  }
}
