import type { Envelope, ReplicaId } from './core/index.ts'
import type { Send } from './requests.ts'
import { encodeMessages, FRAME_MESSAGES, type LogMessage } from './wire/index.ts'

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
      const { head, data } = encodeMessages(messages)
      this.#send(to, FRAME_MESSAGES, head, data)
    }
  }
}
