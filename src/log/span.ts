import { viewOf } from '../base/index.ts'
import { ENTRY_HEADER_BYTES, entryCount, entryLength } from './entry-format.ts'

/** What a span costs in memory beside its bytes and positions, about. */
const OVERHEAD_BYTES = 256

/**
 * A stretch of a store in memory, every entry of which has been checked: checksums, offsets, terms.
 * Nobody writes into it, so from then on its headers are believed.
 */
export class Span {
  readonly bytes: Buffer
  readonly view: DataView
  readonly #firstLsn: number
  readonly #endLsn: number
  /** Where each entry begins. */
  readonly #starts: Uint32Array
  /** True if each entry spans one offset, so that an LSN is a place in the list. */
  readonly #isDense: boolean

  /** `bytes` hold whole entries and nothing else, from `firstLsn` on, and have been checked. */
  constructor(bytes: Buffer, firstLsn: number) {
    const view = viewOf(bytes)
    const starts: number[] = []
    let span = 0
    for (let at = 0; at < bytes.length; at += ENTRY_HEADER_BYTES + entryLength(view, at)) {
      starts.push(at)
      span += entryCount(view, at)
    }
    this.bytes = bytes
    this.view = view
    this.#firstLsn = firstLsn
    this.#endLsn = firstLsn + span
    this.#starts = Uint32Array.from(starts)
    this.#isDense = span === starts.length
  }

  /** What the span costs in memory. */
  get size(): number {
    return this.bytes.length + this.#starts.byteLength + OVERHEAD_BYTES
  }

  holds(lsn: number): boolean {
    return lsn >= this.#firstLsn && lsn < this.#endLsn
  }

  /** Where the entry that holds `lsn` begins. */
  startOf(lsn: number): number {
    const starts = this.#starts
    if (this.#isDense) return starts[lsn - this.#firstLsn]!
    let end = this.#firstLsn
    for (let i = 0; ; i++) {
      end += entryCount(this.view, starts[i]!)
      if (end > lsn) return starts[i]!
    }
  }
}
