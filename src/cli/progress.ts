import { size } from './format.ts'
import type { Output } from './output.ts'

/** Quick work shows no progress. */
const PROGRESS_AFTER_MS = 1000
const PROGRESS_EVERY_MS = 100

/** One line on a terminal that says how far it is; silent anywhere else. */
export class Progress {
  readonly #err: Output
  readonly #verb: string
  #nextAt = performance.now() + PROGRESS_AFTER_MS
  #isShown = false

  /** `verb` is what was done to the bytes: `verified`. */
  constructor(err: Output, verb: string) {
    this.#err = err
    this.#verb = verb
  }

  show(bytes: number, totalBytes: number): void {
    const percent = Math.floor((bytes / Math.max(totalBytes, 1)) * 100)
    this.say(() => `${this.#verb} ${size(bytes)} of ${size(totalBytes)}, ${percent} %`)
  }

  /** Shows a line, unless it is too early, too soon after the last one, or nobody looks. */
  say(text: () => string): void {
    const now = performance.now()
    if (!this.#err.isTerminal || now < this.#nextAt) return
    this.#nextAt = now + PROGRESS_EVERY_MS
    this.#isShown = true
    this.#err.write(`\r\x1b[K${text()}`)
  }

  clear(): void {
    if (this.#isShown) this.#err.write('\r\x1b[K')
    this.#isShown = false
  }
}
