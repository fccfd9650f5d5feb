import { TidemarkError } from '../../base/index.ts'
import type { Members, ReplicaId } from '../core/index.ts'

// The entries that the quorum itself puts into a log, among those of its users.

/** The first entry of a leader's term. It has no data. */
export const TYPE_LEADER = 2
/** A change of members. */
export const TYPE_MEMBERS = 3
/** Who asked for the batch that it ends. */
export const TYPE_RECEIPT = 4

/** Names an append: the same one is not taken twice. */
export interface Receipt {
  /** Of who appends: drawn at random for each life of it, from 0 below 2^48. */
  readonly session: number
  /** Counts up in the session, from 1. */
  readonly request: number
}

const RECEIPT_VERSION = 1
const RECEIPT_BYTES = 14

/** A receipt as the data of an entry, little-endian: version (1 byte), zero (1), session (6), request (6). */
export function encodeReceipt({ session, request }: Receipt): Buffer {
  const bytes = Buffer.alloc(RECEIPT_BYTES)
  bytes[0] = RECEIPT_VERSION
  bytes.writeUIntLE(session, 2, 6)
  bytes.writeUIntLE(request, 8, 6)
  return bytes
}

/** Throws CORRUPT if the data is not what {@link encodeReceipt} makes. */
export function decodeReceipt(data: Buffer): Receipt {
  if (data.length !== RECEIPT_BYTES || data[0] !== RECEIPT_VERSION || data[1] !== 0) {
    throw new TidemarkError('CORRUPT', `${data.length} bytes are no receipt`)
  }
  return { session: data.readUIntLE(2, 6), request: data.readUIntLE(8, 6) }
}

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

/** Throws CORRUPT if the data is not what {@link encodeMembers} makes. */
export function decodeMembers(data: Buffer): Members {
  const lengths = data.length < HEAD_BYTES ? [] : [2, 4, 6].map((at) => data.readUInt16LE(at))
  const count = lengths.reduce((sum, length) => sum + length, 0)
  const isSound = data[0] === VERSION && count <= REPLICAS_MAX
  if (lengths.length === 0 || !isSound || data.length !== HEAD_BYTES + count * ID_BYTES) {
    throw new TidemarkError('CORRUPT', `${data.length} bytes are no list of members`)
  }
  let at = HEAD_BYTES
  const take = (length: number): ReplicaId[] =>
    Array.from({ length }, () => {
      const id = data.readUInt32LE(at)
      at += ID_BYTES
      return id
    })
  const [voters, outgoing, learners] = lengths.map((length) => take(length))
  return { voters: voters!, outgoing: outgoing!, learners: learners! }
}
