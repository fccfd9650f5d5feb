import {
  crc32,
  getU16,
  getU32,
  getU48,
  getU64,
  OFFSET_MAX,
  setU16,
  setU32,
  setU48,
  setU64,
} from '../base/index.ts'

// The header of a store, 64 bytes, little-endian; docs/format.md is its page. It names its predecessor
// and where that one ended, so a segment that is missing or short is seen when the log is opened. And
// since a segment is synced before its successor is created, a successor is a witness that its
// predecessor was whole up to that end.

export const SEGMENT_HEADER_BYTES = 64
export const FORMAT_VERSION = 1
/** "TMSG" as it lies in the file. */
const MAGIC = 0x47534d54

const VERSION_AT = 4
const SIZE_AT = 6
const ID_AT = 8
const PREDECESSOR_AT = 12
const BASE_AT = 16
const PREDECESSOR_END_AT = 24
const SEQUENCE_AT = 28
const PREVIOUS_TERM_AT = 32
const TERM_AT = 36
const PRIOR_TIME_AT = 40
const CREATED_AT = 46
const CRC_AT = 60

export interface SegmentHeader {
  /** Random and never zero: the salt of every entry header in this store. */
  readonly id: number
  /** The offset of the first entry, which is also the end offset of the predecessor. */
  readonly base: number
  /** How many segments this log had created before: of two that claim one place, the higher lives. */
  readonly sequence: number
  /** Id of the segment before this one; 0 if the log begins here. */
  readonly predecessor: number
  /** Where the predecessor ended, in bytes; what lies behind is dead. 0 if there is none. */
  readonly predecessorEnd: number
  /** Term of the entry before `base`; 0 if there never was one. */
  readonly previousTerm: number
  /** Term of the writer that created the segment. */
  readonly term: number
  /** The highest timestamp of any entry before `base`. */
  readonly priorTimestamp: number
  /** When the segment was created, ms since 1970. */
  readonly createdAt: number
}

export function encodeSegmentHeader(header: SegmentHeader): Uint8Array {
  const b = new Uint8Array(SEGMENT_HEADER_BYTES)
  setU32(b, 0, MAGIC)
  setU16(b, VERSION_AT, FORMAT_VERSION)
  setU16(b, SIZE_AT, SEGMENT_HEADER_BYTES)
  setU32(b, ID_AT, header.id)
  setU32(b, PREDECESSOR_AT, header.predecessor)
  setU64(b, BASE_AT, header.base)
  setU32(b, PREDECESSOR_END_AT, header.predecessorEnd)
  setU32(b, SEQUENCE_AT, header.sequence)
  setU32(b, PREVIOUS_TERM_AT, header.previousTerm)
  setU32(b, TERM_AT, header.term)
  setU48(b, PRIOR_TIME_AT, header.priorTimestamp)
  setU48(b, CREATED_AT, header.createdAt)
  setU32(b, CRC_AT, crc32(b, 0, CRC_AT))
  return b
}

/** The header, or a phrase that says what is wrong with it; `version` is set when it is only newer. */
export type SegmentHeaderResult =
  | { readonly header: SegmentHeader }
  | { readonly problem: string; readonly version?: number }

export function decodeSegmentHeader(b: Uint8Array): SegmentHeaderResult {
  if (b.length < SEGMENT_HEADER_BYTES) return { problem: `only ${b.length} bytes of header` }
  if (getU32(b, 0) !== MAGIC) return { problem: 'not a Tidemark store (wrong magic)' }
  if (getU32(b, CRC_AT) !== crc32(b, 0, CRC_AT)) return { problem: 'header checksum mismatch' }
  const version = getU16(b, VERSION_AT)
  if (version !== FORMAT_VERSION) return { problem: `format version ${version}`, version }
  const header: SegmentHeader = {
    id: getU32(b, ID_AT),
    base: getU64(b, BASE_AT),
    sequence: getU32(b, SEQUENCE_AT),
    predecessor: getU32(b, PREDECESSOR_AT),
    predecessorEnd: getU32(b, PREDECESSOR_END_AT),
    previousTerm: getU32(b, PREVIOUS_TERM_AT),
    term: getU32(b, TERM_AT),
    priorTimestamp: getU48(b, PRIOR_TIME_AT),
    createdAt: getU48(b, CREATED_AT),
  }
  const problem = headerProblem(header, getU16(b, SIZE_AT))
  return problem === undefined ? { header } : { problem }
}

/** What no writer writes is damage, though its checksum fits. */
function headerProblem(header: SegmentHeader, size: number): string | undefined {
  const { id, base, predecessor, predecessorEnd } = header
  if (size !== SEGMENT_HEADER_BYTES) return `a header of ${size} bytes`
  if (id === 0) return 'a segment without an id'
  if (base > OFFSET_MAX) return `it begins at offset ${base}`
  const isEndSound =
    predecessor === 0 ? predecessorEnd === 0 : predecessorEnd >= SEGMENT_HEADER_BYTES
  return isEndSound ? undefined : `the segment before it ends at position ${predecessorEnd}`
}
