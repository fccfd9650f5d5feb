import { invariant } from '../base/index.ts'
import type { DamagedRange, Log, ReplicaEntry } from '../log/index.ts'
import type { Batch, HardState, Persist } from './core/index.ts'
import type { Receipts } from './receipts.ts'
import type { RecentBatches } from './recent-batches.ts'
import { entriesOf } from './wire/index.ts'

/**
 * Does a replica's work at the disk in the order in which the core asks for it. Work that only appends or
 * cuts is begun at once behind what was begun before, so that the log can sync many pieces together;
 * anything else waits until all before it is done.
 */
export class DiskQueue {
  readonly #log: Log
  readonly #saveHard: (hard: HardState) => Promise<void>
  readonly #recent: RecentBatches
  readonly #receipts: Receipts
  readonly #onDone: (number: number) => void
  readonly #onError: (error: unknown) => void
  /** Resolves when everything so far has been begun. */
  #begun: Promise<unknown> = Promise.resolve()
  /** Resolves when everything so far is done, or has failed. */
  #done: Promise<unknown> = Promise.resolve()
  #hasFailed = false

  constructor(parts: {
    readonly log: Log
    readonly saveHard: (hard: HardState) => Promise<void>
    readonly recent: RecentBatches
    readonly receipts: Receipts
    readonly onDone: (number: number) => void
    readonly onError: (error: unknown) => void
  }) {
    this.#log = parts.log
    this.#saveHard = parts.saveHard
    this.#recent = parts.recent
    this.#receipts = parts.receipts
    this.#onDone = parts.onDone
    this.#onError = parts.onError
  }

  perform(work: Persist): void {
    this.#note(work)
    const before = this.#done
    const begun = this.#begun.then(() => this.#begin(work, before))
    this.#begun = begun
    this.#done = Promise.all([before, begun.then((own) => Promise.all(own.writes))]).then(
      () => {
        if (!this.#hasFailed) this.#onDone(work.number)
      },
      (error) => this.#fail(error),
    )
  }

  /** Resolves when nothing is at the disk. */
  async idle(): Promise<void> {
    await this.#done
  }

  /** What the core may ask for from now on is what the log will be. */
  #note({ reset, truncate, batches }: Persist): void {
    if (reset) {
      this.#recent.clear()
      this.#receipts.reset(reset.mark)
    }
    if (truncate !== undefined) {
      this.#recent.cut(truncate)
      this.#receipts.cut(truncate)
    }
    this.#recent.written(batches)
    this.#receipts.written(batches)
  }

  /** The writes are wrapped, since a promise would be waited for. */
  async #begin(
    work: Persist,
    before: Promise<unknown>,
  ): Promise<{ writes: readonly Promise<unknown>[] }> {
    const { hard, reset, fill, truncate, batches, trim } = work
    if (this.#hasFailed) return { writes: [] }
    if (hard) await this.#saveHard(hard)
    if (reset || fill || trim !== undefined) await before
    if (this.#hasFailed) return { writes: [] }
    const { replica } = this.#log
    if (reset) await replica.reset(reset.mark, reset.term)
    if (fill) await fillHole(this.#log, fill.hole, fill.batches)
    const writes: Promise<unknown>[] = []
    if (truncate !== undefined) writes.push(replica.truncateAfter(truncate))
    for (const batch of batches) writes.push(replica.append(entriesOf(batch)))
    if (trim !== undefined) writes.push(this.#log.trim(trim))
    return { writes }
  }

  #fail(error: unknown): void {
    if (this.#hasFailed) return
    this.#hasFailed = true
    this.#onError(error)
  }
}

/** Writes batches over damage. Of a damaged batch, entries may be sound that lie outside of the ranges. */
async function fillHole(
  log: Log,
  hole: { readonly from: number; readonly to: number },
  batches: readonly Batch[],
): Promise<void> {
  const { replica } = log
  const inHole = ({ offset, endOffset }: DamagedRange) => offset < hole.to && endOffset > hole.from
  for (const range of replica.damage.filter(inHole)) {
    // The low-water mark may lie within a range, and the hole begins there.
    const from = Math.max(range.offset, hole.from)
    await replica.replaceDamaged(range, entriesIn(batches, { ...range, offset: from }), from)
  }
  invariant(!replica.damage.some(inHole), `the hole from ${hole.from} to ${hole.to} is filled`)
}

function entriesIn(batches: readonly Batch[], range: DamagedRange): ReplicaEntry[] {
  const found: ReplicaEntry[] = []
  for (const batch of batches) {
    let offset = batch.start
    for (const entry of entriesOf(batch)) {
      if (offset >= range.offset && offset < range.endOffset) found.push(entry)
      offset += entry.count
    }
    invariant(offset === batch.end, `the entries of a batch to ${batch.end} end at ${offset}`)
  }
  return found
}
