import { MIB } from '../base/index.ts'

/**
 * So much may be under way between the input and the disk. Enough that a group is always waiting while
 * the one before it is synced, and little enough that memory does not depend on the input.
 */
const WAITING_LINES_MAX = 4096
const WAITING_BYTES_MAX = 4 * MIB

/** Work on a stream of lines: much of it under way at a time, and told in order when it is safe. */
export class Window {
  readonly #stop: () => void
  readonly #maxLines: number
  #waitingLines = 0
  #waitingBytes = 0
  /** Wakes whoever waits for room, or for the end of everything. */
  #wake: (() => void) | undefined
  #failure: { readonly error: unknown } | undefined

  /** `stop` is called when something has failed. */
  constructor(stop: () => void, maxLines = WAITING_LINES_MAX) {
    this.#stop = stop
    this.#maxLines = maxLines
  }

  get hasFailed(): boolean {
    return this.#failure !== undefined
  }

  /** True if more can be added at once. One batch, however large, is always let through. */
  get hasRoom(): boolean {
    return this.#waitingLines < this.#maxLines && this.#waitingBytes < WAITING_BYTES_MAX
  }

  /** Resolves when about half of the window is free. */
  async room(): Promise<void> {
    while (this.#waitingLines > this.#maxLines / 2 || this.#waitingBytes > WAITING_BYTES_MAX / 2) {
      await this.#settled()
    }
  }

  /** Resolves when nothing is under way. Throws what the first that failed has failed with. */
  async drain(): Promise<void> {
    while (this.#waitingLines > 0) await this.#settled()
    if (this.#failure) throw this.#failure.error
  }

  /** Work that has begun. `onSafe` is called with its result before the window has room for more. */
  track<T>(work: Promise<T>, lines: number, bytes: number, onSafe: (result: T) => void): void {
    this.#waitingLines += lines
    this.#waitingBytes += bytes
    work.then(
      (result) => {
        onSafe(result)
        this.#give(lines, bytes)
      },
      (error) => {
        this.#failure ??= { error }
        this.#stop()
        this.#give(lines, bytes)
      },
    )
  }

  #give(lines: number, bytes: number): void {
    this.#waitingLines -= lines
    this.#waitingBytes -= bytes
    this.#wake?.()
  }

  /** Resolves when something has succeeded or failed. */
  #settled(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = () => {
        this.#wake = undefined
        resolve()
      }
    })
  }
}
