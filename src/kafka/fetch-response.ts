import { KIB, TidemarkError } from '../base/index.ts'
import type { Client } from './client.ts'

type Reader = InstanceType<Client['Reader']>

export interface AbortedTransaction {
  readonly producerId: number
  readonly firstOffset: number
}

/** What a broker gave of a partition. */
export interface Fetched {
  readonly errorCode: number
  readonly highWatermark: number
  /** The first offset whose transaction is open; the high watermark if there is none. */
  readonly lastStable: number
  readonly logStart: number
  readonly aborted: readonly AbortedTransaction[]
  /** Batches, the last of which may be cut short. */
  readonly bytes: Buffer
}

/** The most that Node reads from a socket at a time. */
const SOCKET_CHUNK_BYTES = 64 * KIB
const NOTHING = Buffer.alloc(0)

/**
 * The answer to a Fetch request of one partition, version 13. It is read here and not by the client, which checks no
 * checksum of a batch, and would make every record before it is known whether it is wanted.
 */
export function decodeFetched(
  _id: number,
  _api: number,
  _version: number,
  reader: Reader,
): Fetched {
  reader.readInt32()
  const errorCode = reader.readInt16()
  reader.readInt32()
  let own: Fetched | undefined
  reader.readArray(() => {
    reader.readUUID()
    reader.readArray(() => {
      own = decodePartition(reader)
    })
  })
  if (errorCode !== 0) return { ...(own ?? EMPTY), errorCode }
  if (own) return own
  throw new TidemarkError('CORRUPT', 'a broker has answered a fetch with nothing')
}

const EMPTY = { highWatermark: 0, lastStable: 0, logStart: 0, aborted: [], bytes: NOTHING }

function decodePartition(reader: Reader): Fetched {
  reader.readInt32()
  const errorCode = reader.readInt16()
  const highWatermark = Number(reader.readInt64())
  const lastStable = Number(reader.readInt64())
  const logStart = Number(reader.readInt64())
  const aborted = reader.readArray(() => ({
    producerId: Number(reader.readInt64()),
    firstOffset: Number(reader.readInt64()),
  }))
  reader.readInt32()
  return { errorCode, highWatermark, lastStable, logStart, aborted, bytes: readRecords(reader) }
}

function readRecords(reader: Reader): Buffer {
  const length = reader.readUnsignedVarInt() - 1
  if (length <= 0) return NOTHING
  if (length > reader.remaining) {
    const problem = `a broker has said that ${length} bytes follow, and ${reader.remaining} do`
    throw new TidemarkError('CORRUPT', problem)
  }
  const slice = reader.buffer.slice(reader.position, reader.position + length)
  reader.skip(length)
  // Entries point into it, and their data is the caller's. What came in one piece off the socket is not ours alone:
  // the next answer may begin in it.
  return length <= SOCKET_CHUNK_BYTES ? Buffer.from(slice) : slice
}
