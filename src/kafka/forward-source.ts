import { KIB, MIB, TidemarkError } from '../base/index.ts'
import type { BatchSource, Entry, ReadOptions } from '../log/index.ts'
import type { Fetched } from './fetch-response.ts'
import type { PartitionView } from './partition-view.ts'
import { pause } from './patience.ts'
import { visibleEntries } from './visible-entries.ts'

/** What is asked for at first, and at most; and at least, where all is compressed very well. */
const FETCH_BYTES_MIN = 64 * KIB
const FETCH_BYTES_LEAST = KIB
const FETCH_BYTES_MAX = 4 * MIB
const PAUSE_MS = 20

interface Ahead {
  readonly from: number
  readonly fetched: Promise<Fetched>
}

/** Reads a partition forward. While what came is looked at, the next is on its way. */
export class ForwardSource implements BatchSource<Entry> {
  readonly #view: PartitionView
  readonly #options: ReadOptions
  #position = -1
  #bytes = FETCH_BYTES_MIN
  #ahead: Ahead | undefined
  /** Entries come from this time on. */
  #since: number | undefined
  /** Until when something has to come that is known to be there. */
  #end: number | undefined
  #isReleased = false
  #stop: (() => void) | undefined

  constructor(view: PartitionView, options: ReadOptions) {
    this.#view = view
    this.#options = options
  }

  async nextBatch(): Promise<Entry[] | undefined> {
    const { to = Number.POSITIVE_INFINITY, follow, signal } = this.#options
    signal?.throwIfAborted()
    if (this.#position < 0) await this.#begin()
    for (;;) {
      signal?.throwIfAborted()
      if (this.#isReleased) return undefined
      this.#view.checkNotTrimmed(this.#position)
      if (this.#position >= to) return undefined
      if (this.#position < this.#view.marks.high) {
        const entries = await this.#read(to)
        if (entries.length > 0) return entries
        continue
      }
      if (!follow || this.#view.isClosed) return undefined
      await this.#wait()
    }
  }

  release(): void {
    this.#isReleased = true
    this.#stop?.()
    this.#ahead = undefined
  }

  async #begin(): Promise<void> {
    const { partition, marks } = this.#view
    const { from, fromTimestamp } = this.#options
    if (fromTimestamp === undefined) {
      this.#position = from ?? marks.low
      return
    }
    const { isCommittedOnly } = partition.settings
    const found = await partition.offsetAt(fromTimestamp, isCommittedOnly)
    // If there is none yet, whoever follows waits for it.
    this.#position = Math.max(marks.low, found ?? marks.high)
    this.#since = fromTimestamp
  }

  async #read(to: number): Promise<Entry[]> {
    const from = this.#position
    const fetched = await this.#fetched(from)
    const { entries, next } = visibleEntries(this.#view.partition.client, fetched, { from, to })
    if (next === from) {
      await this.#patience()
      return []
    }
    this.#end = undefined
    this.#position = next
    this.#adapt(entries)
    this.#fetchAhead(to)
    return this.#sinceThen(entries)
  }

  /** Asks for more next time, or for less where what came was compressed so well that it takes much more. */
  #adapt(entries: readonly Entry[]): void {
    const bytes = entries.reduce((sum, { data }) => sum + data.length, 0)
    if (bytes > 2 * FETCH_BYTES_MAX) this.#bytes = Math.max(FETCH_BYTES_LEAST, this.#bytes >> 3)
    else if (bytes < FETCH_BYTES_MAX) this.#bytes = Math.min(FETCH_BYTES_MAX, 2 * this.#bytes)
  }

  async #fetched(from: number): Promise<Fetched> {
    const ahead = this.#ahead
    this.#ahead = undefined
    if (ahead?.from === from) return ahead.fetched
    const latest = this.#view.tail.has(from)
    // The data of entries is the reader's own.
    if (latest) return { ...latest, bytes: Buffer.from(latest.bytes) }
    return this.#fetch(from)
  }

  #fetch(from: number): Promise<Fetched> {
    // Who follows waits for as long as it takes.
    const deadline = this.#options.follow
      ? Number.POSITIVE_INFINITY
      : this.#view.partition.deadline()
    return this.#view.fetch(from, this.#bytes, deadline, () => {
      this.#options.signal?.throwIfAborted()
      if (this.#isReleased) throw new TidemarkError('CLOSED', 'the reader is closed')
    })
  }

  #fetchAhead(to: number): void {
    const from = this.#position
    if (this.#isReleased || from >= Math.min(to, this.#view.marks.high)) return
    const fetched = this.#fetch(from)
    // Who takes it learns of the failure.
    fetched.catch(() => {})
    this.#ahead = { from, fetched }
  }

  /** Drops what is older than `fromTimestamp`: of a batch, all records come. */
  #sinceThen(entries: Entry[]): Entry[] {
    const since = this.#since
    if (since === undefined) return entries
    const first = entries.findIndex(({ timestamp }) => timestamp >= since)
    if (first < 0) return []
    this.#since = undefined
    return entries.slice(first)
  }

  /**
   * What is safe does not come: the leader is new and behind with its mark, or a transaction of somebody else is open.
   * Throws UNAVAILABLE when that has gone on for too long.
   */
  async #patience(): Promise<void> {
    const { partition, marks } = this.#view
    const { clock } = partition.brokers
    this.#end ??= this.#options.follow ? Number.POSITIVE_INFINITY : partition.deadline()
    if (clock.monotonic() > this.#end) {
      throw new TidemarkError(
        'UNAVAILABLE',
        `${partition.name} does not give out what is between ${this.#position} and ${marks.high}; a transaction may be open there`,
      )
    }
    await pause(clock, PAUSE_MS)
  }

  async #wait(): Promise<void> {
    const { signal } = this.#options
    const { more, stop } = this.#view.tail.wait(this.#position)
    this.#stop = stop
    signal?.addEventListener('abort', stop, { once: true })
    try {
      await more
    } catch (error) {
      throw await this.#view.explained(error, this.#position)
    } finally {
      signal?.removeEventListener('abort', stop)
      this.#stop = undefined
    }
  }
}
