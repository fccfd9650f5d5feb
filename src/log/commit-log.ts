import type { InputOf } from './codec.ts'

/** One record in the log. */
export interface Entry<T = Buffer> {
  /** Its place in the log, from 0, strictly increasing. */
  readonly offset: number
  /** The generation of whoever wrote it; never decreases along a log. */
  readonly term: number
  /** 1 for plain data; 128 to 255 are the user's. */
  readonly type: number
  /** Milliseconds since 1970, as the writer's clock or the caller said. */
  readonly timestamp: number
  /** How many offsets it spans: 1, except for a batch that was stored whole. */
  readonly count: number
  readonly data: T
}

export interface AppendOptions {
  /** 1 (plain data, the default) or one of the user's own, 128 to 255. */
  readonly type?: number | undefined
  /** Milliseconds since 1970; the clock's now by default. */
  readonly timestamp?: number | undefined
  /** How many offsets the entry spans; 1 by default. */
  readonly count?: number | undefined
}

export interface ReadOptions {
  /** First offset to read; the low-water mark by default. */
  readonly from?: number | undefined
  /** Stop before this offset; the high-water mark by default. */
  readonly to?: number | undefined
  /** Begin at the first entry whose timestamp is at least this (ms since 1970), instead of `from`. */
  readonly fromTimestamp?: number | undefined
  /** Wait for more at the high-water mark instead of ending; ends when the log is closed. */
  readonly follow?: boolean | undefined
  /** From the newest to the oldest. Not together with `follow`. */
  readonly reverse?: boolean | undefined
  /** Ends the reading: the iterator throws the signal's reason. */
  readonly signal?: AbortSignal | undefined
}

/** Offsets of the first and last entry of a batch. */
export interface AppendedRange {
  readonly first: number
  readonly last: number
}

/** Entries in order, one at a time, or as many at a time as a read from the disk brought. */
export interface EntryReader<T> extends AsyncIterableIterator<Entry<T>> {
  next(): Promise<IteratorResult<Entry<T>, undefined>>
  return(): Promise<IteratorResult<Entry<T>, undefined>>
  /** The same entries in arrays, which is faster. Use either this or the iterator, not both. */
  batches(): AsyncIterableIterator<Entry<T>[]>
}

/** A place beside the log for states of what was built from it. One snapshot per offset. */
export interface Snapshots {
  /** Offsets of the snapshots that are there, ascending. */
  list(): Promise<number[]>
  /**
   * Stores a snapshot of the state before `offset`, in one atomic step: a crash leaves all of it or
   * nothing. Replaces one of the same offset. What the state was built from is made durable first. Throws
   * INVALID_ARGUMENT beyond the high-water mark.
   */
  write(offset: number, chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<void>
  /** The bytes of a snapshot, each chunk checked. Throws NOT_FOUND, or CORRUPT where damage begins. */
  read(offset: number): AsyncIterable<Uint8Array>
  /** Removes a snapshot; without effect if there is none. */
  remove(offset: number): Promise<void>
}

/**
 * The seam of the system: what is written against this runs unchanged on a folder, a quorum, or a
 * remote log. It holds no more than all of these can keep.
 */
export interface CommitLog<T = Buffer, I = InputOf<T>> {
  /** First offset still kept. Everything below may be gone. */
  readonly lowWaterMark: number
  /** First offset not yet safe. Readers only ever see entries below it. */
  readonly highWaterMark: number
  /** Resolves with the entry's offset when it is safe under the log's policy. */
  append(data: I, options?: AppendOptions): Promise<number>
  /** The same for many, all or nothing, even across a crash. Options hold for each of them. */
  appendBatch(data: readonly I[], options?: AppendOptions): Promise<AppendedRange>
  /** Entries in order. Throws TRIMMED where the low-water mark has passed the reader. */
  read(options?: ReadOptions): EntryReader<T>
  /** The entry at `offset`, or undefined outside [low-water mark, high-water mark). */
  get(offset: number): Promise<Entry<T> | undefined>
  /** Resolves when all that anyone was told is safe before the call is visible here. */
  barrier(): Promise<void>
  /**
   * Raises the low-water mark to `before`. Throws INVALID_ARGUMENT beyond the high-water mark; a lower
   * value does nothing.
   */
  trim(before: number): Promise<void>
  readonly snapshots: Snapshots
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}
