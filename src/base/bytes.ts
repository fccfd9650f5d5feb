// Little-endian integers in byte arrays, all as JavaScript numbers. 64-bit fields hold values below
// 2^53 (offsets, asserted where they are made), so no BigInt is needed on a hot path.

const TWO_32 = 0x1_0000_0000

export function getU16(b: Uint8Array, at: number): number {
  return b[at]! | (b[at + 1]! << 8)
}

export function setU16(b: Uint8Array, at: number, value: number): void {
  b[at] = value
  b[at + 1] = value >>> 8
}

export function getU32(b: Uint8Array, at: number): number {
  return (b[at]! | (b[at + 1]! << 8) | (b[at + 2]! << 16) | (b[at + 3]! << 24)) >>> 0
}

export function setU32(b: Uint8Array, at: number, value: number): void {
  b[at] = value
  b[at + 1] = value >>> 8
  b[at + 2] = value >>> 16
  b[at + 3] = value >>> 24
}

export function getU48(b: Uint8Array, at: number): number {
  return getU16(b, at + 4) * TWO_32 + getU32(b, at)
}

export function setU48(b: Uint8Array, at: number, value: number): void {
  setU32(b, at, value % TWO_32)
  setU16(b, at + 4, Math.floor(value / TWO_32))
}

/** Reads a 64-bit unsigned integer. Above 2^53 the result is not exact, and is not a valid offset. */
export function getU64(b: Uint8Array, at: number): number {
  return getU32(b, at + 4) * TWO_32 + getU32(b, at)
}

export function setU64(b: Uint8Array, at: number, value: number): void {
  setU32(b, at, value % TWO_32)
  setU32(b, at + 4, Math.floor(value / TWO_32))
}

/** A view of the same memory. Hot paths keep one for each buffer: reading words through it is one load. */
export function viewOf(b: Uint8Array): DataView {
  return new DataView(b.buffer, b.byteOffset, b.byteLength)
}

/** The first position in `[start, end)` whose byte is not zero, or `end`. */
export function skipZeros(b: Uint8Array, start: number, end: number): number {
  let at = start
  while (at + 8 <= end) {
    const any =
      b[at]! |
      b[at + 1]! |
      b[at + 2]! |
      b[at + 3]! |
      b[at + 4]! |
      b[at + 5]! |
      b[at + 6]! |
      b[at + 7]!
    if (any !== 0) break
    at += 8
  }
  while (at < end && b[at] === 0) at++
  return at
}
