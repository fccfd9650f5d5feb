import { InvariantError, invariant, TERM_MAX, TidemarkError } from '../base/index.ts'
import type { FileLock } from '../io/index.ts'
import { Advance } from './advance.ts'
import { Group } from './group.ts'
import type { LogView } from './log-view.ts'
import { writerStamp } from './marks-format.ts'
import { MarksPublisher } from './marks-publisher.ts'
import type { CleanEnd } from './meta-format.ts'
import { Meter, type Recovered } from './meter.ts'
import type { LogSettings } from './options.ts'
import type { DamagedRange } from './recovery.ts'
import type { Segment } from './segment.ts'
import { SegmentFiles } from './segment-files.ts'
import { Sequencer } from './steps.ts'
import { Store } from './store.ts'

/** Where a log stands when it has been opened for writing. */
export interface WriterStart {
  readonly segments: Segment[]
  readonly lowWaterMark: number
  readonly lowTerm: number
  readonly highWaterMark: number
  /** The clean end that the meta file still holds; a first write must remove it. */
  readonly clean: CleanEnd | undefined
  readonly damage: DamagedRange[]
  /** Sealed segments that have been read through. */
  readonly examined: readonly Segment[]
  readonly recovered: Recovered
}

/**
 * Everything that changes while a log is open for writing. The jobs in commit.ts, roll.ts, trim.ts and
 * cut.ts change it, one at a time, in the sequencer's order.
 *
 * Invariant: lowWaterMark <= highWaterMark <= end of the active segment <= nextOffset, and
 * syncedMark <= that end.
 */
export class WriterState implements LogView {
  readonly folder: string
  readonly settings: LogSettings
  readonly lock: FileLock
  readonly sequencer: Sequencer
  readonly files: SegmentFiles
  readonly advance = new Advance()
  readonly marks: MarksPublisher
  readonly meter: Meter
  segments: readonly Segment[]
  lowWaterMark: number
  /** Term of the entry at lowWaterMark - 1; 0 if there never was one. */
  lowTerm: number
  highWaterMark: number
  /** First offset not proven to be on this disk. */
  syncedMark: number
  /** The offset of the next entry to be appended, behind all that wait. */
  nextOffset: number
  /** The generation of this writer: one more than that of the last entry it found. */
  term: number
  clean: CleanEnd | undefined
  /** Where the log is being cut: meanwhile no mark that is written may testify to what lies behind. */
  cutAt = Number.POSITIVE_INFINITY
  damage: readonly DamagedRange[]
  /** The reason why nothing can be written any more, once a sync has failed. */
  poison: TidemarkError | undefined
  /** A writer knows what it wrote; what fails, fails where it was asked for. */
  readonly failure = undefined
  isClosing = false
  isClosed = false
  /** Called when a segment has been sealed and the next one begun. */
  onSealed: () => void = () => {}
  /** The group that takes appends now; undefined while nothing waits. */
  pending: Group | undefined
  #store: Store | undefined

  constructor(folder: string, settings: LogSettings, lock: FileLock, start: WriterStart) {
    this.folder = folder
    this.settings = settings
    this.lock = lock
    this.sequencer = new Sequencer(settings.clock)
    this.files = new SegmentFiles(settings)
    this.meter = new Meter(folder)
    this.segments = start.segments
    this.lowWaterMark = start.lowWaterMark
    this.lowTerm = start.lowTerm
    this.highWaterMark = start.highWaterMark
    this.syncedMark = this.active.endOffset
    this.nextOffset = this.active.endOffset
    this.term = Math.min(this.active.lastTerm + 1, TERM_MAX)
    this.clean = start.clean
    this.damage = start.damage
    const writer = writerStamp(lock.token)
    this.marks = new MarksPublisher(folder, settings, () => ({
      segmentId: this.active.id,
      synced: Math.min(this.cutAt, Math.max(this.syncedMark, this.#lostFrom())),
      highWaterMark: this.highWaterMark,
      writer,
    }))
  }

  /**
   * A damaged range that reaches to the end of the log was on this disk once. Until its entries are
   * here again the marks file goes on saying so, or the next opening would take the log for whole.
   */
  #lostFrom(): number {
    return Math.max(0, ...this.damage.filter(isLost).map((range) => range.endOffset))
  }

  /** Forgets the damaged ranges at the end whose entries have been appended again. */
  forgetRegained(): void {
    if (this.damage.length === 0) return
    const { endOffset } = this.active
    this.damage = this.damage.filter((range) => !isLost(range) || range.endOffset > endOffset)
  }

  get active(): Segment {
    const segment = this.segments.at(-1)
    invariant(segment, 'a log has an active segment')
    return segment
  }

  /** The store of the active segment, opened when it is first needed. */
  get store(): Store {
    this.#store ??= new Store(this.settings.files, this.settings.clock, this.active.storePath)
    return this.#store
  }

  /** Lets go of the store, because another segment becomes active or the log is closed. */
  closeStore(): void {
    this.#store?.close()
    this.#store = undefined
  }

  get isStoreOpen(): boolean {
    return this.#store !== undefined
  }

  /** Throws CLOSED or POISONED unless the log takes writes. */
  checkWritable(): void {
    if (this.isClosing) throw new TidemarkError('CLOSED', `the log ${this.folder} is closed`)
    if (this.poison) throw this.poison
  }

  /** After this nothing is written any more: what the failed sync covered may be lost or not. */
  poisonWith(cause: unknown): TidemarkError {
    if (this.poison) return this.poison
    this.poison = new TidemarkError(
      'POISONED',
      `a sync of the log ${this.folder} failed, so nothing more is written to it: close it, mend the disk, and open it again`,
      {},
      cause instanceof Error && cause.cause !== undefined ? cause.cause : cause,
    )
    this.meter.poisoned(this.poison)
    return this.poison
  }

  /** Raises the high-water mark and tells those who follow. */
  raiseHighWaterMark(to: number): void {
    const { endOffset } = this.active
    if (to > endOffset) throw new InvariantError(`mark ${to} is beyond the end ${endOffset}`)
    if (to <= this.highWaterMark) return
    this.highWaterMark = to
    this.advance.fire()
  }

  /** The group that takes appends; `enqueueCommit` is called with it when it is made. */
  openGroup(enqueueCommit: (group: Group) => void): Group {
    if (!this.pending) {
      this.pending = new Group(this.nextOffset)
      enqueueCommit(this.pending)
    }
    return this.pending
  }

  /** From now on appends form the next group. */
  closeGroup(group: Group): void {
    if (this.pending === group) this.pending = undefined
  }

  // A writer knows what it wrote: there is nothing to look for.
  refresh(): Promise<void> {
    return Promise.resolve()
  }

  barrier(): Promise<void> {
    return Promise.resolve()
  }

  watch(): () => void {
    return () => {}
  }
}

function isLost(range: DamagedRange): boolean {
  return range.endPosition === undefined
}
