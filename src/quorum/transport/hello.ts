import { createHmac, timingSafeEqual } from 'node:crypto'
import { getU16, getU32, setU16, setU32 } from '../../base/index.ts'
import type { Random } from '../../io/index.ts'
import { Refusal } from './refusal.ts'

// What two members say to each other before either believes anything; docs/format.md has the bytes.

export const KIND_HELLO = 1
export const KIND_PROOF = 2
export const KIND_WELCOME = 3
export const KIND_REFUSAL = 4
export const KIND_ALIVE = 5

/** Of what members say once they are connected: frames have a version of their own. */
const PROTOCOL = 1
export const INCARNATION_BYTES = 16
const NONCE_BYTES = 16
export const FOUNDERS_BYTES = 8
export const CLUSTER_BYTES_MAX = 255

/** Speaks as no member does: for a command line. */
export const OPERATOR = 0
/** An operator takes any member that it finds. */
export const ANYONE = 0

const CLUSTER_LENGTH_AT = 1
const PROTOCOL_AT = 2
const FROM_AT = 4
const TO_AT = 8
const INCARNATION_AT = 12
const NONCE_AT = 28
const FOUNDERS_AT = 44
const CLUSTER_AT = 52

export const ROLE_DIALER = 1
export const ROLE_ACCEPTOR = 2
export type Role = typeof ROLE_DIALER | typeof ROLE_ACCEPTOR

export interface Hello {
  readonly role: Role
  /** The member that speaks, or {@link OPERATOR}, and the one that it believes to speak to, or {@link ANYONE}. */
  readonly from: number
  readonly to: number
  readonly incarnation: Uint8Array
  /** Random, so that a proof is of use for this connection only. */
  readonly nonce: Uint8Array
  /** A fingerprint of the members that the cluster was made with; all zero: not known. */
  readonly founders: Uint8Array
  readonly cluster: string
}

export function encodeHello(hello: Hello): Buffer {
  const cluster = Buffer.from(hello.cluster)
  const b = Buffer.alloc(CLUSTER_AT + cluster.length)
  b[0] = hello.role
  b[CLUSTER_LENGTH_AT] = cluster.length
  setU16(b, PROTOCOL_AT, PROTOCOL)
  setU32(b, FROM_AT, hello.from)
  setU32(b, TO_AT, hello.to)
  b.set(hello.incarnation, INCARNATION_AT)
  b.set(hello.nonce, NONCE_AT)
  b.set(hello.founders, FOUNDERS_AT)
  b.set(cluster, CLUSTER_AT)
  return b
}

/** Throws a refusal where the bytes are not the hello of a member in this role. */
export function decodeHello(b: Buffer, role: Role): Hello {
  if (b.length < CLUSTER_AT) throw new Refusal('garbage', `a hello of ${b.length} bytes`)
  const protocol = getU16(b, PROTOCOL_AT)
  if (protocol !== PROTOCOL) {
    throw new Refusal('version', `version ${protocol} of the protocol, not ${PROTOCOL}`)
  }
  if (b[0] !== role) throw new Refusal('garbage', `a hello in the role ${b[0]}, not ${role}`)
  if (b.length !== CLUSTER_AT + b[CLUSTER_LENGTH_AT]!) {
    throw new Refusal('garbage', `a hello of ${b.length} bytes`)
  }
  return {
    role,
    from: getU32(b, FROM_AT),
    to: getU32(b, TO_AT),
    incarnation: Buffer.from(b.subarray(INCARNATION_AT, NONCE_AT)),
    nonce: Buffer.from(b.subarray(NONCE_AT, FOUNDERS_AT)),
    founders: Buffer.from(b.subarray(FOUNDERS_AT, CLUSTER_AT)),
    cluster: b.toString('utf8', CLUSTER_AT),
  }
}

/**
 * That `role` knows the secret: HMAC-SHA-256 of the role and both hellos, which have all that was claimed. The
 * role is in it, so that nobody can answer with the proof that was just sent to it.
 */
export function proofOf(role: Role, secret: string, dialer: Hello, acceptor: Hello): Buffer {
  return createHmac('sha256', secret)
    .update(Buffer.of(role))
    .update(encodeHello(dialer))
    .update(encodeHello(acceptor))
    .digest()
}

/** Throws a refusal if `given` is not the proof that was due; takes the same time for any that is wrong. */
export function checkProof(given: Buffer, due: Buffer): void {
  if (given.length === due.length && timingSafeEqual(given, due)) return
  throw new Refusal('secret', 'another secret')
}

/** What nobody can have said before. */
export function nonceOf(random: Random): Uint8Array {
  const nonce = new Uint8Array(NONCE_BYTES)
  for (let at = 0; at < NONCE_BYTES; at += 4) setU32(nonce, at, random.uint32())
  return nonce
}
