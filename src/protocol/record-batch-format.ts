// Kafka's record batch, format v2 (magic 2). All integers are big-endian.
//
//   byte  bytes  field
//      0      8  base offset            set by the broker; not under the CRC
//      8      4  length                 of what follows this field: 49 or more
//     12      4  leader epoch           set by the broker; not under the CRC
//     16      1  magic                  2; at the same place in the older formats
//     17      4  CRC-32C                of everything from `attributes` to the end
//     21      2  attributes             bits 0-2 compression, 3 log append time, 4 transactional,
//                                       5 control, 6 the base timestamp is a delete horizon
//     23      4  last offset delta      the last offset is the base offset and this one
//     27      8  base timestamp         milliseconds; -1: none
//     35      8  max timestamp
//     43      8  producer id            -1: none
//     51      2  producer epoch         -1: none
//     53      4  base sequence          -1: none
//     57      4  record count           0 if the cleaner has removed them all
//     61         the records            one after the other; compressed as one piece
//
// A record. Varints are zigzag, of 5 bytes at most, the varlong of 10:
//
//   varint   length of what follows
//   1 byte   attributes, unused
//   varlong  timestamp, less the base timestamp
//   varint   offset, less the base offset
//   varint   length of the key, -1: null; then the key
//   varint   length of the value, -1: null; then the value
//   varint   number of headers; then of each
//              varint   length of its key; then the key in UTF-8
//              varint   length of its value, -1: null; then the value
//
// The only record of a control batch has as key the 16-bit version 0 and a 16-bit type.

export interface RecordHeader {
  readonly key: string
  readonly value: Uint8Array | null
}

/** Bits of a batch's attributes that say how its records are compressed; 0: not at all. */
export type CompressionBits = 1 | 2 | 3 | 4

/** Bytes of a batch before its first record. */
export const RECORD_BATCH_HEADER_BYTES = 61
/** Bytes before and with the length field, which it does not count. */
export const LENGTH_END = 12
/** What the length field says of a batch without records. */
export const LENGTH_MIN = RECORD_BATCH_HEADER_BYTES - LENGTH_END
/** Lengths are signed 32-bit integers. */
export const LENGTH_MAX = 2 ** 31 - 1

export const MAGIC = 2

export const AT = {
  baseOffset: 0,
  length: 8,
  leaderEpoch: 12,
  magic: 16,
  crc: 17,
  attributes: 21,
  lastOffsetDelta: 23,
  baseTimestamp: 27,
  maxTimestamp: 35,
  producerId: 43,
  producerEpoch: 51,
  baseSequence: 53,
  recordCount: 57,
} as const

export const COMPRESSION_MASK = 0b111
export const COMPRESSION_BITS_MAX = 4
export const LOG_APPEND_TIME = 1 << 3
export const TRANSACTIONAL = 1 << 4
export const CONTROL = 1 << 5

/** Six fields of one byte each: the length of a record is not less. */
export const RECORD_LENGTH_MIN = 6
/** With the length itself. */
export const RECORD_BYTES_MIN = 7
/** Two lengths of one byte each: no header of a record is shorter. */
export const RECORD_HEADER_BYTES_MIN = 2

/** Version and type, which the key of a control record begins with. */
export const CONTROL_KEY_BYTES_MIN = 4
export const CONTROL_ABORT = 0
export const CONTROL_COMMIT = 1
