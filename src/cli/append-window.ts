import { MIB } from '../base/index.ts'
import type { AppendedRange, Log } from '../log/index.ts'

/**
 * So much may be under way between the input and the disk. Enough that a group is always waiting while
 * the one before it is synced, and little enough that memory does not depend on the input.
 */
const WAITING_LINES_MAX = 4096
const WAITING_BYTES_MAX = 4 * MIB

/** The appends of a stream of lines: many at a time, told in order when they are safe. */
export class AppendWindow {
  readonly #log: Log
  readonly #onSafe: (first: number, last: number) => void
  readonly #stop: () => void
  #waitingLines = 0
  #waitingBytes = 0
  /** Wakes whoever waits for room, or for the end of everything. */
  #wake: (() => void) | undefined
  #failure: { readonly error: unknown } | undefined
  /** What is safe: the offsets from `first` to `last`. */
  entries = 0
  bytes = 0
  first = -1
  last = -1

  /** `onSafe` hears of each append once it is safe; `stop` is called when one has failed. */
  constructor(log: Log, onSafe: (first: number, last: number) => void, stop: () => void) {
    this.#log = log
    this.#onSafe = onSafe
    this.#stop = stop
  }

  get hasFailed(): boolean {
    return this.#failure !== undefined
  }

  /** True if more can be added at once. One batch, however large, is always let through. */
  get hasRoom(): boolean {
    return this.#waitingLines < WAITING_LINES_MAX && this.#waitingBytes < WAITING_BYTES_MAX
  }

  /** Resolves when about half of the window is free. */
  async room(): Promise<void> {
    while (
      this.#waitingLines > WAITING_LINES_MAX / 2 ||
      this.#waitingBytes > WAITING_BYTES_MAX / 2
    ) {
      await this.#settled()
    }
  }

  /** Resolves when nothing is under way. Throws what the first failed append failed with. */
  async drain(): Promise<void> {
    while (this.#waitingLines > 0) await this.#settled()
    if (this.#failure) throw this.#failure.error
  }

  /** Starts to append a line. Does nothing after a failure, so that nothing ever follows a gap. */
  add(line: Buffer): void {
    if (this.#failure) return
    const { length } = line
    this.#take(1, length)
    this.#log.append(line).then(
      (offset) => this.#safe(offset, offset, 1, length),
      (error) => this.#failed(error, 1, length),
    )
  }

  /** The same for several lines, all or nothing. */
  addBatch(lines: readonly Buffer[]): void {
    if (this.#failure) return
    const { length: count } = lines
    const bytes = lines.reduce((sum, line) => sum + line.length, 0)
    this.#take(count, bytes)
    this.#log.appendBatch(lines).then(
      ({ first, last }: AppendedRange) => this.#safe(first, last, count, bytes),
      (error) => this.#failed(error, count, bytes),
    )
  }

  #take(lines: number, bytes: number): void {
    this.#waitingLines += lines
    this.#waitingBytes += bytes
  }

  #give(lines: number, bytes: number): void {
    this.#waitingLines -= lines
    this.#waitingBytes -= bytes
    this.#wake?.()
  }

  #safe(first: number, last: number, lines: number, bytes: number): void {
    if (this.first < 0) this.first = first
    this.last = last
    this.entries += lines
    this.bytes += bytes
    this.#onSafe(first, last)
    this.#give(lines, bytes)
  }

  #failed(error: unknown, lines: number, bytes: number): void {
    this.#failure ??= { error }
    this.#stop()
    this.#give(lines, bytes)
  }

  /** Resolves when some append has succeeded or failed. */
  #settled(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = () => {
        this.#wake = undefined
        resolve()
      }
    })
  }
}
