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

// A cursor's file: three slots of 40 bytes, a page apart, so that a write to one never touches a sector
// or a page of another. The sound slot with the highest sequence holds the position. A commit goes to a
// slot that holds neither the newest record known to be on the disk nor one that is being synced, so
// a torn write costs the commit that was under way, and nothing before it. docs/format.md is its page.

export const CURSOR_SLOTS = 3
export const CURSOR_SLOT_BYTES = 40
export const CURSOR_SLOT_STRIDE = 4096
export const CURSOR_BYTES = (CURSOR_SLOTS - 1) * CURSOR_SLOT_STRIDE + CURSOR_SLOT_BYTES
const CURSOR_VERSION = 1
/** "TMCU" as it lies in the file. */
const MAGIC = 0x55434d54

const VERSION_AT = 4
const SEQUENCE_AT = 8
const POSITION_AT = 16
const TIME_AT = 24
const CRC_AT = 36

/** What one slot says. */
export interface CursorRecord {
  /** One more with each commit. */
  readonly sequence: number
  /** The offset of the first entry that is not done. */
  readonly position: number
  /** When it was committed, in ms since 1970. */
  readonly committedAt: number
}

/** The newest record and the slot it lies in, or what is wrong; `version` is set when it is only newer. */
export type CursorResult =
  | { readonly record: CursorRecord; readonly slot: number }
  | { readonly problem: string; readonly version?: number }

export function encodeSlot(record: CursorRecord): Uint8Array {
  const b = new Uint8Array(CURSOR_SLOT_BYTES)
  setU32(b, 0, MAGIC)
  setU16(b, VERSION_AT, CURSOR_VERSION)
  setU64(b, SEQUENCE_AT, record.sequence)
  setU64(b, POSITION_AT, record.position)
  setU48(b, TIME_AT, record.committedAt)
  setU32(b, CRC_AT, crc32(b, 0, CRC_AT))
  return b
}

/** A whole file: the record in its first slot, and its forerunners, which say the same, in the others. */
export function encodeCursor(record: CursorRecord): Uint8Array {
  const b = new Uint8Array(CURSOR_BYTES)
  for (let slot = 0; slot < CURSOR_SLOTS; slot++) {
    const sequence = Math.max(0, record.sequence - slot)
    b.set(encodeSlot({ ...record, sequence }), slot * CURSOR_SLOT_STRIDE)
  }
  return b
}

/** Reads the newest sound slot. Bytes that are not there make a slot that is not sound. */
export function decodeCursor(b: Uint8Array): CursorResult {
  let newest: { record: CursorRecord; slot: number } | undefined
  let newer: number | undefined
  for (let slot = 0; slot < CURSOR_SLOTS; slot++) {
    const at = slot * CURSOR_SLOT_STRIDE
    if (!isSealed(b, at)) continue
    const version = getU16(b, at + VERSION_AT)
    if (version !== CURSOR_VERSION) newer = version
    const record = recordAt(b, at)
    if (record.position > OFFSET_MAX || record.sequence > OFFSET_MAX) continue
    if (!newest || record.sequence > newest.record.sequence) newest = { record, slot }
  }
  if (newer !== undefined) return { problem: `cursor version ${newer}`, version: newer }
  return newest ?? { problem: `none of its ${CURSOR_SLOTS} slots is sound` }
}

function isSealed(b: Uint8Array, at: number): boolean {
  if (at + CURSOR_SLOT_BYTES > b.length || getU32(b, at) !== MAGIC) return false
  return getU32(b, at + CRC_AT) === crc32(b, at, at + CRC_AT)
}

function recordAt(b: Uint8Array, at: number): CursorRecord {
  return {
    sequence: getU64(b, at + SEQUENCE_AT),
    position: getU64(b, at + POSITION_AT),
    committedAt: getU48(b, at + TIME_AT),
  }
}
