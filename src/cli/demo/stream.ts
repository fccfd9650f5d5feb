import type { Source } from './source.ts'

const NEWLINE = Buffer.from('\n')

/**
 * An endless stream of lines made of a source's: the n-th is its number, a tab, and the content of the
 * source's line n modulo their count. So each line is another one, and what any of them must be is known
 * without keeping it.
 */
export class LineStream {
  readonly #lines: readonly Buffer[]

  constructor(source: Source) {
    this.#lines = source.lines
  }

  line(number: number): Buffer {
    return Buffer.concat(this.#parts(number))
  }

  /** The lines `[first, first + count)` as a program would print them. */
  chunk(first: number, count: number): Buffer {
    const parts: Buffer[] = []
    for (let n = first; n < first + count; n++) parts.push(...this.#parts(n), NEWLINE)
    return Buffer.concat(parts)
  }

  #parts(number: number): Buffer[] {
    return [Buffer.from(`${number}\t`), this.#lines[number % this.#lines.length]!]
  }
}
