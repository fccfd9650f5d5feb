import { invariant } from '../../base/index.ts'
import { encodeFrame, type Frame } from '../wire/index.ts'
import {
  ANYONE,
  checkProof,
  decodeHello,
  encodeHello,
  type Hello,
  KIND_HELLO,
  KIND_PROOF,
  KIND_WELCOME,
  OPERATOR,
  proofOf,
  ROLE_ACCEPTOR,
  ROLE_DIALER,
  type Role,
} from './hello.ts'
import { Refusal } from './refusal.ts'

// The handshake as a function of frames. Dialer: hello. Acceptor: hello, proof. Dialer: proof. Acceptor: welcome.
// The acceptor is up when it has seen the proof, the dialer when it is welcome: neither believes before.

export interface HandshakeOptions {
  /** This member, or {@link OPERATOR}. */
  readonly id: number
  readonly cluster: string
  readonly incarnation: Uint8Array
  readonly secret: string
  readonly nonce: Uint8Array
  readonly founders: Uint8Array
  /** The member that is dialed, or {@link ANYONE}; undefined on the side that accepts. */
  readonly expected?: number
  /** Throws a refusal if this is none that dials this member. */
  readonly checkDialer: (id: number) => void
  /** Throws a refusal if the certificate of the connection is not that of the member. */
  readonly checkCertificate: (id: number) => void
  /** Throws a refusal if the other side, which has proven who it is, is not welcome. */
  readonly checkPeer: (peer: PeerIdentity) => void
}

export interface PeerIdentity {
  readonly id: number
  readonly incarnation: Uint8Array
  /** Of the cluster that it belongs to, 8 bytes; all zero: it does not know yet. */
  readonly founders: Uint8Array
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
    const { id, cluster, founders, expected, checkDialer, checkCertificate } = this.#options
    if (theirs.cluster !== cluster) {
      const names = `${JSON.stringify(theirs.cluster)}, not ${JSON.stringify(cluster)}`
      throw new Refusal('cluster', `the cluster ${names}`)
    }
    if (
      isKnown(founders) &&
      isKnown(theirs.founders) &&
      Buffer.compare(theirs.founders, founders) !== 0
    ) {
      const text = `the clusters ${JSON.stringify(cluster)} here and there were made with other members`
      throw new Refusal('cluster', text)
    }
    const isAnyoneMeant = !isDialing && theirs.from === OPERATOR && theirs.to === ANYONE
    if (theirs.to !== id && !isAnyoneMeant) {
      throw new Refusal('member', `member ${theirs.to} was looked for, where member ${id} is`)
    }
    const isExpected = expected === ANYONE ? theirs.from !== OPERATOR : theirs.from === expected
    if (isDialing && !isExpected) {
      throw new Refusal('member', `member ${theirs.from} is where member ${expected} should be`)
    }
    if (theirs.from === OPERATOR && (isKnown(theirs.incarnation) || isKnown(theirs.founders))) {
      throw new Refusal('garbage', 'an operator that says what only members say')
    }
    if (!isDialing) checkDialer(theirs.from)
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
      this.#options.checkPeer(this.#peer())
      this.#due = KIND_WELCOME
      return { send: encodeFrame(KIND_PROOF, this.#proof(ROLE_DIALER), []) }
    }
    checkProof(head, this.#proof(ROLE_DIALER))
    this.#options.checkPeer(this.#peer())
    return { send: encodeFrame(KIND_WELCOME, new Uint8Array(0), []), peer: this.#peer() }
  }

  #hello(to: number): Hello {
    const { id, cluster, incarnation, nonce, founders } = this.#options
    return { role: this.#role, from: id, to, incarnation, nonce, founders, cluster }
  }

  #proof(of: Role): Buffer {
    const theirs = this.#peer()
    // As it was said: an operator that looks for anyone still does not name who it has found.
    const ours = this.#hello(this.#options.expected ?? theirs.from)
    const isDialing = this.#role === ROLE_DIALER
    const [dialer, acceptor] = isDialing ? [ours, theirs] : [theirs, ours]
    return proofOf(of, this.#options.secret, dialer, acceptor)
  }

  #peer(): Hello & PeerIdentity {
    invariant(this.#theirs, 'a proof comes after a hello')
    return { ...this.#theirs, id: this.#theirs.from }
  }
}

function isKnown(bytes: Uint8Array): boolean {
  return bytes.some((byte) => byte !== 0)
}
