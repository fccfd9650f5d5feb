import { errnoOf, invariant, TidemarkError } from '../../base/index.ts'
import {
  type Connection,
  type Listener,
  type Network,
  nodeNetwork,
  parseAddress,
} from '../../io/index.ts'
import { encodeFrame, FRAME_HEADER_BYTES } from '../wire/index.ts'
import { Handshake, type PeerIdentity } from './handshake.ts'
import { nonceOf, OPERATOR } from './hello.ts'
import { Link, type LinkEnd } from './link.ts'
import { Operators } from './operators.ts'
import { checkFounders, checkOptions, checkPeer, type TransportOptions } from './options.ts'
import { DIALED_PACE, DIALER_PACE, Redial } from './redial.ts'
import { Refusal } from './refusal.ts'
import { RefusedEvents } from './refused-events.ts'
import { tlsRefusal } from './tls-refusal.ts'

/** Connections that came in and have proven nothing yet; the oldest makes room. */
const STRANGERS_MAX = 64
/** Peers that have come by themselves; without a secret anybody could fill the memory with them. */
const UNNAMED_MAX = 64
/** A command, and the data of what it imports: one entry of the largest at least. */
const OPERATOR_LIMITS = { head: 2 ** 20 + 64, data: 2 ** 25 + 2 ** 20 }

interface Peer {
  readonly id: number
  /** Undefined: it came by itself, and is forgotten when its connection ends. */
  address: string | undefined
  /** The connection that is up. */
  link: Link | undefined
  /** The last that was dialed, up or not. */
  dialed: Link | undefined
  /** When it is dialed again, if there is no connection then. */
  readonly redial: Redial
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
  readonly #operators = new Operators()
  readonly #probes = new Set<Connection>()
  #founders: Uint8Array
  #listener: Listener | undefined
  #isClosed = false
  #onAllGone: (() => void) | undefined

  /** Listens, and dials. Throws INVALID_ARGUMENT; IO where it cannot listen, with the system's error as cause. */
  static async open(options: TransportOptions): Promise<Transport> {
    checkOptions(options)
    const transport = new Transport(options)
    await transport.#listen()
    for (const peer of transport.#peers.values()) transport.#firstDial(peer)
    return transport
  }

  private constructor(options: TransportOptions) {
    this.#options = options
    this.#network = options.network ?? nodeNetwork
    this.#refused = new RefusedEvents(options.clock, options.onRefused)
    this.#founders = options.founders
    for (const [id, address] of options.peers) this.#addPeer(id, address)
  }

  /** Where it listens, with the port that it really has. */
  get address(): string {
    invariant(this.#listener, 'a transport listens from its opening on')
    return this.#listener.address
  }

  /**
   * From now on there is this peer, and it listens there. A connection that it has stays; the next is made to the new
   * address. Throws INVALID_ARGUMENT.
   */
  setPeer(id: number, address: string): void {
    checkPeer(this.#options.id, id, address)
    if (this.#isClosed) return
    const known = this.#peers.get(id)
    if (known) {
      known.address = address
      return
    }
    this.#firstDial(this.#addPeer(id, address))
  }

  /** Forgets a peer, and cuts its connection. It may come again unless `checkMember` refuses it. */
  dropPeer(id: number): void {
    const peer = this.#peers.get(id)
    if (!peer) return
    this.#peers.delete(id)
    peer.redial.stop()
    peer.dialed?.cut('it is no member any more')
    peer.link?.cut('it is no member any more')
  }

  /** What is said in connections that are made from now on. Throws INVALID_ARGUMENT. */
  setFounders(founders: Uint8Array): void {
    checkFounders(founders)
    this.#founders = founders
  }

  /**
   * To a peer, or to an operator by the number that it was given. False: not connected, or too much waits, unless the peer must have it. Sent in order; the frames of one turn leave
   * in one write.
   */
  send(
    to: number,
    kind: number,
    head: Uint8Array,
    data: readonly Uint8Array[],
    isOwed = false,
  ): boolean {
    const link = this.#peers.get(to)?.link ?? this.#operatorFor(to)
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

  /** Members that there is a connection to. */
  get connected(): number[] {
    return [...this.#peers.values()].filter(({ link }) => link !== undefined).map(({ id }) => id)
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
    for (const peer of this.#peers.values()) peer.redial.stop()
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

  #addPeer(id: number, address: string | undefined): Peer {
    const { clock, random } = this.#options
    const pace = this.#isDialerOf(id) ? DIALER_PACE : DIALED_PACE
    const redial = new Redial(clock, random, pace, () => {
      if (!peer.link && peer.address !== undefined) this.#dial(peer)
    })
    const peer: Peer = { id, address, link: undefined, dialed: undefined, redial, wasUp: false }
    this.#peers.set(id, peer)
    return peer
  }

  #isDialerOf(id: number): boolean {
    return id < this.#options.id
  }

  #firstDial(peer: Peer): void {
    if (this.#isDialerOf(peer.id)) this.#dial(peer)
    else peer.redial.failed(false)
  }

  #dial(peer: Peer): void {
    const { tls } = this.#options
    invariant(peer.address !== undefined, 'who is dialed was named with its address')
    const serverName = this.#nameOf(peer.id)
    const connection = this.#network.connect(peer.address, {
      tls,
      ...(serverName && { serverName }),
    })
    this.#begin(connection, peer)
  }

  #accept(connection: Connection): void {
    if (this.#isClosed) connection.destroy()
    else this.#begin(connection, undefined)
  }

  /** `dialed`: the peer that is looked for; undefined of a connection that came in. */
  #begin(connection: Connection, dialed: Peer | undefined): void {
    const { clock, silenceMs, onFrame, onOperatorFrame } = this.#options
    const handshake = this.#handshake(dialed, (name) => link.isFor(name))
    let peer: Peer | undefined
    let operator: number | undefined
    const link: Link = new Link({
      connection,
      clock,
      silenceMs,
      ...(dialed && { onOpen: () => link.write(handshake.begin()) }),
      onFrame: (frame) => {
        if (peer) return onFrame(peer.id, frame)
        if (operator !== undefined) return onOperatorFrame?.(operator, frame)
        const step = handshake.take(frame)
        link.write(step.send)
        if (!step.peer) return
        const { id, incarnation, founders } = step.peer
        if (id === OPERATOR) operator = this.#operatorProven(link)
        else {
          peer = this.#proven(link, id, dialed !== undefined)
          if (peer) this.#options.onUp({ id, incarnation, founders })
        }
      },
      onEnd: (end) => {
        if (operator !== undefined) this.#operators.remove(operator)
        this.#ended(link, end, dialed, peer)
      },
      onGone: () => {
        this.#links.delete(link)
        this.#strangers.delete(link)
        this.#gone()
      },
    })
    this.#links.add(link)
    if (dialed) dialed.dialed = link
    else this.#makeRoom(link)
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
    const founders = this.#founders
    return new Handshake({
      id,
      cluster,
      incarnation,
      secret,
      nonce: nonceOf(random),
      founders,
      ...(dialed && { expected: dialed.id }),
      checkDialer: (other) => this.#checkDialer(other),
      checkPeer: (peer) => this.#checkPeer(peer),
      checkCertificate: (other) => {
        const name = this.#nameOf(other)
        // Of whom no name is known, and of operators, it is enough that the authority is ours, which TLS has seen to.
        if (!tls || name === undefined || isFor(name)) return
        throw new Refusal('certificate', `member ${other} has no certificate for ${name}`)
      },
    })
  }

  #checkDialer(other: number): void {
    const { id, onOperatorFrame } = this.#options
    if (other === OPERATOR ? onOperatorFrame : other !== id) return
    const who = other === OPERATOR ? 'an operator' : `member ${other} itself`
    throw new Refusal('member', `${who} is none that dials member ${id}`)
  }

  /** Of who has proven to know the secret. */
  #checkPeer(peer: PeerIdentity): void {
    const { id } = peer
    if (id === OPERATOR) {
      if (this.#operators.isFull) throw new Refusal('busy', 'too many operators are connected')
      return
    }
    const { isSame, checkMember } = this.#options
    // A folder that was wiped has forgotten what it has promised: it must not speak for the member that it was.
    if (isSame && !isSame(peer)) {
      const text = `member ${id} has lost its folder: it is not the one that was known`
      throw new Refusal('member', text)
    }
    const refusal = checkMember?.(id)
    if (refusal) throw refusal
    if (this.#peers.has(id)) return
    const unnamed = [...this.#peers.values()].filter(({ address }) => address === undefined)
    if (unnamed.length < UNNAMED_MAX) return
    throw new Refusal('busy', 'too many members are connected that nobody has named')
  }

  /** What the certificate of a member must be valid for; undefined if that is not known. */
  #nameOf(id: number): string | undefined {
    const address = this.#peers.get(id)?.address
    const host = address === undefined ? undefined : parseAddress(address, 'a peer').host
    return this.#options.tls?.names?.[id] ?? host
  }

  /** One that asks on and reads no answers would fill the memory: all of them are owed. */
  #operatorFor(id: number): Link | undefined {
    const link = this.#operators.get(id)
    if (!link || link.waitingBytes <= this.#options.waitingBytesMax) return link
    link.cut('it does not read what it has asked for')
    return undefined
  }

  #operatorProven(link: Link): number {
    this.#strangers.delete(link)
    link.prove(OPERATOR_LIMITS)
    return this.#operators.add(link)
  }

  /** Undefined: the connection is one too many. */
  #proven(link: Link, id: number, isDialed: boolean): Peer | undefined {
    this.#strangers.delete(link)
    const before = this.#peers.get(id)?.link
    // Where both have dialed at the same time, both keep the connection of the one who should.
    if (before && isDialed !== this.#isDialerOf(id)) {
      link.cut('there is a connection already')
      return undefined
    }
    // It has lost the old one, or it would not have made another.
    before?.cut('replaced by another connection')
    link.prove()
    const peer = this.#peers.get(id) ?? this.#addPeer(id, undefined)
    peer.link = link
    peer.wasUp = true
    peer.redial.succeeded()
    return peer
  }

  #ended(link: Link, end: LinkEnd, dialed: Peer | undefined, proven: Peer | undefined): void {
    if (this.#isClosed) return
    const { why, error } = end
    const peer = proven ?? dialed
    const refusal = end.refusal ?? (dialed && this.#options.tls && tlsRefusal(link, end))
    if (refusal) {
      const id = peer && { id: peer.id }
      this.#refused.add({ address: link.remote, ...refusal, ...id })
    }
    peer?.redial.failed(refusal !== undefined)
    if (proven?.link === link) {
      proven.link = undefined
      if (proven.address === undefined) this.#peers.delete(proven.id)
      this.#options.onDown(proven.id, why)
      if (!dialed && end.isLost) this.#probe(proven)
    } else if (dialed && errnoOf(error) === 'ECONNREFUSED') this.#unreachable(dialed)
  }

  /** Who does not dial would not see that nobody listens there any more. */
  #probe(peer: Peer): void {
    if (this.#isClosed || peer.address === undefined) return
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
    const isPeer = this.#peers.get(peer.id) === peer
    if (this.#isClosed || !isPeer || !peer.wasUp || peer.link) return
    peer.wasUp = false
    this.#options.onUnreachable(peer.id)
  }

  #gone(): void {
    if (this.#links.size === 0 && this.#probes.size === 0) this.#onAllGone?.()
  }
}
