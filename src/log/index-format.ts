import { crc32, getU16, getU32, getU48, setU16, setU32, setU48 } from '../base/index.ts'
import { FORMAT_VERSION } from './segment-format.ts'

// The file of an offset index: a header of 32 bytes, then 16 bytes for each point; docs/format.md is
// its page. It is only ever a shortcut: one that is missing, stale or damaged is rebuilt from the
// store, so it is written without a sync and believed only if its checksum, segment id and covered
// length all fit.

export const INDEX_HEADER_BYTES = 32
export const INDEX_POINT_BYTES = 16
/** "TMIX" as it lies in the file. */
const MAGIC = 0x58494d54

const VERSION_AT = 4
const ID_AT = 8
const COVERED_AT = 12
const COUNT_AT = 16
const MAX_TIME_AT = 20
const CRC_AT = 28

/** The points of an index as parallel columns; index i of each column is point i. */
export interface IndexColumns {
  /** Offset of the entry at the point, minus the segment's base. */
  readonly lsns: Uint32Array
  /** Position of that entry in the store. */
  readonly positions: Uint32Array
  /** The highest timestamp of any entry of the segment before the point. */
  readonly times: Float64Array
}

export interface IndexImage extends IndexColumns {
  readonly segmentId: number
  /** Bytes of the store that the index covers, its header included. */
  readonly coveredBytes: number
  readonly count: number
  /** The highest timestamp of any entry covered. */
  readonly maxTimestamp: number
}

export function encodeIndex(image: IndexImage): Uint8Array {
  const b = new Uint8Array(INDEX_HEADER_BYTES + image.count * INDEX_POINT_BYTES)
  setU32(b, 0, MAGIC)
  setU16(b, VERSION_AT, FORMAT_VERSION)
  setU32(b, ID_AT, image.segmentId)
  setU32(b, COVERED_AT, image.coveredBytes)
  setU32(b, COUNT_AT, image.count)
  setU48(b, MAX_TIME_AT, image.maxTimestamp)
  for (let i = 0, at = INDEX_HEADER_BYTES; i < image.count; i++, at += INDEX_POINT_BYTES) {
    setU32(b, at, image.lsns[i]!)
    setU32(b, at + 4, image.positions[i]!)
    setU48(b, at + 8, image.times[i]!)
  }
  setU32(b, CRC_AT, indexCrc(b))
  return b
}

function indexCrc(b: Uint8Array): number {
  return crc32(b, INDEX_HEADER_BYTES, b.length, crc32(b, 0, CRC_AT))
}

/** The image, or undefined if these bytes are not a whole and sound index of this version. */
export function decodeIndex(b: Uint8Array): IndexImage | undefined {
  if (b.length < INDEX_HEADER_BYTES || getU32(b, 0) !== MAGIC) return undefined
  if (getU16(b, VERSION_AT) !== FORMAT_VERSION) return undefined
  const count = getU32(b, COUNT_AT)
  if (b.length !== INDEX_HEADER_BYTES + count * INDEX_POINT_BYTES) return undefined
  if (getU32(b, CRC_AT) !== indexCrc(b)) return undefined
  const lsns = new Uint32Array(count)
  const positions = new Uint32Array(count)
  const times = new Float64Array(count)
  for (let i = 0, at = INDEX_HEADER_BYTES; i < count; i++, at += INDEX_POINT_BYTES) {
    lsns[i] = getU32(b, at)
    positions[i] = getU32(b, at + 4)
    times[i] = getU48(b, at + 8)
  }
  const segmentId = getU32(b, ID_AT)
  const coveredBytes = getU32(b, COVERED_AT)
  return {
    segmentId,
    coveredBytes,
    count,
    maxTimestamp: getU48(b, MAX_TIME_AT),
    lsns,
    positions,
    times,
  }
}
