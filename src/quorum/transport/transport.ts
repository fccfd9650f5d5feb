import { errnoOf, invariant, setU32, TidemarkError } from '../../base/index.ts'
import {
  type Connection,
  type Listener,
  type Network,
  nodeNetwork,
  parseAddress,
} from '../../io/index.ts'
import { encodeFrame, FRAME_HEADER_BYTES } from '../wire/index.ts'
import { Handshake, type PeerIdentity } from './handshake.ts'
import { NONCE_BYTES } from './hello.ts'
import { Link, type LinkEnd } from './link.ts'
import { checkOptions, type TransportOptions } from './options.ts'
import { Redial } from './redial.ts'
import { Refusal } from './refusal.ts'
import { RefusedEvents } from './refused-events.ts'

/** Connections that came in and have proven nothing yet; the oldest makes room. */
const STRANGERS_MAX = 64

interface Peer {
  readonly id: number
  readonly address: string
  /** The connection that is up. */
  link: Link | undefined
  /** Of a peer with a lower id: of each two members the higher dials. */
  redial: Redial | undefined
  /** It was up, and nobody has been told since that its process is gone. */
  wasUp: boolean
}

/** The connections of a member with the others: one with each, made anew whenever it is lost. */
export class Transport {
  readonly #options: TransportOptions
  readonly #network: Network
  readonly #refused: RefusedEvents
  readonly #peers = new Map<number, Peer>()
  /** All that are not gone, the ended ones too. */
  readonly #links = new Set<Link>()
  readonly #strangers = new Set<Link>()
  readonly #probes = new Set<Connection>()
  #listener: Listener | undefined
  #isClosed = false
  #onAllGone: (() => void) | undefined

  /** Listens, and dials. Throws INVALID_ARGUMENT; IO where it cannot listen, with the system's error as cause. */
  static async open(options: TransportOptions): Promise<Transport> {
    checkOptions(options)
    const transport = new Transport(options)
    await transport.#listen()
    for (const peer of transport.#peers.values()) if (peer.redial) transport.#dial(peer)
    return transport
  }

  private constructor(options: TransportOptions) {
    this.#options = options
    this.#network = options.network ?? nodeNetwork
    this.#refused = new RefusedEvents(options.clock, options.onRefused)
    for (const [id, address] of options.peers) {
      const peer: Peer = { id, address, link: undefined, redial: undefined, wasUp: false }
      const { clock, random } = options
      if (id < options.id) peer.redial = new Redial(clock, random, () => this.#dial(peer))
      this.#peers.set(id, peer)
    }
  }

  /** Where it listens, with the port that it really has. */
  get address(): string {
    invariant(this.#listener, 'a transport listens from its opening on')
    return this.#listener.address
  }

  /**
   * False: not connected, or too much waits, unless the peer must have it. Sent in order; the frames of one turn leave
   * in one write.
   */
  send(
    to: number,
    kind: number,
    head: Uint8Array,
    data: readonly Uint8Array[],
    isOwed = false,
  ): boolean {
    const link = this.#peers.get(to)?.link
    if (!link) return false
    const waiting = link.waitingBytes
    if (waiting > 0 && !isOwed) {
      let size = FRAME_HEADER_BYTES + head.length
      for (const part of data) size += part.length
      if (waiting + size > this.#options.waitingBytesMax) return false
    }
    link.write(encodeFrame(kind, head, data))
    return true
  }

  isConnected(id: number): boolean {
    return this.#peers.get(id)?.link !== undefined
  }

  /** Bytes that the system has not taken yet; 0 for a peer that is not connected. */
  waitingBytes(id: number): number {
    return this.#peers.get(id)?.link?.waitingBytes ?? 0
  }

  /** Ends every connection. Nothing is told any more. */
  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    for (const peer of this.#peers.values()) peer.redial?.stop()
    for (const probe of this.#probes) probe.destroy()
    const allGone = new Promise<void>((resolve) => {
      this.#onAllGone = resolve
    })
    for (const link of this.#links) link.cut('this member closes')
    this.#gone()
    await Promise.all([allGone, this.#listener?.close()])
  }

  async #listen(): Promise<void> {
    const { listen, tls } = this.#options
    try {
      this.#listener = await this.#network.listen(listen, {
        tls,
        onConnection: (connection) => this.#accept(connection),
        onTlsFailure: (address, reason, text) => {
          if (!this.#isClosed) this.#refused.add({ address, reason, text, byPeer: false })
        },
      })
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      throw new TidemarkError('IO', `cannot listen at ${listen}: ${why}`, {}, error)
    }
  }

  #dial(peer: Peer): void {
    const { tls } = this.#options
    const connection = this.#network.connect(peer.address, { tls, serverName: this.#nameOf(peer) })
    this.#begin(connection, peer)
  }

  #accept(connection: Connection): void {
    if (this.#isClosed) connection.destroy()
    else this.#begin(connection, undefined)
  }

  /** `dialed`: the peer that is looked for; undefined of a connection that came in. */
  #begin(connection: Connection, dialed: Peer | undefined): void {
    const { clock, silenceMs, onFrame } = this.#options
    const handshake = this.#handshake(dialed, (name) => link.isFor(name))
    let peer: Peer | undefined
    const link: Link = new Link({
      connection,
      clock,
      silenceMs,
      ...(dialed && { onOpen: () => link.write(handshake.begin()) }),
      onFrame: (frame) => {
        if (peer) {
          onFrame(peer.id, frame)
          return
        }
        const step = handshake.take(frame)
        link.write(step.send)
        if (!step.peer) return
        peer = this.#proven(link, step.peer)
        this.#options.onUp({ id: peer.id, incarnation: step.peer.incarnation })
      },
      onEnd: (end) => this.#ended(link, end, dialed, peer),
      onGone: () => {
        this.#links.delete(link)
        this.#strangers.delete(link)
        this.#gone()
      },
    })
    this.#links.add(link)
    if (!dialed) this.#makeRoom(link)
  }

  #makeRoom(stranger: Link): void {
    this.#strangers.add(stranger)
    if (this.#strangers.size <= STRANGERS_MAX) return
    const [oldest] = this.#strangers
    this.#strangers.delete(oldest!)
    oldest!.cut('too many who prove nothing')
  }

  #handshake(dialed: Peer | undefined, isFor: (name: string) => boolean): Handshake {
    const { id, cluster, incarnation, secret = '', tls, random } = this.#options
    const nonce = new Uint8Array(NONCE_BYTES)
    for (let at = 0; at < NONCE_BYTES; at += 4) setU32(nonce, at, random.uint32())
    return new Handshake({
      id,
      cluster,
      incarnation,
      secret,
      nonce,
      ...(dialed && { expected: dialed.id }),
      isDialer: (other) => other > id && this.#peers.has(other),
      isSame: (peer) => this.#options.isSame?.(peer) ?? true,
      checkCertificate: (other) => {
        const name = this.#nameOf(this.#peers.get(other)!)
        if (!tls || isFor(name)) return
        throw new Refusal('certificate', `member ${other} has no certificate for ${name}`)
      },
    })
  }

  /** What the certificate of a peer must be valid for. */
  #nameOf({ id, address }: Peer): string {
    return this.#options.tls?.names?.[id] ?? parseAddress(address, 'a peer').host
  }

  #proven(link: Link, { id }: PeerIdentity): Peer {
    const peer = this.#peers.get(id)
    invariant(peer, 'only a known peer is proven')
    this.#strangers.delete(link)
    // It has lost the old one, or it would not have made another.
    peer.link?.cut('replaced by another connection')
    link.prove()
    peer.link = link
    peer.wasUp = true
    peer.redial?.succeeded()
    return peer
  }

  #ended(link: Link, end: LinkEnd, dialed: Peer | undefined, proven: Peer | undefined): void {
    if (this.#isClosed) return
    const { why, error } = end
    const peer = proven ?? dialed
    const refusal = end.refusal ?? this.#tlsRefusal(link, end, dialed)
    if (refusal) {
      const id = peer && { id: peer.id }
      this.#refused.add({ address: link.remote, ...refusal, ...id })
    }
    if (dialed) dialed.redial?.failed(refusal !== undefined)
    if (proven?.link === link) {
      proven.link = undefined
      this.#options.onDown(proven.id, why)
      if (!dialed && end.isLost) this.#probe(proven)
    } else if (dialed && errnoOf(error) === 'ECONNREFUSED') this.#unreachable(dialed)
  }

  /** TLS has no words of ours: that it failed is seen by how the connection ended before a word was heard. */
  #tlsRefusal(link: Link, { error, why }: LinkEnd, dialed: Peer | undefined): LinkEnd['refusal'] {
    if (!this.#options.tls || !dialed || link.hasHeard) return undefined
    if (link.isOpen) {
      const text = `${why}, without a word: so does who does not accept a certificate`
      return { reason: 'certificate', text, byPeer: true }
    }
    const code = errnoOf(error)
    // Errors of the system, such as ECONNREFUSED, have nothing to do with TLS.
    if (code === undefined || /^E[A-Z]+$/.test(code)) return undefined
    return { reason: 'certificate', text: `${why} (${code})`, byPeer: code.includes('ALERT') }
  }

  /** Who does not dial would not see that nobody listens there any more. */
  #probe(peer: Peer): void {
    if (this.#isClosed) return
    const probe = this.#network.connect(peer.address, {})
    this.#probes.add(probe)
    const cancel = this.#options.clock.after(this.#options.silenceMs, () => probe.destroy())
    probe.start({
      onOpen: () => probe.destroy(),
      onData() {},
      onClose: (error) => {
        cancel()
        this.#probes.delete(probe)
        if (errnoOf(error) === 'ECONNREFUSED') this.#unreachable(peer)
        this.#gone()
      },
    })
  }

  #unreachable(peer: Peer): void {
    if (this.#isClosed || !peer.wasUp || peer.link) return
    peer.wasUp = false
    this.#options.onUnreachable(peer.id)
  }

  #gone(): void {
    if (this.#links.size === 0 && this.#probes.size === 0) this.#onAllGone?.()
  }
}
