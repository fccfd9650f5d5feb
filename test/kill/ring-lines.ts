import type { Random } from '#dist/io/index.js'

const POOL_BYTES = 64 * 1024
const LONG_EVERY = 97

/**
 * Lines that are known by their number alone: the number, and text of a length that varies, now and then a
 * long one. The text has quotes, backslashes and letters of several bytes in it.
 */
export class RingLines {
  readonly #pool: string

  constructor(random: Random) {
    const letters = 'abcdefghijklmnopqrstuvwxyz0123456789 "\\\t{}[]é\u20ac'
    const all = [...letters]
    let pool = ''
    while (pool.length < POOL_BYTES) pool += all[random.uint32() % all.length]
    this.#pool = pool
  }

  line(number: number): string {
    const hash = Math.imul(number + 1, 0x9e3779b1) >>> 0
    const length = hash % LONG_EVERY === 0 ? hash % 20_000 : hash % 160
    const from = (hash >>> 8) % (POOL_BYTES - 20_000)
    return `${number} \u{1f30a} ${this.#pool.slice(from, from + length)}`
  }

  /** The lines `[first, first + count)`, as a program prints them. */
  text(first: number, count: number): string {
    let text = ''
    for (let n = first; n < first + count; n++) text += `${this.line(n)}\n`
    return text
  }
}
