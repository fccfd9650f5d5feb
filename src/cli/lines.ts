import { TidemarkError } from '../base/index.ts'

const NEWLINE = 10

/**
 * Cuts a stream of bytes into lines. A line is what stands before a newline, byte for byte (a carriage
 * return stays), and what stands behind the last one, if anything does.
 */
export class LineSplitter {
  readonly #maxBytes: number
  /** The beginning of a line whose end has not come yet. */
  #parts: Buffer[] = []
  #partBytes = 0
  #lines = 0

  /** No more than `maxBytes` of a line are ever held. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /**
   * Appends the lines that end in `chunk` to `out`; they may point into it. Throws TOO_LARGE, with
   * the lines before it in `out`, as soon as a line is longer than the limit.
   */
  push(chunk: Buffer, out: Buffer[]): void {
    let from = 0
    for (let at = chunk.indexOf(NEWLINE); at >= 0; at = chunk.indexOf(NEWLINE, from)) {
      const tail = chunk.subarray(from, at)
      this.#check(this.#partBytes + tail.length)
      out.push(this.#partBytes === 0 ? tail : this.#join(tail))
      this.#lines++
      from = at + 1
    }
    if (from === chunk.length) return
    this.#partBytes += chunk.length - from
    this.#check(this.#partBytes)
    this.#parts.push(chunk.subarray(from))
  }

  /** The last line, if the stream did not end with a newline. */
  end(): Buffer | undefined {
    return this.#partBytes === 0 ? undefined : this.#join(Buffer.alloc(0))
  }

  #join(tail: Buffer): Buffer {
    const line = Buffer.concat([...this.#parts, tail], this.#partBytes + tail.length)
    this.#parts = []
    this.#partBytes = 0
    return line
  }

  #check(length: number): void {
    if (length <= this.#maxBytes) return
    throw new TidemarkError(
      'TOO_LARGE',
      `line ${this.#lines + 1} has more than the ${this.#maxBytes} bytes that an entry may have; the lines before it were appended, the rest was not`,
    )
  }
}
