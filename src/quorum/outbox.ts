import type { Cancel, Clock } from '../io/index.ts'
import type { Envelope, Message, ReplicaId } from './core/index.ts'
import type { Send } from './requests.ts'
import { encodeMessages, FRAME_MESSAGES, type LogMessage } from './wire/index.ts'

/** How long news waits for something to go with. */
const NEWS_MS = 2

/** True for what only says how far the log is committed: whoever waits for that has been told already. */
function isNews(message: Message): boolean {
  return message.kind === 'append' && message.batches.length === 0
}

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
  readonly #clock: Clock
  #waiting = new Map<ReplicaId, LogMessage[]>()
  /** The last news of each log for each member: see {@link isNews}. */
  #news = new Map<ReplicaId, Map<number, Message>>()
  #cancelNews: Cancel | undefined

  constructor(send: Send, clock: Clock) {
    this.#send = send
    this.#clock = clock
  }

  put(log: number, { to, message }: Envelope): void {
    if (isNews(message)) {
      this.#putNews(to, log, message)
      return
    }
    // It says what the news would have said.
    if (message.kind === 'append') this.#news.get(to)?.delete(log)
    if (this.#waiting.size === 0) queueMicrotask(() => this.flush())
    const messages = this.#waiting.get(to)
    if (messages) messages.push({ log, message })
    else this.#waiting.set(to, [{ log, message }])
  }

  #putNews(to: ReplicaId, log: number, message: Message): void {
    const news = this.#news.get(to)
    if (news) news.set(log, message)
    else this.#news.set(to, new Map([[log, message]]))
    this.#cancelNews ??= this.#clock.after(NEWS_MS, () => this.#sendNews())
  }

  #sendNews(): void {
    this.#cancelNews = undefined
    for (const [to, news] of this.#news) {
      const messages = this.#waiting.get(to) ?? []
      for (const [log, message] of news) messages.push({ log, message })
      if (messages.length > 0) this.#waiting.set(to, messages)
    }
    this.#news = new Map()
    this.flush()
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
