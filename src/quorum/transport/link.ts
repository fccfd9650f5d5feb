import type { Cancel, Clock, Connection } from '../../io/index.ts'
import {
  encodeFrame,
  FRAME_LIMITS,
  type Frame,
  type FrameLimits,
  FrameReader,
  WireError,
} from '../wire/index.ts'
import { KIND_ALIVE, KIND_REFUSAL } from './hello.ts'
import { decodeRefusal, encodeRefusal, Refusal, type RefusalReason } from './refusal.ts'

/** Before the handshake is done. */
const UNPROVEN_LIMITS = { head: 4096, data: 0 }
const UNPROVEN_MS_MAX = 5000
/** How long the other side may take to hear why it is refused, before the connection is cut. */
const LINGER_MS = 1000
const NO_BYTES = new Uint8Array(0)

/** How a link ended. */
export interface LinkEnd {
  readonly why: string
  readonly refusal?: { reason: RefusalReason; text: string; byPeer: boolean }
  /** It was not this side that ended it. */
  readonly isLost?: boolean
  readonly error?: Error | undefined
}

export interface LinkOptions {
  readonly connection: Connection
  readonly clock: Clock
  readonly silenceMs: number
  /** Of a connection that was dialed. */
  readonly onOpen?: () => void
  /** May throw: the other side is refused. */
  readonly onFrame: (frame: Frame) => void
  /** Once; nothing is told after it. */
  readonly onEnd: (end: LinkEnd) => void
  /** Once: nothing is left of the connection. */
  readonly onGone: () => void
}

/** One connection with another member, or with who wants to be one. */
export class Link {
  readonly remote: string
  readonly #options: LinkOptions
  readonly #connection: Connection
  readonly #reader = new FrameReader(UNPROVEN_LIMITS)
  #isOpen: boolean
  #isEnded = false
  #hasHeard = false
  #cancel: Cancel
  #heardAt = 0
  #saidAt = 0

  constructor(options: LinkOptions) {
    const { connection, clock, onOpen, onGone } = options
    this.#options = options
    this.#connection = connection
    this.remote = connection.remote
    this.#isOpen = onOpen === undefined
    const patience = Math.min(options.silenceMs, UNPROVEN_MS_MAX)
    this.#cancel = clock.after(patience, () => this.#giveUpUnproven(patience))
    connection.start({
      ...(onOpen && { onOpen: () => this.#opened(onOpen) }),
      onData: (chunk) => this.#take(chunk),
      onClose: (error) => {
        const why = error ? `the connection failed: ${error.message}` : 'the other side has closed'
        this.#end({ why, isLost: true, error })
        this.#cancel()
        onGone()
      },
    })
  }

  /** True if the other side ever said anything. */
  get hasHeard(): boolean {
    return this.#hasHeard
  }

  /** False while it is being dialed. */
  get isOpen(): boolean {
    return this.#isOpen
  }

  get waitingBytes(): number {
    return this.#connection.waitingBytes
  }

  isFor(name: string): boolean {
    return this.#connection.isFor(name)
  }

  write(parts: readonly Uint8Array[]): void {
    if (this.#isEnded) return
    this.#saidAt = this.#options.clock.monotonic()
    this.#connection.write(parts)
  }

  /** The other side is who it says: it may say more, and must not be silent from now on. */
  prove(limits: FrameLimits = FRAME_LIMITS): void {
    this.#reader.limits = limits
    this.#cancel()
    this.#heardAt = this.#options.clock.monotonic()
    this.#watch()
  }

  /** Tells the other side why, and ends. */
  refuse(reason: RefusalReason, text: string): void {
    if (this.#isEnded) return
    this.write(encodeFrame(KIND_REFUSAL, encodeRefusal(reason, text), []))
    // What still comes is read and dropped: to cut now could cost the other side what was just sent to it.
    this.#connection.end()
    this.#end({ why: `refused: ${text}`, refusal: { reason, text, byPeer: false } })
    this.#cancel = this.#options.clock.after(LINGER_MS, () => this.#connection.destroy())
  }

  /** At once. Also of a link that has ended. */
  cut(why: string): void {
    this.#connection.destroy()
    this.#end({ why })
  }

  #end(end: LinkEnd): void {
    if (this.#isEnded) return
    this.#isEnded = true
    this.#cancel()
    this.#options.onEnd(end)
  }

  #opened(onOpen: () => void): void {
    this.#isOpen = true
    if (!this.#isEnded) onOpen()
  }

  #giveUpUnproven(patience: number): void {
    const why = `no handshake within ${patience} ms`
    if (this.#isOpen) this.refuse('silent', why)
    else this.cut(why)
  }

  #take(chunk: Buffer): void {
    if (this.#isEnded) return
    this.#hasHeard = true
    this.#heardAt = this.#options.clock.monotonic()
    try {
      this.#reader.push(chunk)
      for (let frame = this.#next(); frame; frame = this.#next()) this.#dispatch(frame)
    } catch (error) {
      const isKnown = error instanceof WireError || error instanceof Refusal
      this.refuse(isKnown ? error.reason : 'garbage', messageOf(error))
    }
  }

  #next(): Frame | undefined {
    return this.#isEnded ? undefined : this.#reader.next()
  }

  #dispatch(frame: Frame): void {
    if (frame.kind === KIND_ALIVE) return
    if (frame.kind !== KIND_REFUSAL) {
      this.#options.onFrame(frame)
      return
    }
    const { reason, text } = decodeRefusal(frame.head)
    this.#connection.destroy()
    this.#end({
      why: `refused by the other side: ${text}`,
      refusal: { reason, text, byPeer: true },
    })
  }

  /** Looks several times within the patience, so that neither side is thought silent for an idle moment. */
  #watch(): void {
    const { clock, silenceMs } = this.#options
    const due = clock.monotonic() + silenceMs / 6
    this.#cancel = clock.after(silenceMs / 6, () => {
      const now = clock.monotonic()
      // If this process itself was held up, what the other side has said waits to be read.
      if (now - due > silenceMs / 3) this.#heardAt = now
      if (now - this.#heardAt >= silenceMs) {
        this.refuse('silent', `nothing was heard for ${silenceMs} ms`)
        return
      }
      // What waits to leave is a sign of life already.
      if (now - this.#saidAt >= silenceMs / 3 && this.waitingBytes === 0) {
        this.write(encodeFrame(KIND_ALIVE, NO_BYTES, []))
      }
      this.#watch()
    })
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
