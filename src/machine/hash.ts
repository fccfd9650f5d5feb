// MurmurHash3 for 32 bits (Austin Appleby, public domain), over bytes. For the table: what it gives is never
// written anywhere.

const C1 = 0xcc9e2d51
const C2 = 0x1b873593

/** A number of 32 bits, without a sign, of the bytes in `[from, to)`. */
export function hashOf(bytes: Uint8Array, from: number, to: number): number {
  const whole = from + ((to - from) & ~3)
  let h = 0
  for (let at = from; at < whole; at += 4) {
    const word =
      bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
    h ^= mixed(word)
    h = (h << 13) | (h >>> 19)
    h = (Math.imul(h, 5) + 0xe6546b64) | 0
  }
  let tail = 0
  for (let at = to - 1; at >= whole; at--) tail = (tail << 8) | bytes[at]!
  if (whole < to) h ^= mixed(tail)
  h ^= to - from
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}

function mixed(word: number): number {
  const k = Math.imul(word, C1)
  return Math.imul((k << 15) | (k >>> 17), C2)
}
