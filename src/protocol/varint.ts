// Kafka's variable-length integers: seven bits in a byte, the lowest first, the sign in the lowest bit
// (zigzag). A varint has 32 bits, a varlong 64. Both are JavaScript numbers: a varlong beyond 2^53 reads
// as the nearest number there is.

export const VARINT_BYTES_MAX = 5
export const VARLONG_BYTES_MAX = 10

const TWO_27 = 2 ** 27
const TWO_30 = 2 ** 30
const TWO_55 = 2 ** 55

/** Bytes that the 32-bit integer `value` takes. */
export function varintBytes(value: number): number {
  const z = ((value << 1) ^ (value >> 31)) >>> 0
  if (z < 0x80) return 1
  if (z < 0x4000) return 2
  if (z < 0x20_0000) return 3
  return z < 0x1000_0000 ? 4 : 5
}

/** Writes the 32-bit integer `value`, and returns the position behind it. */
export function writeVarint(b: Uint8Array, at: number, value: number): number {
  let z = ((value << 1) ^ (value >> 31)) >>> 0
  while (z >= 0x80) {
    b[at++] = z | 0x80
    z >>>= 7
  }
  b[at++] = z
  return at
}

function isShort(value: number): boolean {
  return value >= -TWO_30 && value < TWO_30
}

/** Zigzag in floating point; exact, because no value is beyond 2^52. */
function zigzag(value: number): number {
  return value < 0 ? -2 * value - 1 : 2 * value
}

/** Bytes that the integer `value`, of 52 bits and a sign at most, takes. */
export function varlongBytes(value: number): number {
  if (isShort(value)) return varintBytes(value)
  let count = 1
  for (let z = zigzag(value); z >= 0x80; z = Math.floor(z / 0x80)) count++
  return count
}

/** Writes the integer `value`, of 52 bits and a sign at most, and returns the position behind it. */
export function writeVarlong(b: Uint8Array, at: number, value: number): number {
  if (isShort(value)) return writeVarint(b, at, value)
  let z = zigzag(value)
  while (z >= 0x80) {
    b[at++] = (z % 0x80) | 0x80
    z = Math.floor(z / 0x80)
  }
  b[at++] = z
  return at
}

/** Reads varints one after the other. What cannot be one is reported to `fail`, which must throw. */
export class VarintReader {
  readonly bytes: Buffer
  /** The next byte to be read. */
  at = 0
  /** No varint may reach beyond this; at most the length of `bytes`. */
  end: number
  readonly #fail: (problem: string) => never

  constructor(bytes: Buffer, fail: (problem: string) => never) {
    this.bytes = bytes
    this.end = bytes.length
    this.#fail = fail
  }

  varint(): number {
    if (this.at < this.end) {
      const first = this.bytes[this.at]!
      if (first < 0x80) {
        this.at++
        return (first >>> 1) ^ -(first & 1)
      }
    }
    let z = 0
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.#next()
      z |= (byte & 0x7f) << shift
      if (byte < 0x80) return (z >>> 1) ^ -(z & 1)
    }
    const last = this.#next()
    if (last > 0x0f) this.#fail('a varint of more than 32 bits')
    z |= last << 28
    return (z >>> 1) ^ -(z & 1)
  }

  varlong(): number {
    const low = this.#part(4)
    if (!this.#isContinued) return (low >>> 1) ^ -(low & 1)
    const middle = this.#part(4)
    const high = this.#isContinued ? this.#part(2) : 0
    if (this.#isContinued || high > 0xff) this.#fail('a varlong of more than 64 bits')
    const half = (low >>> 1) + middle * TWO_27 + high * TWO_55
    return low & 1 ? -half - 1 : half
  }

  #isContinued = false

  /** The next seven bits of up to `count` bytes. */
  #part(count: number): number {
    let z = 0
    for (let shift = 0; shift < 7 * count; shift += 7) {
      const byte = this.#next()
      z |= (byte & 0x7f) << shift
      this.#isContinued = byte >= 0x80
      if (!this.#isContinued) break
    }
    return z
  }

  #next(): number {
    if (this.at >= this.end) this.#fail('a varint that is cut short')
    return this.bytes[this.at++]!
  }
}
