import { getU32, getU48, TidemarkError } from '../base/index.ts'

const NOTHING: Uint8Array = new Uint8Array(0)

/** Reads what {@link BytesOut} wrote. Every length is checked against what is there before it is used. */
export class BytesIn {
  readonly #bytes: Uint8Array
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length
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

  sized(): Uint8Array {
    const length = this.u32()
    const at = this.#take(length)
    // A copy, also of a Buffer: a view would keep the whole head in memory.
    return new Uint8Array(this.#bytes.subarray(at, at + length))
  }

  #take(count: number): number {
    const at = this.#at
    if (at + count > this.#bytes.length) {
      throw new TidemarkError('CORRUPT', 'the snapshot of a state machine ends too early')
    }
    this.#at += count
    return at
  }
}

/** Chunks of any size, from which the first bytes are taken by number and the rest is handed on. */
export class ChunkStream {
  readonly #chunks: AsyncIterator<Uint8Array>
  #rest: Uint8Array = NOTHING

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.asyncIterator]()
  }

  /** The next `count` bytes. Throws CORRUPT if there are fewer. */
  async take(count: number): Promise<Uint8Array> {
    const parts: Uint8Array[] = []
    for (let missing = count; missing > 0; ) {
      if (this.#rest.length === 0 && !(await this.#pull())) {
        throw new TidemarkError('CORRUPT', 'the snapshot of a state machine ends too early')
      }
      const part = this.#rest.subarray(0, missing)
      this.#rest = this.#rest.subarray(part.length)
      missing -= part.length
      parts.push(part)
    }
    return parts.length === 1 ? parts[0]! : Buffer.concat(parts)
  }

  /** Everything that was not taken. */
  async *rest(): AsyncGenerator<Uint8Array> {
    do {
      const chunk = this.#rest
      this.#rest = NOTHING
      if (chunk.length > 0) yield chunk
    } while (await this.#pull())
  }

  /** Ends the reading, so that the file behind it is closed. */
  async end(): Promise<void> {
    await this.#chunks.return?.()
  }

  async #pull(): Promise<boolean> {
    const { value, done } = await this.#chunks.next()
    if (done) return false
    this.#rest = value
    return true
  }
}
