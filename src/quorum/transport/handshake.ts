import { invariant } from '../../base/index.ts'
import { encodeFrame, type Frame } from '../wire/index.ts'
import {
  checkProof,
  decodeHello,
  encodeHello,
  type Hello,
  KIND_HELLO,
  KIND_PROOF,
  KIND_WELCOME,
  proofOf,
  ROLE_ACCEPTOR,
  ROLE_DIALER,
  type Role,
} from './hello.ts'
import { Refusal } from './refusal.ts'

// The handshake as a function of frames. Dialer: hello. Acceptor: hello, proof. Dialer: proof. Acceptor: welcome.
// The acceptor is up when it has seen the proof, the dialer when it is welcome: neither believes before.

export interface HandshakeOptions {
  readonly id: number
  readonly cluster: string
  readonly incarnation: Uint8Array
  readonly secret: string
  readonly nonce: Uint8Array
  /** The member that is dialed; undefined on the side that accepts. */
  readonly expected?: number
  /** Whether a member may dial this one. */
  readonly isDialer: (id: number) => boolean
  /** Throws a refusal if the certificate of the connection is not that of the member. */
  readonly checkCertificate: (id: number) => void
  /** Whether the member, which has proven who it is, is the one that was met under its number before. */
  readonly isSame: (peer: PeerIdentity) => boolean
}

export interface PeerIdentity {
  readonly id: number
  readonly incarnation: Uint8Array
}

export interface HandshakeStep {
  readonly send: Uint8Array[]
  /** Who the other side is, once that is proven. */
  readonly peer?: PeerIdentity
}

export class Handshake {
  readonly #options: HandshakeOptions
  readonly #role: Role
  /** Kind of the frame that is due. */
  #due = KIND_HELLO
  #theirs: Hello | undefined

  constructor(options: HandshakeOptions) {
    this.#options = options
    this.#role = options.expected === undefined ? ROLE_ACCEPTOR : ROLE_DIALER
  }

  /** What is sent before anything has come. */
  begin(): Uint8Array[] {
    const { expected } = this.#options
    if (expected === undefined) return []
    return encodeFrame(KIND_HELLO, encodeHello(this.#hello(expected)), [])
  }

  /** Throws a refusal. */
  take({ kind, head }: Frame): HandshakeStep {
    if (kind !== this.#due) {
      throw new Refusal('garbage', `a frame of kind ${kind} where ${this.#due} is due`)
    }
    if (kind === KIND_HELLO) return this.#takeHello(head)
    if (kind === KIND_PROOF) return this.#takeProof(head)
    return { send: [], peer: this.#peer() }
  }

  #takeHello(head: Buffer): HandshakeStep {
    const isDialing = this.#role === ROLE_DIALER
    const theirs = decodeHello(head, isDialing ? ROLE_ACCEPTOR : ROLE_DIALER)
    const { id, cluster, expected, isDialer, checkCertificate } = this.#options
    if (theirs.cluster !== cluster) {
      const names = `${JSON.stringify(theirs.cluster)}, not ${JSON.stringify(cluster)}`
      throw new Refusal('cluster', `the cluster ${names}`)
    }
    if (theirs.to !== id) {
      throw new Refusal('member', `member ${theirs.to} was looked for, where member ${id} is`)
    }
    if (isDialing && theirs.from !== expected) {
      throw new Refusal('member', `member ${theirs.from} is where member ${expected} should be`)
    }
    if (!isDialing && !isDialer(theirs.from)) {
      throw new Refusal('member', `member ${theirs.from} is none that dials member ${id}`)
    }
    checkCertificate(theirs.from)
    this.#theirs = theirs
    this.#due = KIND_PROOF
    if (isDialing) return { send: [] }
    const hello = encodeFrame(KIND_HELLO, encodeHello(this.#hello(theirs.from)), [])
    return { send: [...hello, ...encodeFrame(KIND_PROOF, this.#proof(ROLE_ACCEPTOR), [])] }
  }

  #takeProof(head: Buffer): HandshakeStep {
    if (this.#role === ROLE_DIALER) {
      checkProof(head, this.#proof(ROLE_ACCEPTOR))
      this.#checkSame()
      this.#due = KIND_WELCOME
      return { send: encodeFrame(KIND_PROOF, this.#proof(ROLE_DIALER), []) }
    }
    checkProof(head, this.#proof(ROLE_DIALER))
    this.#checkSame()
    return { send: encodeFrame(KIND_WELCOME, new Uint8Array(0), []), peer: this.#peer() }
  }

  /** A folder that was wiped has forgotten what it has promised: it must not speak for the member that it was. */
  #checkSame(): void {
    const peer = this.#peer()
    if (this.#options.isSame(peer)) return
    throw new Refusal(
      'member',
      `member ${peer.id} has lost its folder: it is not the one that was known`,
    )
  }

  #hello(to: number): Hello {
    const { id, cluster, incarnation, nonce } = this.#options
    return { role: this.#role, from: id, to, incarnation, nonce, cluster }
  }

  #proof(of: Role): Buffer {
    const theirs = this.#peer()
    const ours = this.#hello(theirs.from)
    const isDialing = this.#role === ROLE_DIALER
    const [dialer, acceptor] = isDialing ? [ours, theirs] : [theirs, ours]
    return proofOf(of, this.#options.secret, dialer, acceptor)
  }

  #peer(): Hello & PeerIdentity {
    invariant(this.#theirs, 'a proof comes after a hello')
    return { ...this.#theirs, id: this.#theirs.from }
  }
}
