import type { BackupOptions, BackupReport } from './backup.ts'
import { checkSegment, type Pace, type SegmentCheck } from './check-segment.ts'
import type { AppendedRange, AppendOptions } from './commit-log.ts'
import { cutFrom, resetTo } from './cut.ts'
import type { MakeEntry } from './decode.ts'
import { EntryIterator } from './entry-iterator.ts'
import { ForwardReader } from './forward-reader.ts'
import { checkFolderName, withIoErrors } from './io-error.ts'
import { runJob } from './jobs.ts'
import type { LogView } from './log-view.ts'
import { checkOffset, checkTerm, checkToolOptions, type Retention } from './options.ts'
import type { DamagedRange } from './recovery.ts'
import { replaceRange } from './replace-damaged.ts'
import {
  checkBirth,
  checkEntries,
  type MadeEntry,
  makeEntry,
  type ReplicaEntry,
} from './replica-entry.ts'
import { retentionMark } from './retention.ts'
import { finishSync } from './steps.ts'
import { termAt } from './term.ts'
import type { Writer } from './writer.ts'
import type { WriterState } from './writer-state.ts'

/** An entry as it lies in a replica's store. */
export interface StoredEntry extends Required<ReplicaEntry> {
  readonly offset: number
  readonly data: Buffer
}

const makeStored: MakeEntry<StoredEntry> = (header, offset, data) => {
  const { term, type, timestamp, count, dataCrc, more } = header
  return { offset, term, type, timestamp, count, dataCrc, more, data }
}

/**
 * What the host of a replica needs of its log, below what programs see: it decides the terms, the
 * high-water mark and where the log is cut, and repairs damage from its peers.
 */
export class Replica {
  readonly #w: WriterState
  readonly #writer: Writer

  /** @internal */
  constructor(w: WriterState, writer: Writer) {
    this.#w = w
    this.#writer = writer
  }

  /** The offset behind the last entry written, whether committed or not. */
  get endOffset(): number {
    return this.#w.active.endOffset
  }

  /** Every entry below is on this disk. */
  get syncedMark(): number {
    return this.#w.syncedMark
  }

  /** Term of the last entry written; 0 if there never was one. */
  get lastTerm(): number {
    return this.#w.active.lastTerm
  }

  /** Entries that were once synced and are not sound: found when the log was opened. */
  get damage(): readonly DamagedRange[] {
    return this.#w.damage
  }

  /** Appends entries as one atomic batch. Resolves when they are on this disk, under `sync: 'always'`. */
  append(entries: readonly ReplicaEntry[]): Promise<AppendedRange> {
    return this.#writer.appendReplica(entries)
  }

  /**
   * Everything below `offset` is committed by the quorum: shows it, as far as it is synced here. The
   * offset lies between two batches, as all marks do; that is the host's to keep.
   */
  commit(offset: number): void {
    checkOffset(offset, 'offset')
    this.#w.raiseHighWaterMark(Math.min(offset, this.#w.syncedMark))
    this.#w.marks.changed()
  }

  /** Cuts all entries from `offset` on: not below the high-water mark, and between two batches. */
  truncateAfter(offset: number): Promise<void> {
    const from = checkOffset(offset, 'offset')
    return this.#moveEnd(from, () => cutFrom(this.#w, from), 'cut')
  }

  /**
   * Empties the log; it goes on at `offset`, with `term` as that of the entry before. Not below the high-water
   * mark, unless the log is damaged: then that mark falls to `offset`.
   */
  reset(offset: number, term: number): Promise<void> {
    const from = checkOffset(offset, 'offset')
    const before = checkTerm(term, 'term')
    return this.#moveEnd(from, () => resetTo(this.#w, from, before), 'reset')
  }

  #moveEnd(from: number, work: () => ReturnType<typeof cutFrom>, what: string): Promise<void> {
    const w = this.#w
    try {
      w.checkWritable()
    } catch (error) {
      return Promise.reject(error)
    }
    // Appends from now on come behind the cut; those of before are written first.
    w.pending = undefined
    w.nextOffset = from
    return runJob(w, what, function* move() {
      try {
        yield* work()
      } catch (error) {
        w.nextOffset = w.active.endOffset
        throw error
      }
    })
  }

  /** The term of the entry at `offset`, from the low-water mark minus one to the end. */
  termAt(offset: number): number {
    return finishSync(termAt(this.#w, checkOffset(offset, 'offset')))
  }

  /**
   * The entry that an append of this data would be, checked and copied as `append` does it: of at most `maxBytes`.
   * Throws TOO_LARGE or INVALID_ARGUMENT.
   */
  entryOf(data: Uint8Array | string, options: AppendOptions, maxBytes: number): MadeEntry {
    return makeEntry(data, options, maxBytes, this.#w.settings.clock)
  }

  /** Where the low-water mark has to be now so that the log keeps to a retention: between two segments. */
  async retentionMark(retention: Retention): Promise<number> {
    const w = this.#w
    let mark = w.lowWaterMark
    await runJob(w, 'trim', function* look() {
      mark = yield* retentionMark(w, retention, w.settings.clock.now())
    })
    return mark
  }

  /**
   * Checks every byte of the segment that holds `offset`, from its first entry to its end, or to what is synced;
   * undefined behind all that is. `pace` is called after each piece that was read, with its bytes, and waited for.
   */
  checkSegment(offset: number, pace: Pace): Promise<SegmentCheck | undefined> {
    const from = checkOffset(offset, 'offset')
    return withIoErrors(`check the log ${this.#w.folder}`, () => checkSegment(this.#w, from, pace))
  }

  /**
   * Makes a backup, as `Log.backup` does, that is no replica: whoever opens it has what is below the high-water mark, at
   * the same offsets, and can append to it.
   */
  async backup(to: string, options: BackupOptions = {}): Promise<BackupReport> {
    checkFolderName(to)
    checkToolOptions(options, ['onProgress', 'signal'])
    const { backupView } = await import('./backup.ts')
    return backupView(this.#w, to, options, true)
  }

  /** Entries in order as they are stored, above the high-water mark too, up to `to` or the end. */
  read(from: number, to: number): EntryIterator<StoredEntry> {
    const w = this.#w
    const end = w.active.endOffset
    const view: LogView = {
      folder: w.folder,
      settings: w.settings,
      files: w.files,
      advance: w.advance,
      get segments() {
        return w.segments
      },
      get lowWaterMark() {
        return w.lowWaterMark
      },
      get isClosed() {
        return w.isClosed
      },
      highWaterMark: end,
      failure: undefined,
      refresh: () => w.refresh(),
      barrier: () => w.refresh(),
      watch: () => w.watch(),
    }
    const options = { from: checkOffset(from, 'from'), to: checkOffset(to, 'to') }
    const reader = new ForwardReader(view, makeStored, options)
    return new EntryIterator(reader, w.folder, (error) => w.meter.failed(error))
  }

  /**
   * Puts a peer's entries in the place of a damaged range, which they must fill exactly; then the
   * range is whole again and synced. Entries that end a batch (`more: false` said of the last) may also fill
   * its beginning; then the rest is still damaged, and can be cut off behind them. With `from`, where the
   * low-water mark lies within the range, they fill what is left of it.
   */
  async replaceDamaged(
    range: DamagedRange,
    entries: readonly ReplicaEntry[],
    from: number = range?.offset,
  ): Promise<void> {
    checkEntries(entries)
    for (const entry of entries) checkBirth(entry)
    return runJob(this.#w, 'repair', () => replaceRange(this.#w, range, entries, from))
  }
}
