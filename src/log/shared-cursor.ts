import { TidemarkError } from '../base/index.ts'
import type { CommitLog, Entry, EntryReader } from './commit-log.ts'
import type { CursorStart } from './cursor.ts'

export interface SharedCursorOptions {
  /** Where a cursor that there is not yet begins: `start` (the default), `end`, or an offset. */
  readonly from?: CursorStart | undefined
  /** Wait for more at the end; true by default. */
  readonly follow?: boolean | undefined
  readonly signal?: AbortSignal | undefined
}

/** What a cursor needs of its log. */
export interface SharedCursorLog<T>
  extends Pick<CommitLog<T, never>, 'lowWaterMark' | 'highWaterMark' | 'read'> {
  readonly name: string
}

/** Where all who read by a cursor find its position. */
export interface CursorStore {
  /**
   * Saves where the cursor is. Resolves with what is known then, which is further if somebody else was; undefined if the
   * cursor was deleted.
   */
  move(kind: 'commit' | 'reset', position: number): Promise<number | undefined>
  delete(): Promise<void>
}

/**
 * A named position in a log, kept where every process finds it: whichever goes on, goes on behind the last commit.
 * Nothing keeps two processes from reading by one cursor at a time.
 *
 * Invariant: here, the position never goes back, except by `reset`.
 */
export class SharedCursor<T = Buffer> implements AsyncIterable<Entry<T>> {
  readonly name: string
  /** How many offsets the log had given up before this cursor came to them, when it was opened. */
  readonly missed: number
  readonly #log: SharedCursorLog<T>
  readonly #store: CursorStore
  readonly #options: SharedCursorOptions
  #position: number
  /** What is known to be saved. */
  #saved: number
  /** Where delivered entries end that span several offsets, as long as they are not done. */
  readonly #ends = new Map<number, number>()
  readonly #readers = new Set<EntryReader<T>>()
  /** The move under way, and the one that waits for it with whatever was committed by then. */
  #moving: Promise<void> | undefined
  #next: Promise<void> | undefined
  #isClosed = false

  /** @internal A log makes it, which has checked the options. */
  constructor(
    name: string,
    log: SharedCursorLog<T>,
    store: CursorStore,
    position: number,
    options: SharedCursorOptions,
  ) {
    this.name = name
    this.#log = log
    this.#store = store
    this.#options = options
    this.#position = Math.max(position, log.lowWaterMark)
    this.#saved = position
    this.missed = this.#position - position
  }

  /** Offset of the first entry that is not done. */
  get position(): number {
    return this.#position
  }

  /** How many offsets lie between the position and the high-water mark, as far as that is known here. */
  get lag(): number {
    return Math.max(0, this.#log.highWaterMark - this.#position)
  }

  /** The entries from the position on. What was delivered and not committed is delivered again by the next reading. */
  [Symbol.asyncIterator](): AsyncIterator<Entry<T>, undefined> {
    return this.#read()
  }

  /**
   * Says that the entry at `offset` is done, and with it all before. Resolves when it is saved; commits of the same time
   * become one. Rejects with INVALID_ARGUMENT, NOT_FOUND if the cursor was deleted, UNAVAILABLE, UNCERTAIN or CLOSED.
   */
  async commit(offset: number): Promise<void> {
    this.#checkOpen()
    if (!Number.isSafeInteger(offset) || offset < 0 || offset >= this.#log.highWaterMark) {
      const { highWaterMark } = this.#log
      throw invalid(
        `offset must be an integer from 0 below ${highWaterMark}, not ${String(offset)}`,
      )
    }
    const end = this.#ends.get(offset) ?? offset + 1
    this.#position = Math.max(this.#position, end)
    for (const done of this.#ends.keys()) if (done <= offset) this.#ends.delete(done)
    // A commit that failed is none: the next one saves it too.
    while (this.#saved < end) await this.#save()
  }

  /** Puts the cursor elsewhere, also back. Readings end. */
  async reset(to: CursorStart): Promise<void> {
    this.#checkOpen()
    const position = cursorStart(this.#log, to)
    await this.#endReadings()
    await this.#moving?.catch(() => {})
    this.#position = position
    this.#ends.clear()
    this.#saved = this.#known(await this.#store.move('reset', position))
  }

  /** Removes the cursor, and closes it. */
  async delete(): Promise<void> {
    this.#checkOpen()
    await this.#store.delete()
    await this.close()
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await this.#endReadings()
    await this.#moving?.catch(() => {})
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #save(): Promise<void> {
    if (this.#moving === undefined) {
      this.#moving = this.#move().finally(() => {
        this.#moving = undefined
      })
      return this.#moving
    }
    this.#next ??= this.#moving
      .catch(() => {})
      .then(() => {
        this.#next = undefined
        return this.#save()
      })
    return this.#next
  }

  async #move(): Promise<void> {
    const position = await this.#store.move('commit', this.#position)
    this.#saved = this.#known(position)
    // Somebody else may be further.
    this.#position = Math.max(this.#position, this.#saved)
  }

  #known(position: number | undefined): number {
    if (position !== undefined) return position
    throw new TidemarkError('NOT_FOUND', `the cursor ${this.name} was deleted`)
  }

  #read(): AsyncIterator<Entry<T>, undefined> {
    this.#checkOpen()
    const { follow = true, signal } = this.#options
    const reader = this.#log.read({ from: this.#position, follow, ...(signal && { signal }) })
    this.#readers.add(reader)
    return {
      next: async () => {
        const result = await reader.next()
        if (result.done) this.#readers.delete(reader)
        else if (result.value.count > 1) {
          this.#ends.set(result.value.offset, result.value.offset + result.value.count)
        }
        return result
      },
      return: () => {
        this.#readers.delete(reader)
        return reader.return()
      },
    }
  }

  async #endReadings(): Promise<void> {
    for (const reader of this.#readers) await reader.return()
    this.#readers.clear()
  }

  #checkOpen(): void {
    if (this.#isClosed) throw new TidemarkError('CLOSED', `the cursor ${this.name} is closed`)
  }
}

/** The offset that a start means now. Throws INVALID_ARGUMENT or TRIMMED. */
export function cursorStart(
  log: Pick<SharedCursorLog<unknown>, 'lowWaterMark' | 'highWaterMark' | 'name'>,
  start: CursorStart,
): number {
  const { lowWaterMark, highWaterMark, name } = log
  if (start === 'start') return lowWaterMark
  if (start === 'end') return highWaterMark
  if (!Number.isSafeInteger(start) || start < 0 || start > highWaterMark) {
    throw invalid(
      `a cursor of ${name} is put at "start", "end" or an offset up to ${highWaterMark}`,
    )
  }
  if (start >= lowWaterMark) return start
  throw new TidemarkError(
    'TRIMMED',
    `a cursor cannot be put at ${start}: the log ${name} begins at ${lowWaterMark}`,
    { offset: start, lowWaterMark },
  )
}

function invalid(text: string): TidemarkError {
  return new TidemarkError('INVALID_ARGUMENT', text)
}
