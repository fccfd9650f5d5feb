import { invariant } from '../../base/index.ts'
import type { HardState, Hole } from './log-view.ts'
import type { Batch, Envelope, Point, ReplicaId } from './messages.ts'

/**
 * One piece of work for the disk. The host does them strictly in order, each after the one before, and
 * reports each by its number once all of it is synced; within one, in the order of these fields.
 */
export interface Persist {
  /** Counts up from 1. */
  readonly number: number
  readonly hard?: HardState
  /** The log begins anew here. */
  readonly reset?: Point
  /** Batches to be written over damage: over all of it, unless the rest is cut by the same piece. */
  readonly fill?: { readonly hole: Hole; readonly batches: readonly Batch[] }
  /** The log is cut here. */
  readonly truncate?: number
  readonly batches: readonly Batch[]
  /** Everything below is to be forgotten. */
  readonly trim?: number
}

/** What waits for a piece of work. */
interface Waiting {
  readonly number: number
  /** The term that is on the disk then. */
  readonly term: number
  /** Who has this replica's vote in it, on the disk. */
  readonly vote: ReplicaId
  /** Where the log ends on the disk then, as long as no later piece cuts it. */
  end: number
  readonly filled: Hole | undefined
  readonly messages: Envelope[]
}

/**
 * The work that is at the disk, and the messages that leave when it is done: a vote or an acknowledgement
 * says that something is durable, so it waits for all that came before it.
 */
export class IoQueue {
  readonly #waiting: Waiting[] = []
  #number = 0

  get isIdle(): boolean {
    return this.#waiting.length === 0
  }

  issue(work: Omit<Waiting, 'number'>): number {
    const number = ++this.#number
    const { term, vote, end, filled, messages } = work
    this.#waiting.push({ number, term, vote, end, filled, messages })
    return number
  }

  /** Lets messages wait for everything that is at the disk now. */
  follow(messages: readonly Envelope[]): void {
    invariant(!this.isIdle, 'something is at the disk')
    this.#waiting.at(-1)!.messages.push(...messages)
  }

  /**
   * The log is cut at `mark` by a piece that is still to come. What pieces before it report as written
   * above the mark is not there to stay, even if the same batches are written once more.
   */
  cut(mark: number): void {
    for (const work of this.#waiting) work.end = Math.min(work.end, mark)
  }

  /** Takes the piece off the queue whose number is reported. */
  done(number: number): Waiting {
    const work = this.#waiting.shift()
    invariant(work?.number === number, `piece ${number} is done, and ${work?.number} is the first`)
    return work
  }
}
