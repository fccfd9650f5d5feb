import { KIB } from '../base/index.ts'
import type { File } from '../io/index.ts'

/**
 * What is read ahead begins so far before the end of the last chunk: the entry that ends behind that
 * chunk begins there, unless it is larger, and then what was read ahead is dropped.
 */
const OVERLAP_BYTES = 4 * KIB

interface Ahead {
  readonly position: number
  /** The bytes, or the failure of the read: kept, so that nobody needs to be there to catch it. */
  readonly result: Promise<{ readonly bytes: Buffer } | { readonly error: unknown }>
}

/** Reads a store in chunks, each a buffer of its own, and the next one while the last is worked on. */
export class ChunkReader {
  readonly #file: File
  #ahead: Ahead | undefined

  constructor(file: File) {
    this.#file = file
  }

  /** About `wanted` bytes from `position` on, blocking: for what was written a moment ago. */
  readSync(position: number, wanted: number): Buffer {
    this.#ahead = undefined
    const chunk = Buffer.allocUnsafeSlow(wanted)
    return chunk.subarray(0, this.#file.readSync(chunk, position))
  }

  /**
   * The bytes from `position` on: about `wanted` of them, and at least `minimum` unless the file ends.
   */
  async read(position: number, wanted: number, minimum: number): Promise<Buffer> {
    const ahead = this.#ahead
    this.#ahead = undefined
    if (ahead && ahead.position <= position) {
      const result = await ahead.result
      if ('error' in result) throw result.error
      const bytes = result.bytes.subarray(position - ahead.position)
      if (bytes.length >= minimum) return bytes
    }
    return this.#fill(position, wanted)
  }

  /** Begins to read `wanted` bytes from shortly before `end`, up to `limit` at most. */
  readAhead(end: number, wanted: number, limit: number): void {
    const position = end - OVERLAP_BYTES
    if (end >= limit || position < 0) return
    const result = this.#fill(position, Math.min(wanted, limit - position)).then(
      (bytes) => ({ bytes }),
      (error: unknown) => ({ error }),
    )
    this.#ahead = { position, result }
  }

  async #fill(position: number, wanted: number): Promise<Buffer> {
    const chunk = Buffer.allocUnsafeSlow(wanted)
    return chunk.subarray(0, await this.#file.read(chunk, position))
  }
}
