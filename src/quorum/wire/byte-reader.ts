import { getU32, getU48, OFFSET_MAX } from '../../base/index.ts'
import { WireError } from './frame.ts'

/** Above it, the upper half of 64 bits makes a number that is not exact. */
const UPPER_MAX = 2 ** 21 - 1
const TWO_32 = 2 ** 32

/** Says that bytes are not what a member of this version sends. */
export function garbage(what: string): never {
  throw new WireError('garbage', what)
}

/** Reads what a `ByteWriter` wrote. Throws WireError where the bytes end too early or a value cannot be. */
export class ByteReader {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  u8(): number {
    return this.#bytes[this.#take(1)]!
  }

  u32(): number {
    return getU32(this.#bytes, this.#take(4))
  }

  u48(): number {
    return getU48(this.#bytes, this.#take(6))
  }

  u64(): number {
    const at = this.#take(8)
    const upper = getU32(this.#bytes, at + 4)
    if (upper > UPPER_MAX) garbage('a number of more than 53 bits')
    return upper * TWO_32 + getU32(this.#bytes, at)
  }

  /** A place in a log (8 bytes). */
  mark(): number {
    const mark = this.u64()
    if (mark > OFFSET_MAX) garbage(`the mark ${mark}`)
    return mark
  }

  /** How many follow (4 bytes), each of at least `bytesEach`: no more than there is room for. */
  count(bytesEach: number): number {
    const count = this.u32()
    const left = this.#bytes.length - this.#at
    if (count * bytesEach > left) garbage(`${count} items of ${bytesEach} bytes in ${left}`)
    return count
  }

  /** Length (4 bytes), then as many bytes: a view of them. */
  sized(): Buffer {
    const length = this.u32()
    const at = this.#take(length)
    return this.#bytes.subarray(at, at + length)
  }

  /** Throws unless everything was read. */
  end(): void {
    const left = this.#bytes.length - this.#at
    if (left > 0) garbage(`${left} bytes too many`)
  }

  #take(count: number): number {
    const at = this.#at
    if (count > this.#bytes.length - at) garbage(`${this.#bytes.length} bytes end too early`)
    this.#at = at + count
    return at
  }
}
