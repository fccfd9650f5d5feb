import { setU32, setU48 } from '../base/index.ts'

/** Grows as it is written: for the parts of a snapshot whose length is not known beforehand. */
export class BytesOut {
  #bytes = Buffer.allocUnsafe(1024)
  #length = 0

  get length(): number {
    return this.#length
  }

  u8(value: number): void {
    this.#room(1)
    this.#bytes[this.#length++] = value
  }

  u32(value: number): void {
    this.#room(4)
    setU32(this.#bytes, this.#length, value)
    this.#length += 4
  }

  u48(value: number): void {
    this.#room(6)
    setU48(this.#bytes, this.#length, value)
    this.#length += 6
  }

  /** Length, then bytes. */
  sized(bytes: Uint8Array): void {
    this.u32(bytes.length)
    this.#room(bytes.length)
    this.#bytes.set(bytes, this.#length)
    this.#length += bytes.length
  }

  done(): Buffer {
    return this.#bytes.subarray(0, this.#length)
  }

  #room(count: number): void {
    if (this.#length + count <= this.#bytes.length) return
    const larger = Buffer.allocUnsafe(Math.max(2 * this.#bytes.length, this.#length + count))
    larger.set(this.done())
    this.#bytes = larger
  }
}
