// Connections over a network that keeps no promise: what is sent by one comes in order and once, or the connection
// breaks, and each side finds that out at its own time. Those of one life of a member.
import type { Draws, SimulatedClock } from 'tidemark/testing'
import { encodeFrame, type Frame, FrameReader, WireError } from '#dist/quorum/wire/index.js'
import type { ConnectionPart, Packet } from './framing.ts'
import { Violation } from './invariants.ts'

export interface ConnectionParts {
  readonly clock: SimulatedClock
  readonly draws: Draws
  /** Counts up over all connections of a run. */
  readonly nextNumber: () => number
  readonly send: (to: number, packet: Packet) => void
  /** May throw for a frame that cannot be. */
  readonly onFrame: (from: number, frame: Frame) => void
  readonly onDown: (peer: number) => void
  readonly onRefusedFrame: () => void
}

interface Peer {
  readonly id: number
  /** Of the connection that is up, or 0. */
  up: number
  /** The last one that either has dialed: what is older is over. */
  newest: number
  dialedAt: number
  /** Next to be sent, next to be taken, and the least that the peer is known to have sent next. */
  out: number
  in: number
  sent: number
  /** What came before its turn. */
  readonly early: Map<number, Packet>
  heardAt: number
  missingSince: number | undefined
  reader: FrameReader
}

const PING_MS = 300
const REDIAL_MS = 300
const EMPTY = Buffer.alloc(0)

export class Connections {
  readonly #parts: ConnectionParts
  readonly #peers = new Map<number, Peer>()
  /** How soon this member gives up who is silent, and what is missing. */
  readonly #silenceMs: number
  readonly #gapMs: number

  constructor(parts: ConnectionParts) {
    this.#parts = parts
    this.#silenceMs = parts.draws.pick([700, 1_500, 8_000])
    this.#gapMs = parts.draws.pick([100, 400, 4_000])
    this.#watch()
  }

  /** False if there is no connection; then one is dialed. */
  send(to: number, kind: number, head: Uint8Array, data: readonly Uint8Array[]): boolean {
    if (this.#parts.clock.isStopped) return false
    const peer = this.#peer(to)
    if (peer.up === 0) {
      this.#dial(peer)
      return false
    }
    const bytes = Buffer.concat(encodeFrame(kind, head, data))
    this.#put(peer, { kind: 'data', number: peer.up, place: peer.out++ }, bytes)
    return true
  }

  receive(from: number, packet: Packet): void {
    const peer = this.#peer(from)
    const { kind, number, place } = packet.connection!
    if (kind === 'dial') {
      if (number > peer.newest) this.#up(peer, number)
      if (number === peer.up) this.#put(peer, { kind: 'accept', number, place: 0 })
    } else if (kind === 'reset') {
      if (number === peer.up) this.#break(peer)
    } else {
      // What the other side says by it is as good as its answer.
      if (peer.up === 0 && number === peer.newest && peer.dialedAt >= 0) this.#up(peer, number)
      if (number !== peer.up) this.#put(peer, { kind: 'reset', number, place: 0 })
      else this.#take(peer, kind, place, packet)
    }
  }

  /** This side of one connection ends, as if the system had said so; the other will see. */
  cutOne(): boolean {
    const up = [...this.#peers.values()].filter((peer) => peer.up > 0)
    if (up.length === 0) return false
    this.#break(this.#parts.draws.pick(up))
    return true
  }

  #take(peer: Peer, kind: ConnectionPart['kind'], place: number, packet: Packet): void {
    const now = this.#parts.clock.monotonic()
    peer.heardAt = now
    if (kind === 'data' && place >= peer.in) peer.early.set(place, packet)
    peer.sent = Math.max(peer.sent, kind === 'data' ? place + 1 : place)
    const { up } = peer
    for (let next = peer.early.get(peer.in); next; next = peer.early.get(peer.in)) {
      peer.early.delete(peer.in++)
      this.#read(peer, next)
      if (peer.up !== up) return
    }
    peer.missingSince = peer.in < peer.sent ? (peer.missingSince ?? now) : undefined
  }

  #read(peer: Peer, { bytes, isDamaged }: Packet): void {
    try {
      peer.reader.push(bytes)
      const frame = peer.reader.next()
      if (!frame) throw new Violation('Framing', `no frame in ${bytes.length} bytes`)
      // Whoever decodes it checks the data of its entries.
      this.#parts.onFrame(peer.id, frame)
      if (isDamaged) throw new Violation('Checksums', 'a request with turned bits is believed')
    } catch (error) {
      if (!isDamaged || !(error instanceof WireError)) throw error
      this.#parts.onRefusedFrame()
      this.#put(peer, { kind: 'reset', number: peer.up, place: 0 })
      this.#break(peer)
    }
  }

  #peer(id: number): Peer {
    let peer = this.#peers.get(id)
    if (!peer) {
      const counts = { up: 0, newest: 0, dialedAt: -REDIAL_MS, out: 0, in: 0, sent: 0, heardAt: 0 }
      const reader = new FrameReader()
      peer = { id, ...counts, early: new Map(), missingSince: undefined, reader }
      this.#peers.set(id, peer)
    }
    return peer
  }

  #dial(peer: Peer): void {
    const now = this.#parts.clock.monotonic()
    if (now - peer.dialedAt < REDIAL_MS) return
    peer.dialedAt = now
    peer.newest = this.#parts.nextNumber()
    this.#put(peer, { kind: 'dial', number: peer.newest, place: 0 })
  }

  #up(peer: Peer, number: number): void {
    if (peer.up > 0) this.#break(peer)
    peer.up = number
    peer.newest = number
    peer.dialedAt = -REDIAL_MS
    peer.out = 0
    peer.in = 0
    peer.sent = 0
    peer.early.clear()
    peer.missingSince = undefined
    peer.heardAt = this.#parts.clock.monotonic()
    peer.reader = new FrameReader()
  }

  #break(peer: Peer): void {
    peer.up = 0
    this.#parts.onDown(peer.id)
  }

  #watch(): void {
    this.#parts.clock.after(PING_MS, () => {
      const now = this.#parts.clock.monotonic()
      for (const peer of this.#peers.values()) {
        if (peer.up === 0) continue
        const isSilent = now - peer.heardAt > this.#silenceMs
        const isMissing = now - (peer.missingSince ?? now) > this.#gapMs
        if (isSilent || isMissing) this.#break(peer)
        else this.#put(peer, { kind: 'ping', number: peer.up, place: peer.out })
      }
      this.#watch()
    })
  }

  #put(peer: Peer, connection: ConnectionPart, bytes: Buffer = EMPTY): void {
    this.#parts.send(peer.id, { bytes, isDamaged: false, connection })
  }
}
