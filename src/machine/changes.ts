import { TidemarkError } from '../base/index.ts'
import type { Place } from './pages.ts'
import { lengthAt } from './record.ts'

/** What a command did to one key. */
export interface StoredChange {
  readonly offset: number
  /** The record of the key: in the memory of the table, where it does not change; or, if it is gone, the last. */
  readonly place: Place
  readonly isGone: boolean
  /** Of the record. */
  readonly bytes: number
}

/** Keys and values that are kept at most, however few changes that are. */
const BYTES_MAX = 32 * 1024 * 1024

/** The last changes of a map, so that a watcher can begin a little in the past, and be a little slow. */
export class Changes {
  readonly #max: number
  #changes: StoredChange[] = []
  #head = 0
  #bytes = 0
  /** All changes of commands at or above this offset are here; none yet, before there was one. */
  #from = Number.POSITIVE_INFINITY
  #waiting: (() => void)[] = []

  constructor(max: number) {
    this.#max = max
  }

  /** The changes are complete from this offset on, if they were not from an earlier one. */
  begin(offset: number): void {
    if (offset < this.#from) this.#from = offset
  }

  /** Records that follow one another lie in the same pages, so few pages are kept that the table has given up. */
  add(offset: number, place: Place, isGone: boolean): void {
    const bytes = lengthAt(place.bytes, place.at)
    this.#changes.push({ offset, place, isGone, bytes })
    this.#bytes += bytes
    while (this.#changes.length - this.#head > this.#max || this.#bytes > BYTES_MAX) {
      if (!this.#dropOldest()) return
    }
  }

  /** Those of the oldest command, all of them: what is left is whole commands. */
  #dropOldest(): boolean {
    const { offset } = this.#changes[this.#head]!
    // A command with more changes than are kept is kept as long as it is the newest.
    if (this.#changes.at(-1)!.offset === offset) return false
    for (; this.#changes[this.#head]!.offset === offset; this.#head++) {
      this.#bytes -= this.#changes[this.#head]!.bytes
    }
    this.#from = offset + 1
    if (this.#head < this.#max) return true
    this.#changes = this.#changes.slice(this.#head)
    this.#head = 0
    return true
  }

  /** Wakes those who wait for more. */
  wake(): void {
    if (this.#waiting.length === 0) return
    for (const wake of this.#waiting.splice(0)) wake()
  }

  /** The changes from an offset on. Throws TRIMMED if some of them are no longer here. */
  since(offset: number): readonly StoredChange[] {
    if (offset < this.#from) {
      throw new TidemarkError(
        'TRIMMED',
        `changes are known from offset ${this.#from} on, and not from ${offset}: read the map again, and watch from its offset`,
        { offset, lowWaterMark: this.#from },
      )
    }
    let low = this.#head
    let high = this.#changes.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#changes[middle]!.offset < offset) low = middle + 1
      else high = middle
    }
    return this.#changes.slice(low)
  }

  /** Resolves when there is more, or when the signal is aborted. */
  next(signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        signal?.removeEventListener('abort', wake)
        resolve()
      }
      signal?.addEventListener('abort', wake, { once: true })
      this.#waiting.push(wake)
    })
  }
}
