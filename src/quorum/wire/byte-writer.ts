import { invariant, setU32, setU48, setU64 } from '../../base/index.ts'

const U48_MAX = 2 ** 48 - 1

/** Bytes that grow as they are written, little-endian. A value that does not fit its field is a fault of who writes. */
export class ByteWriter {
  #bytes: Buffer
  #length = 0

  /** `room`: how many bytes there will be, as far as is known. */
  constructor(room = 256) {
    this.#bytes = Buffer.allocUnsafe(room)
  }

  u8(value: number): void {
    if ((value & 0xff) !== value) misfit(value, 8)
    const at = this.#take(1)
    this.#bytes[at] = value
  }

  u32(value: number): void {
    if (value >>> 0 !== value) misfit(value, 32)
    const at = this.#take(4)
    setU32(this.#bytes, at, value)
  }

  u48(value: number): void {
    if (!Number.isSafeInteger(value) || value < 0 || value > U48_MAX) misfit(value, 48)
    const at = this.#take(6)
    setU48(this.#bytes, at, value)
  }

  /** Only what a number can hold exactly. */
  u64(value: number): void {
    if (!Number.isSafeInteger(value) || value < 0) misfit(value, 64)
    const at = this.#take(8)
    setU64(this.#bytes, at, value)
  }

  /** Length (4 bytes), then the bytes. */
  sized(bytes: Uint8Array): void {
    this.u32(bytes.length)
    const at = this.#take(bytes.length)
    this.#bytes.set(bytes, at)
  }

  /** Everything that was written. Nothing is written after it. */
  done(): Buffer {
    return this.#bytes.subarray(0, this.#length)
  }

  /** Where the next `count` bytes go. */
  #take(count: number): number {
    const at = this.#length
    this.#length += count
    if (this.#length > this.#bytes.length) this.#grow(at)
    return at
  }

  #grow(filled: number): void {
    const larger = Buffer.allocUnsafe(Math.max(2 * this.#bytes.length, this.#length))
    this.#bytes.copy(larger, 0, 0, filled)
    this.#bytes = larger
  }
}

function misfit(value: number, bits: number): never {
  invariant(false, `${value} fits into ${bits} bits`)
  throw value
}
