import type { Batch, Configuration, Point } from './messages.ts'

/**
 * Batches of which some entries were once synced and are not sound. The last of them ends with an entry
 * that is sound, so its term is known: whoever has the place (term, to) in its log has the same batches
 * in the hole, by the Log Matching property.
 */
export interface Hole {
  readonly from: number
  readonly to: number
  readonly term: number
}

/** What a replica's disk holds when the core begins. */
export interface StoredLog {
  /** The low-water mark, and the term of the entry before it. */
  readonly low: Point
  /** The end of the log, or where damage begins from which nothing sound follows. */
  readonly last: Point
  /** Damage took the end of the log: it had reached at least this mark. */
  readonly lostEnd: number | undefined
  /** Where each term begins: ascending, without the one at the low mark. */
  readonly terms: readonly { readonly term: number; readonly start: number }[]
  readonly holes: readonly Hole[]
  /** What was shown before: everything below is committed. A hint, which may be too low. */
  readonly commit: number
}

/** Batches that are wanted and not in memory: an input `fetched` says when it is worth to ask again. */
export const LATER = 'later'

/** How the core sees the part of the log that is on the disk. */
export interface LogView {
  /**
   * Whole batches from the mark `from` on, below `to`: at least one, and no more than `maxBytes` if one
   * does not take that alone. Asked only for what has been reported as persisted.
   */
  batches(from: number, to: number, maxBytes: number): readonly Batch[] | typeof LATER
}

/**
 * What a replica must remember beside its log. It is on the disk before any message that follows from
 * it is sent, and before entries of its term are written.
 */
export interface HardState {
  readonly term: number
  /** Who got the vote in that term; 0: nobody. */
  readonly vote: number
  /**
   * How far the log had reached before damage took its end. Until it reaches there again, the replica
   * speaks of this point when it votes, and does not lead.
   */
  readonly promised: Point | undefined
  /**
   * Members by their place in the log, ascending. Some may never have got into the log, or have been cut
   * from it: which, the log itself says.
   */
  readonly configurations: readonly Configuration[]
}
