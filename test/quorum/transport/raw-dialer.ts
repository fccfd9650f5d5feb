import { once } from 'node:events'
import { connect } from 'node:net'
import {
  Handshake,
  type HandshakeOptions,
  type HandshakeStep,
} from '#dist/quorum/transport/handshake.js'
import { KIND_PROOF, KIND_REFUSAL } from '#dist/quorum/transport/hello.js'
import { decodeRefusal, Refusal, type RefusalReason } from '#dist/quorum/transport/refusal.js'
import { encodeFrame, type Frame, FrameReader } from '#dist/quorum/wire/index.js'

/** Who dials as no member would: it says what it likes, and hears what comes of it. */
export interface RawDialer {
  /** The member that is there, once it says welcome. */
  readonly welcome: Promise<number | undefined>
  /** How it was refused, once the connection has ended. */
  readonly refused: Promise<{ reason: RefusalReason; text: string } | undefined>
  readonly frames: Frame[]
  say(kind: number, head: Uint8Array, data?: Uint8Array[]): void
  /** Reads no more. */
  pause(): void
  close(): Promise<void>
}

export interface RawOptions extends Partial<HandshakeOptions> {
  /** Takes any secret of the other side, and gives a proof that is none. */
  readonly wrongProof?: boolean
}

export function dialRaw(address: string, options: RawOptions = {}): RawDialer {
  const [host, port] = address.split(':')
  const socket = connect({ host: host!, port: Number(port) }).on('error', () => {})
  const handshake = new Handshake({
    id: 0,
    cluster: 'test',
    incarnation: Buffer.alloc(16),
    nonce: Buffer.alloc(16, 7),
    founders: Buffer.alloc(8),
    secret: '',
    expected: 0,
    checkDialer() {},
    checkPeer() {},
    checkCertificate() {},
    ...options,
  })
  const write = (parts: Uint8Array[]) => socket.write(Buffer.concat(parts))
  const reader = new FrameReader()
  const frames: Frame[] = []
  let refused: { reason: RefusalReason; text: string } | undefined
  let welcomed: (id: number | undefined) => void = () => {}
  const welcome = new Promise<number | undefined>((resolve) => {
    welcomed = resolve
  })
  let isWelcome = false
  const shake = (frame: Frame): HandshakeStep => {
    try {
      return handshake.take(frame)
    } catch (error) {
      // As a link does.
      if (!(error instanceof Refusal)) throw error
      const { reason, message } = error
      refused = { reason, text: message }
      socket.destroy()
      return { send: [] }
    }
  }
  const take = (frame: Frame) => {
    if (frame.kind === KIND_REFUSAL) refused = decodeRefusal(frame.head)
    else if (isWelcome) frames.push(frame)
    else if (options.wrongProof && frame.kind === KIND_PROOF) {
      write(encodeFrame(KIND_PROOF, Buffer.alloc(32), []))
    } else {
      const { send, peer } = shake(frame)
      if (send.length > 0) write(send)
      isWelcome = peer !== undefined
      if (peer) welcomed(peer.id)
    }
  }
  socket.on('data', (chunk: Buffer) => {
    reader.push(chunk)
    for (let frame = reader.next(); frame; frame = reader.next()) take(frame)
  })
  const gone = once(socket, 'close')
  void gone.then(() => welcomed(undefined))
  socket.on('connect', () => write(handshake.begin()))
  return {
    welcome,
    refused: gone.then(() => refused),
    frames,
    say: (kind, head, data = []) => write(encodeFrame(kind, head, data)),
    pause: () => void socket.pause(),
    async close() {
      socket.destroy()
      await gone
    },
  }
}
