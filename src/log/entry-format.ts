import {
  crc32Of36,
  getU16,
  getU32,
  getU48,
  SEGMENT_OFFSETS_MAX,
  setU32,
  setU48,
} from '../base/index.ts'

// The layout of one entry in a store; docs/format.md is its page. A header of 40 bytes, little-endian,
// then the data. The header's CRC is seeded with the segment's id, so that bytes which belong
// elsewhere (an older life of the file, an entry inside an entry's data) are never taken for a header.

export const ENTRY_HEADER_BYTES = 40

const LSN = 0
const DATA_CRC = 4
const LENGTH = 8
const HEADER_CRC = 12
const TERM = 16
const COUNT = 20
const WITNESS = 24
const RESERVED = 28
const TIMESTAMP = 32
const TYPE = 38
const FLAGS = 39

/** More entries of the same atomic batch follow. */
const FLAG_MORE = 1

/** Zero is never a valid type, so unwritten space never parses as an entry. */
export const TYPE_INVALID = 0
/** Plain data. 1 to 127 are the system's. */
export const TYPE_DATA = 1
/** Stands for offsets that a repair has given up: its count says how many. Readers pass it. */
export const TYPE_LOST = 127
/** The first of the types that are the user's: 128 to 255. */
export const TYPE_USER_MIN = 128
export const TYPE_MAX = 255

/** What an entry is, apart from its data. */
export interface EntryKind {
  readonly type: number
  readonly term: number
  readonly timestamp: number
  readonly count: number
}

/** Writes the fields known at append. The header is not valid until {@link sealEntryHeader}. */
export function writeEntryFields(
  b: Uint8Array,
  at: number,
  kind: EntryKind,
  length: number,
  dataCrc: number,
  more: boolean,
): void {
  setU32(b, at + DATA_CRC, dataCrc)
  setU32(b, at + LENGTH, length)
  setU32(b, at + TERM, kind.term)
  setU32(b, at + COUNT, kind.count)
  setU32(b, at + RESERVED, 0)
  setU48(b, at + TIMESTAMP, kind.timestamp)
  b[at + TYPE] = kind.type
  b[at + FLAGS] = more ? FLAG_MORE : 0
}

/** Stamps where the entry goes and what was known to be synced then, and seals the header with its CRC. */
export function sealEntryHeader(
  b: Uint8Array,
  at: number,
  lsn: number,
  witness: number,
  salt: number,
): void {
  setU32(b, at + LSN, lsn)
  setU32(b, at + WITNESS, witness)
  setU32(b, at + HEADER_CRC, crc32Of36(b, at, salt))
}

export function entryLength(b: Uint8Array, at: number): number {
  return getU32(b, at + LENGTH)
}

export function entryCount(b: Uint8Array, at: number): number {
  return getU32(b, at + COUNT)
}

export function entryTimestamp(b: Uint8Array, at: number): number {
  return getU48(b, at + TIMESTAMP)
}

/** True if more entries of the same batch follow the one at `at`. */
export function entryHasMore(b: Uint8Array, at: number): boolean {
  return (b[at + FLAGS]! & FLAG_MORE) !== 0
}

/** A decoded header. One object is read into again and again, so that a scan allocates nothing. */
export class EntryHeader {
  lsn = 0
  dataCrc = 0
  length = 0
  term = 0
  count = 0
  witness = 0
  timestamp = 0
  type = 0
  more = false

  /**
   * Reads the header at `at`, which must have {@link ENTRY_HEADER_BYTES} bytes behind it. False if it
   * is not a sound header of the segment whose id is `salt`; then the fields are not to be used.
   */
  read(b: Uint8Array, at: number, salt: number): boolean {
    if (b[at + TYPE] === TYPE_INVALID) return false
    if (getU32(b, at + HEADER_CRC) !== crc32Of36(b, at, salt)) return false
    this.readChecked(b, at)
    // What no writer writes is not believed, though its checksum fits.
    return (
      this.count > 0 &&
      this.lsn + this.count <= SEGMENT_OFFSETS_MAX &&
      this.witness <= this.lsn &&
      b[at + FLAGS]! <= FLAG_MORE &&
      getU32(b, at + RESERVED) === 0
    )
  }

  /** Reads the header at `at`, of bytes in memory that {@link read} has found sound before. */
  readChecked(b: Uint8Array, at: number): void {
    this.lsn = getU32(b, at + LSN)
    this.dataCrc = getU32(b, at + DATA_CRC)
    this.length = getU32(b, at + LENGTH)
    this.term = getU32(b, at + TERM)
    this.count = getU32(b, at + COUNT)
    this.witness = getU32(b, at + WITNESS)
    this.timestamp = getU48(b, at + TIMESTAMP)
    this.type = b[at + TYPE]!
    this.more = b[at + FLAGS]! === FLAG_MORE
  }

  /** Bytes from this header to the next. */
  get size(): number {
    return ENTRY_HEADER_BYTES + this.length
  }
}

/**
 * A cheap test, before any CRC, of whether a header could begin at `at`: most positions of a damaged
 * stretch fail it. `room` is the number of bytes from `at` to the end of the file.
 */
export function mayBeHeader(b: Uint8Array, at: number, room: number, lsnMin: number): boolean {
  return (
    b[at + TYPE] !== TYPE_INVALID &&
    getU32(b, at + RESERVED) === 0 &&
    b[at + FLAGS]! <= FLAG_MORE &&
    getU32(b, at + LENGTH) <= room - ENTRY_HEADER_BYTES &&
    getU32(b, at + LSN) >= lsnMin &&
    getU32(b, at + WITNESS) <= getU32(b, at + LSN) &&
    getU16(b, at + COUNT) + b[at + COUNT + 2]! + b[at + COUNT + 3]! !== 0
  )
}
