import { getU16, getU32, getU48, invariant, setU48, TidemarkError } from '../../base/index.ts'
import type { Members, ReplicaId } from '../core/index.ts'

// The entries that the quorum itself puts into a log, among those of its users.

/** The first entry of a leader's term. It has no data. */
export const TYPE_LEADER = 2
/** A change of members. */
export const TYPE_MEMBERS = 3

/** What became of the requests of a session: the last of the batch that one of them appended. */
export const TYPE_RECEIPT = 4

/** Version, and how many voters, outgoing voters and learners there are, as 2 bytes each. */
const HEAD_BYTES = 8
const ID_BYTES = 4
const VERSION = 1
/** Far more than a quorum could have any use of. */
const REPLICAS_MAX = 1024

/**
 * Members as the data of an entry, little-endian: version (1 byte), zero (1), the lengths of the three lists
 * (2 each), then the ids (4 each): voters, outgoing, learners.
 */
export function encodeMembers({ voters, outgoing, learners }: Members): Buffer {
  const all = [...voters, ...outgoing, ...learners]
  if (all.length > REPLICAS_MAX) {
    throw new TidemarkError('INVALID_ARGUMENT', `${all.length} members are too many`)
  }
  const bytes = Buffer.alloc(HEAD_BYTES + all.length * ID_BYTES)
  bytes[0] = VERSION
  bytes.writeUInt16LE(voters.length, 2)
  bytes.writeUInt16LE(outgoing.length, 4)
  bytes.writeUInt16LE(learners.length, 6)
  for (const [i, id] of all.entries()) bytes.writeUInt32LE(id, HEAD_BYTES + i * ID_BYTES)
  return bytes
}

/** Throws CORRUPT if the data is not what {@link encodeMembers} makes of members that can be. */
export function decodeMembers(data: Uint8Array): Members {
  const lengths = data.length < HEAD_BYTES ? [] : [2, 4, 6].map((at) => getU16(data, at))
  const count = lengths.reduce((sum, length) => sum + length, 0)
  const isSound = data[0] === VERSION && data[1] === 0 && count <= REPLICAS_MAX
  if (lengths.length === 0 || !isSound || data.length !== HEAD_BYTES + count * ID_BYTES) {
    throw new TidemarkError('CORRUPT', `${data.length} bytes are no list of members`)
  }
  let at = HEAD_BYTES
  const [voters, outgoing, learners] = lengths.map((length) => {
    const ids = takeIds(data, at, length)
    at += length * ID_BYTES
    return ids
  })
  const both = learners!.find((id) => voters!.includes(id))
  if (both !== undefined) {
    throw new TidemarkError('CORRUPT', `replica ${both} is both voter and learner`)
  }
  return { voters: voters!, outgoing: outgoing!, learners: learners! }
}

/** Numbers of replicas, which rise: none is 0, and none is there twice. */
function takeIds(data: Uint8Array, start: number, length: number): ReplicaId[] {
  const ids: ReplicaId[] = []
  for (let i = 0; i < length; i++) {
    const id = getU32(data, start + i * ID_BYTES)
    const before = ids.at(-1) ?? 0
    if (id <= before) throw new TidemarkError('CORRUPT', `replica ${id} is listed behind ${before}`)
    ids.push(id)
  }
  return ids
}

/** Version (1 byte), zero (1), session (6), request (6). */
const RECEIPT_BYTES = 14

/** The request of a session whose entries are in the batch. */
export interface Receipt {
  readonly session: number
  readonly request: number
}

/** A receipt as the data of an entry, little-endian. */
export function encodeReceipt({ session, request }: Receipt): Buffer {
  for (const value of [session, request]) {
    invariant(value >= 0 && value < 2 ** 48, `${value} fits into 48 bits`)
  }
  const bytes = Buffer.alloc(RECEIPT_BYTES)
  bytes[0] = VERSION
  setU48(bytes, 2, session)
  setU48(bytes, 8, request)
  return bytes
}

/** Throws CORRUPT if the data is not what {@link encodeReceipt} makes. */
export function decodeReceipt(data: Uint8Array): Receipt {
  if (data.length !== RECEIPT_BYTES || data[0] !== VERSION || data[1] !== 0) {
    throw new TidemarkError('CORRUPT', `${data.length} bytes are no receipt`)
  }
  return { session: getU48(data, 2), request: getU48(data, 8) }
}
