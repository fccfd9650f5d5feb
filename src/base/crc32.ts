import { crc32 as nativeCrc32 } from 'node:zlib'

// CRC-32 (IEEE 802.3, reflected polynomial 0xEDB88320), so that `zlib.crc32` gives the same value.
// Slicing-by-16 in JavaScript is faster than the call into zlib below about 500 bytes, and slower above.

const NATIVE_FROM_BYTES = 512
const SLICES = 16

/** SLICES tables of 256 words, one after the other; table k advances a byte by k further bytes. */
const TABLE = makeTable()

function makeTable(): Int32Array {
  const table = new Int32Array(SLICES * 256)
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1
    table[byte] = crc
  }
  for (let at = 256; at < table.length; at++) {
    const previous = table[at - 256]!
    table[at] = (previous >>> 8) ^ table[previous & 0xff]!
  }
  return table
}

/**
 * CRC-32 of `bytes[start, end)`, continued from `seed` (a CRC, or any 32-bit salt), as an unsigned
 * 32-bit number. `crc32(b, m, e, crc32(b, s, m)) === crc32(b, s, e)`.
 */
export function crc32(bytes: Uint8Array, start = 0, end = bytes.length, seed = 0): number {
  if (end - start >= NATIVE_FROM_BYTES) return nativeCrc32(bytes.subarray(start, end), seed)
  return crc32Sliced(bytes, start, end, seed)
}

/** The JavaScript half of {@link crc32}; the same value for every length. */
export function crc32Sliced(b: Uint8Array, start: number, end: number, seed: number): number {
  const t = TABLE
  let crc = ~seed
  let at = start
  for (; at + 16 <= end; at += 16) {
    crc =
      t[3840 | (b[at]! ^ (crc & 0xff))]! ^
      t[3584 | (b[at + 1]! ^ ((crc >>> 8) & 0xff))]! ^
      t[3328 | (b[at + 2]! ^ ((crc >>> 16) & 0xff))]! ^
      t[3072 | (b[at + 3]! ^ (crc >>> 24))]! ^
      t[2816 | b[at + 4]!]! ^
      t[2560 | b[at + 5]!]! ^
      t[2304 | b[at + 6]!]! ^
      t[2048 | b[at + 7]!]! ^
      t[1792 | b[at + 8]!]! ^
      t[1536 | b[at + 9]!]! ^
      t[1280 | b[at + 10]!]! ^
      t[1024 | b[at + 11]!]! ^
      t[768 | b[at + 12]!]! ^
      t[512 | b[at + 13]!]! ^
      t[256 | b[at + 14]!]! ^
      t[b[at + 15]!]!
  }
  for (; at + 4 <= end; at += 4) {
    crc =
      t[768 | (b[at]! ^ (crc & 0xff))]! ^
      t[512 | (b[at + 1]! ^ ((crc >>> 8) & 0xff))]! ^
      t[256 | (b[at + 2]! ^ ((crc >>> 16) & 0xff))]! ^
      t[b[at + 3]! ^ (crc >>> 24)]!
  }
  for (; at < end; at++) crc = (crc >>> 8) ^ t[(crc ^ b[at]!) & 0xff]!
  return ~crc >>> 0
}
