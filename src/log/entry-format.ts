import { crc32Words, getU16, getU32, SEGMENT_OFFSETS_MAX } from '../base/index.ts'

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
const TWO_32 = 2 ** 32

/** Zero is never a valid type, so unwritten space never parses as an entry. */
export const TYPE_INVALID = 0
/** Plain data. 1 to 127 are the system's. */
export const TYPE_DATA = 1
/** Stands for offsets that a repair has given up: its count says how many. Readers pass it. */
export const TYPE_LOST = 127
/** The first of the types that are the user's: 128 to 255. */
export const TYPE_USER_MIN = 128
export const TYPE_MAX = 255

/** True for what the system itself puts into a log: neither plain data nor of a user's type. */
export function isSystemType(type: number): boolean {
  return type > TYPE_DATA && type < TYPE_USER_MIN
}

/** What an entry is, apart from its data. */
export interface EntryKind {
  readonly type: number
  readonly term: number
  readonly timestamp: number
  readonly count: number
}

/** Writes the fields known at append. The header is not valid until {@link sealEntryHeader}. */
export function writeEntryFields(
  b: DataView,
  at: number,
  kind: EntryKind,
  length: number,
  dataCrc: number,
  more: boolean,
): void {
  const { timestamp } = kind
  b.setUint32(at + DATA_CRC, dataCrc, true)
  b.setUint32(at + LENGTH, length, true)
  b.setUint32(at + TERM, kind.term, true)
  b.setUint32(at + COUNT, kind.count, true)
  b.setUint32(at + RESERVED, 0, true)
  b.setUint32(at + TIMESTAMP, timestamp % TWO_32, true)
  b.setUint16(at + TIMESTAMP + 4, Math.floor(timestamp / TWO_32), true)
  b.setUint8(at + TYPE, kind.type)
  b.setUint8(at + FLAGS, more ? FLAG_MORE : 0)
}

/** Stamps where the entry goes and what was known to be synced then, and seals the header with its CRC. */
export function sealEntryHeader(
  b: DataView,
  at: number,
  lsn: number,
  witness: number,
  salt: number,
): void {
  b.setUint32(at + LSN, lsn, true)
  b.setUint32(at + WITNESS, witness, true)
  b.setInt32(at + HEADER_CRC, headerCrc(b, at, salt), true)
}

/** The CRC of the 36 bytes around its own field, as a signed word. */
function headerCrc(b: DataView, at: number, salt: number): number {
  const head = crc32Words(
    ~salt,
    b.getInt32(at + LSN, true),
    b.getInt32(at + DATA_CRC, true),
    b.getInt32(at + LENGTH, true),
  )
  const body = crc32Words(
    head,
    b.getInt32(at + TERM, true),
    b.getInt32(at + COUNT, true),
    b.getInt32(at + WITNESS, true),
  )
  const tail = crc32Words(
    body,
    b.getInt32(at + RESERVED, true),
    b.getInt32(at + TIMESTAMP, true),
    b.getInt32(at + TIMESTAMP + 4, true),
  )
  return ~tail
}

export function entryLength(b: DataView, at: number): number {
  return b.getUint32(at + LENGTH, true)
}

export function entryCount(b: DataView, at: number): number {
  return b.getUint32(at + COUNT, true)
}

export function entryTimestamp(b: DataView, at: number): number {
  return b.getUint16(at + TIMESTAMP + 4, true) * TWO_32 + b.getUint32(at + TIMESTAMP, true)
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
  read(b: DataView, at: number, salt: number): boolean {
    if (b.getUint8(at + TYPE) === TYPE_INVALID) return false
    if (b.getInt32(at + HEADER_CRC, true) !== headerCrc(b, at, salt)) return false
    this.readChecked(b, at)
    // What no writer writes is not believed, though its checksum fits.
    return (
      this.count > 0 &&
      this.lsn + this.count <= SEGMENT_OFFSETS_MAX &&
      this.witness <= this.lsn &&
      b.getUint8(at + FLAGS) <= FLAG_MORE &&
      b.getUint32(at + RESERVED, true) === 0
    )
  }

  /** Reads a header that {@link read} has found sound, in bytes that have not changed since. */
  readChecked(b: DataView, at: number): void {
    this.lsn = b.getUint32(at + LSN, true)
    this.dataCrc = b.getUint32(at + DATA_CRC, true)
    this.length = b.getUint32(at + LENGTH, true)
    this.term = b.getUint32(at + TERM, true)
    this.count = b.getUint32(at + COUNT, true)
    this.witness = b.getUint32(at + WITNESS, true)
    this.timestamp = entryTimestamp(b, at)
    this.type = b.getUint8(at + TYPE)
    this.more = (b.getUint8(at + FLAGS) & FLAG_MORE) !== 0
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
