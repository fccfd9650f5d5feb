import { crc32, getU32, getU64, setU32, setU64 } from '../base/index.ts'

// The marks file: 32 bytes, overwritten in place after a sync (throttled) and never itself synced.
// It can be lost or torn by a crash, and then says nothing; what it says when its checksum holds was
// true when it was written. docs/format.md is its page.

export const MARKS_BYTES = 32
/** "TMMK" as it lies in the file. */
const MAGIC = 0x4b4d4d54

const SEGMENT_AT = 4
const SYNCED_AT = 8
const HIGH_WATER_MARK_AT = 16
const WRITER_AT = 24
const CRC_AT = 28

export interface Marks {
  /**
   * The active segment when this was written. The synced mark is evidence for that segment alone:
   * after a cut a new segment takes over, and what was synced behind the cut proves nothing.
   */
  readonly segmentId: number
  /** Every entry below was on the disk. */
  readonly synced: number
  /** Readers in other processes may see every entry below. */
  readonly highWaterMark: number
  /** {@link writerStamp} of the writer that wrote this; 0 if it was no writer, but a backup or a repair. */
  readonly writer: number
}

/**
 * Tells a writer from those before it, by its lock's token. The marks that a dead one left say nothing
 * to readers while the next one is still finding out what became of the entries.
 */
export function writerStamp(token: string): number {
  return crc32(new TextEncoder().encode(token))
}

export function encodeMarks(marks: Marks): Uint8Array {
  const b = new Uint8Array(MARKS_BYTES)
  setU32(b, 0, MAGIC)
  setU32(b, SEGMENT_AT, marks.segmentId)
  setU64(b, SYNCED_AT, marks.synced)
  setU64(b, HIGH_WATER_MARK_AT, marks.highWaterMark)
  setU32(b, WRITER_AT, marks.writer)
  setU32(b, CRC_AT, crc32(b, 0, CRC_AT))
  return b
}

/** The marks, or undefined if these bytes hold none. */
export function decodeMarks(b: Uint8Array): Marks | undefined {
  if (b.length !== MARKS_BYTES || getU32(b, 0) !== MAGIC) return undefined
  if (getU32(b, CRC_AT) !== crc32(b, 0, CRC_AT)) return undefined
  return {
    segmentId: getU32(b, SEGMENT_AT),
    synced: getU64(b, SYNCED_AT),
    highWaterMark: getU64(b, HIGH_WATER_MARK_AT),
    writer: getU32(b, WRITER_AT),
  }
}
