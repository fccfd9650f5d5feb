import type { Log } from '../log/index.ts'
import type { Batch, StoredLog } from './core/index.ts'
import { type BatchEntry, decodeReceipt, type Receipt, TYPE_RECEIPT } from './wire/index.ts'

/** How much of the end of a log is looked through when it is opened. */
const LOADED_OFFSETS = 16_384

/** How many receipts are remembered; the oldest go. */
const KEPT_MAX = 65_536

/** An append that is in the log, committed or not. */
export interface Kept extends Receipt {
  readonly start: number
  readonly end: number
}

/**
 * Which appends the end of a log has, so that one that is asked for again is not appended again. It follows from the
 * log alone; each replica remembers as much of it as it has seen.
 *
 * Patterns: idempotent receiver (docs/patterns.md).
 *
 * Invariant: of every batch that ends above {@link covered} and has a receipt, it is here.
 */
export class Receipts {
  #covered: number
  /** In the order of the log; those before `#first` are gone. */
  #kept: Kept[] = []
  #first = 0
  readonly #bySession = new Map<number, Map<number, Kept>>()

  constructor(covered: number) {
    this.#covered = covered
  }

  /** Looks through the end of a log that was opened. Where damage is, nothing is known below it. */
  static async load(log: Log, { low, last, holes }: StoredLog): Promise<Receipts> {
    const from = Math.max(low.mark, last.mark - LOADED_OFFSETS, holes.at(-1)?.to ?? 0)
    const receipts = new Receipts(from)
    // Where it begins within a batch, the start of that one is not known.
    let isWhole = from !== last.mark - LOADED_OFFSETS || from === low.mark
    let start = from
    for await (const { offset, type, count, more, data } of log.replica.read(from, last.mark)) {
      if (more) continue
      const end = offset + count
      if (!isWhole) receipts.#covered = end
      else if (type === TYPE_RECEIPT) receipts.#keep({ ...decodeReceipt(data), start, end })
      isWhole = true
      start = end
    }
    return receipts
  }

  /** Everything that was appended above is known. */
  get covered(): number {
    return this.#covered
  }

  find({ session, request }: Receipt): Kept | undefined {
    return this.#bySession.get(session)?.get(request)
  }

  /** Batches have been handed to the log. */
  written(batches: readonly Batch[]): void {
    for (const { kind, start, end, payload } of batches) {
      if (kind !== 'data') continue
      const last = (payload as readonly BatchEntry[]).at(-1)!
      if (last.type !== TYPE_RECEIPT) continue
      this.#keep({ ...decodeReceipt(last.data as Buffer), start, end })
    }
  }

  /** What ends above the mark is not in the log any more. */
  cut(mark: number): void {
    for (let last = this.#kept.at(-1); last && last.end > mark; last = this.#kept.at(-1)) {
      if (this.#kept.length === this.#first) return
      this.#kept.pop()
      this.#forget(last)
    }
  }

  /** The log begins anew at the mark: what was below is not known. */
  reset(mark: number): void {
    this.#covered = mark
    this.#kept = []
    this.#first = 0
    this.#bySession.clear()
  }

  #keep(kept: Kept): void {
    const { session, request } = kept
    let requests = this.#bySession.get(session)
    if (!requests) {
      requests = new Map()
      this.#bySession.set(session, requests)
    }
    requests.set(request, kept)
    this.#kept.push(kept)
    if (this.#kept.length - this.#first > KEPT_MAX) this.#dropOldest()
  }

  #dropOldest(): void {
    const oldest = this.#kept[this.#first++]!
    this.#forget(oldest)
    this.#covered = oldest.end
    if (this.#first < KEPT_MAX) return
    this.#kept.splice(0, this.#first)
    this.#first = 0
  }

  #forget(kept: Kept): void {
    const requests = this.#bySession.get(kept.session)
    if (requests?.get(kept.request) !== kept) return
    requests.delete(kept.request)
    if (requests.size === 0) this.#bySession.delete(kept.session)
  }
}
