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

/**
 * The bytes that were read last, and their view: reading 32 bits at a time is a third faster than byte
 * by byte, and making a view costs as much as the checksum of a short entry.
 */
let viewed: Uint8Array = new Uint8Array(0)
let view = new DataView(viewed.buffer)

function viewOf(b: Uint8Array): DataView {
  if (b !== viewed) {
    view = new DataView(b.buffer, b.byteOffset, b.byteLength)
    viewed = b
  }
  return view
}

/** Advances by 16 bytes, as four words, of which the first has been combined with the CRC before. */
function fold16(a: number, b: number, c: number, d: number): number {
  const t = TABLE
  return (
    t[3840 | (a & 0xff)]! ^
    t[3584 | ((a >>> 8) & 0xff)]! ^
    t[3328 | ((a >>> 16) & 0xff)]! ^
    t[3072 | (a >>> 24)]! ^
    t[2816 | (b & 0xff)]! ^
    t[2560 | ((b >>> 8) & 0xff)]! ^
    t[2304 | ((b >>> 16) & 0xff)]! ^
    t[2048 | (b >>> 24)]! ^
    t[1792 | (c & 0xff)]! ^
    t[1536 | ((c >>> 8) & 0xff)]! ^
    t[1280 | ((c >>> 16) & 0xff)]! ^
    t[1024 | (c >>> 24)]! ^
    t[768 | (d & 0xff)]! ^
    t[512 | ((d >>> 8) & 0xff)]! ^
    t[256 | ((d >>> 16) & 0xff)]! ^
    t[d >>> 24]!
  )
}

function fold4(a: number): number {
  const t = TABLE
  return (
    t[768 | (a & 0xff)]! ^
    t[512 | ((a >>> 8) & 0xff)]! ^
    t[256 | ((a >>> 16) & 0xff)]! ^
    t[a >>> 24]!
  )
}

/** The JavaScript half of {@link crc32}; the same value for every length. */
export function crc32Sliced(b: Uint8Array, start: number, end: number, seed: number): number {
  const v = viewOf(b)
  let crc = ~seed
  let at = start
  for (; at + 16 <= end; at += 16) {
    crc = fold16(
      v.getInt32(at, true) ^ crc,
      v.getInt32(at + 4, true),
      v.getInt32(at + 8, true),
      v.getInt32(at + 12, true),
    )
  }
  for (; at + 4 <= end; at += 4) crc = fold4(v.getInt32(at, true) ^ crc)
  for (; at < end; at++) crc = (crc >>> 8) ^ TABLE[(crc ^ b[at]!) & 0xff]!
  return ~crc >>> 0
}

/**
 * CRC-32 of the 40 bytes at `at` without the four at `at + 12`: of an entry's header, which holds its own
 * checksum there. The same as two calls of {@link crc32Sliced}, and half as long.
 */
export function crc32Of36(b: Uint8Array, at: number, seed: number): number {
  const v = viewOf(b)
  const before = fold16(
    v.getInt32(at, true) ^ ~seed,
    v.getInt32(at + 4, true),
    v.getInt32(at + 8, true),
    v.getInt32(at + 16, true),
  )
  const behind = fold16(
    v.getInt32(at + 20, true) ^ before,
    v.getInt32(at + 24, true),
    v.getInt32(at + 28, true),
    v.getInt32(at + 32, true),
  )
  return ~fold4(v.getInt32(at + 36, true) ^ behind) >>> 0
}
