import { crc32 as nativeCrc32 } from 'node:zlib'
import { viewOf } from './bytes.ts'

// CRC-32 (IEEE 802.3, reflected polynomial 0xEDB88320), so that `zlib.crc32` gives the same value.
// Slicing-by-16 in JavaScript is faster than the call into zlib below about 500 bytes, and slower above.
// It reads words through a DataView, which is one load each and asks for no alignment.

const NATIVE_FROM_BYTES = 512
const SLICES = 16

/** SLICES tables of 256 words, one after the other; table k advances a byte by k further bytes. */
const TABLE = new Int32Array(SLICES * 256)
fillCrcTable(TABLE, 0xedb88320)

/** Fills the tables of a CRC with this reflected polynomial, as many slices as there is room for. */
export function fillCrcTable(table: Int32Array, polynomial: number): void {
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ polynomial : crc >>> 1
    table[byte] = crc
  }
  for (let at = 256; at < table.length; at++) {
    const previous = table[at - 256]!
    table[at] = (previous >>> 8) ^ table[previous & 0xff]!
  }
}

/**
 * CRC-32 of `bytes[start, end)`, continued from `seed` (a CRC, or any 32-bit salt), as an unsigned
 * 32-bit number. `crc32(b, m, e, crc32(b, s, m)) === crc32(b, s, e)`.
 */
export function crc32(bytes: Uint8Array, start = 0, end = bytes.length, seed = 0): number {
  if (end - start >= NATIVE_FROM_BYTES) return nativeCrc32(bytes.subarray(start, end), seed)
  return crc32Sliced(viewOf(bytes), start, end, seed)
}

/** {@link crc32} for whoever has a view at hand: making one costs as much as the sum of 128 bytes. */
export function crc32OfView(view: DataView, start: number, end: number, seed = 0): number {
  if (end - start < NATIVE_FROM_BYTES) return crc32Sliced(view, start, end, seed)
  return nativeCrc32(new Uint8Array(view.buffer, view.byteOffset + start, end - start), seed)
}

/** The JavaScript half of {@link crc32}; the same value for every length. */
export function crc32Sliced(b: DataView, start: number, end: number, seed: number): number {
  const t = TABLE
  let crc = ~seed
  let at = start
  for (; at + 16 <= end; at += 16) {
    const w0 = crc ^ b.getInt32(at, true)
    const w1 = b.getInt32(at + 4, true)
    const w2 = b.getInt32(at + 8, true)
    const w3 = b.getInt32(at + 12, true)
    crc =
      t[3840 | (w0 & 0xff)]! ^
      t[3584 | ((w0 >>> 8) & 0xff)]! ^
      t[3328 | ((w0 >>> 16) & 0xff)]! ^
      t[3072 | (w0 >>> 24)]! ^
      t[2816 | (w1 & 0xff)]! ^
      t[2560 | ((w1 >>> 8) & 0xff)]! ^
      t[2304 | ((w1 >>> 16) & 0xff)]! ^
      t[2048 | (w1 >>> 24)]! ^
      t[1792 | (w2 & 0xff)]! ^
      t[1536 | ((w2 >>> 8) & 0xff)]! ^
      t[1280 | ((w2 >>> 16) & 0xff)]! ^
      t[1024 | (w2 >>> 24)]! ^
      t[768 | (w3 & 0xff)]! ^
      t[512 | ((w3 >>> 8) & 0xff)]! ^
      t[256 | ((w3 >>> 16) & 0xff)]! ^
      t[w3 >>> 24]!
  }
  for (; at + 4 <= end; at += 4) {
    const w = crc ^ b.getInt32(at, true)
    crc =
      t[768 | (w & 0xff)]! ^
      t[512 | ((w >>> 8) & 0xff)]! ^
      t[256 | ((w >>> 16) & 0xff)]! ^
      t[w >>> 24]!
  }
  for (; at < end; at++) crc = (crc >>> 8) ^ t[(crc ^ b.getUint8(at)) & 0xff]!
  return ~crc >>> 0
}

/** Continues the bare register `crc`, not inverted, over the three words `w0`, `w1`, `w2`. */
export function crc32Words(crc: number, w0: number, w1: number, w2: number): number {
  const t = TABLE
  const w = crc ^ w0
  return (
    t[2816 | (w & 0xff)]! ^
    t[2560 | ((w >>> 8) & 0xff)]! ^
    t[2304 | ((w >>> 16) & 0xff)]! ^
    t[2048 | (w >>> 24)]! ^
    t[1792 | (w1 & 0xff)]! ^
    t[1536 | ((w1 >>> 8) & 0xff)]! ^
    t[1280 | ((w1 >>> 16) & 0xff)]! ^
    t[1024 | (w1 >>> 24)]! ^
    t[768 | (w2 & 0xff)]! ^
    t[512 | ((w2 >>> 8) & 0xff)]! ^
    t[256 | ((w2 >>> 16) & 0xff)]! ^
    t[w2 >>> 24]!
  )
}
