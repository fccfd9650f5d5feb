import { getU16, getU32, getU48, setU16, setU32, setU48 } from '../base/index.ts'

// A record of the table, in memory and in snapshots alike: 8 bytes (length of the value, length of the key,
// flags), 8 bytes with the time of its end if it has one, the key, the value, and up to 7 bytes so that the next
// begins at a multiple of 8. docs/format.md has the page of snapshots.

export const RECORD_HEADER_BYTES = 8
const EXPIRY_BYTES = 8
const HAS_EXPIRY = 1
export const KEY_BYTES_MAX = 0xffff
/** A value fits into an entry of the log, and so does the command around it. */
export const VALUE_BYTES_MAX = 512 * 1024 * 1024
/** A record that never ends. */
export const NEVER = Number.POSITIVE_INFINITY

export function recordBytes(keyBytes: number, valueBytes: number, expiry: number): number {
  const head = RECORD_HEADER_BYTES + (expiry === NEVER ? 0 : EXPIRY_BYTES)
  return (head + keyBytes + valueBytes + 7) & ~7
}

/** A key and its value, one behind the other in some bytes: nothing is made of them to copy them. */
export interface Pair {
  readonly bytes: Buffer
  readonly from: number
  readonly keyBytes: number
  readonly valueBytes: number
}

export function pairOf(key: Uint8Array, value: Uint8Array): Pair {
  const bytes = Buffer.concat([key, value])
  return { bytes, from: 0, keyBytes: key.length, valueBytes: value.length }
}

/** The key and the value of a record. */
export function pairAt(b: Buffer, at: number): Pair {
  const keyBytes = getU16(b, at + 4)
  return { bytes: b, from: keyStart(b, at), keyBytes, valueBytes: getU32(b, at) }
}

export function writeRecord(b: Uint8Array, at: number, pair: Pair, expiry: number): void {
  const { bytes, from, keyBytes, valueBytes } = pair
  setU32(b, at, valueBytes)
  setU16(b, at + 4, keyBytes)
  setU16(b, at + 6, expiry === NEVER ? 0 : HAS_EXPIRY)
  let to = at + RECORD_HEADER_BYTES
  if (expiry !== NEVER) {
    setU48(b, to, expiry)
    setU16(b, to + 6, 0)
    to += EXPIRY_BYTES
  }
  const end = to + keyBytes + valueBytes
  b.set(bytes.subarray(from, from + keyBytes + valueBytes), to)
  // Invariant: equal records have equal bytes, also between them, and what lay in memory before goes into no file.
  const next = at + recordBytes(keyBytes, valueBytes, expiry)
  for (let i = end; i < next; i++) b[i] = 0
}

/** Bytes that the record at `at` takes up. */
export function lengthAt(b: Uint8Array, at: number): number {
  return recordBytes(getU16(b, at + 4), getU32(b, at), hasExpiry(b, at) ? 0 : NEVER)
}

export function expiryAt(b: Uint8Array, at: number): number {
  return hasExpiry(b, at) ? getU48(b, at + RECORD_HEADER_BYTES) : NEVER
}

export function keyAt(b: Buffer, at: number): Buffer {
  const from = keyStart(b, at)
  return b.subarray(from, from + getU16(b, at + 4))
}

export function valueAt(b: Buffer, at: number): Buffer {
  const from = keyStart(b, at) + getU16(b, at + 4)
  return b.subarray(from, from + getU32(b, at))
}

/** True if the record's key is what lies in `[from, to)` of some bytes. */
export function isKeyAt(
  b: Uint8Array,
  at: number,
  bytes: Uint8Array,
  from: number,
  to: number,
): boolean {
  if (getU16(b, at + 4) !== to - from) return false
  const shift = keyStart(b, at) - from
  for (let i = from; i < to; i++) if (b[shift + i] !== bytes[i]) return false
  return true
}

/** What is wrong with the first 8 bytes of a record; undefined if nothing is. */
export function problemAt(b: Uint8Array, at: number): string | undefined {
  if (getU16(b, at + 6) > HAS_EXPIRY) return `flags ${getU16(b, at + 6)}`
  if (getU32(b, at) > VALUE_BYTES_MAX) return `a value of ${getU32(b, at)} bytes`
  return undefined
}

function hasExpiry(b: Uint8Array, at: number): boolean {
  return b[at + 6] === HAS_EXPIRY
}

function keyStart(b: Uint8Array, at: number): number {
  return at + RECORD_HEADER_BYTES + (hasExpiry(b, at) ? EXPIRY_BYTES : 0)
}
