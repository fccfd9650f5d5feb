import type { CommitLog } from '../log/index.ts'
import { Window } from './window.ts'

/** What lines are appended to. */
export type Appending = Pick<CommitLog<Buffer, Buffer>, 'append' | 'appendBatch'>

/** The appends of a stream of lines. */
export class AppendWindow extends Window {
  readonly #log: Appending
  readonly #onSafe: (first: number, last: number) => void
  /** What is safe: the offsets from `first` to `last`. */
  entries = 0
  bytes = 0
  first = -1
  last = -1

  /** `onSafe` hears of each append once it is safe; `stop` is called when one has failed. */
  constructor(
    log: Appending,
    onSafe: (first: number, last: number) => void,
    stop: () => void,
    maxLines?: number,
  ) {
    super(stop, maxLines)
    this.#log = log
    this.#onSafe = onSafe
  }

  /** Starts to append a line. Does nothing after a failure, so that nothing ever follows a gap. */
  add(line: Buffer): void {
    if (this.hasFailed) return
    const { length } = line
    this.track(this.#log.append(line), 1, length, (offset) => this.#safe(offset, offset, 1, length))
  }

  /** The same for several lines, all or nothing. */
  addBatch(lines: readonly Buffer[]): void {
    if (this.hasFailed) return
    const { length: count } = lines
    const bytes = lines.reduce((sum, line) => sum + line.length, 0)
    this.track(this.#log.appendBatch(lines), count, bytes, ({ first, last }) =>
      this.#safe(first, last, count, bytes),
    )
  }

  #safe(first: number, last: number, lines: number, bytes: number): void {
    if (this.first < 0) this.first = first
    this.last = last
    this.entries += lines
    this.bytes += bytes
    this.#onSafe(first, last)
  }
}
