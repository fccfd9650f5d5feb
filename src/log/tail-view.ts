import { errnoOf, TidemarkError } from '../base/index.ts'
import { Advance } from './advance.ts'
import { syncFileStep } from './file-steps.ts'
import { writerOf } from './folder-lock.ts'
import type { LogView } from './log-view.ts'
import { type Marks, writerStamp } from './marks-format.ts'
import { readMarks } from './marks-publisher.ts'
import { OffsetIndex } from './offset-index.ts'
import type { LogSettings } from './options.ts'
import { lowMarks, storeSize } from './outline.ts'
import { type Found, findLog } from './recovery.ts'
import type { Segment } from './segment.ts'
import { SegmentFiles } from './segment-files.ts'
import { type ScanStart, scanEntries, segmentStart } from './segment-scan.ts'
import { finish } from './steps.ts'
import { examineTail } from './tail.ts'

/** A file can vanish between its listing and its opening, when the writer trims. */
const ATTEMPTS_MAX = 20
/** So long without news, and a reader that follows asks whether the writer still lives. */
const SILENCE_MS = 200
/** Marks follow an acknowledgement within a millisecond or two, unless the writer's process stands still. */
const BARRIER_MS_MAX = 5000

/**
 * A log as a process sees it that does not write it. While a writer lives, its marks file says what
 * may be shown. When none does, the tail is read as a writer would on opening, the store is synced, and
 * then all that is sound is shown: every entry that was ever acknowledged is in it.
 */
export class TailView implements LogView {
  readonly folder: string
  readonly settings: LogSettings
  readonly files: SegmentFiles
  readonly advance = new Advance()
  segments: readonly Segment[] = []
  lowWaterMark = 0
  highWaterMark = 0
  /** Process id of the living writer when it was last asked for. */
  writerPid: number | undefined
  isClosed = false
  failure: Error | undefined
  /** What is in the store of a replica is not all committed; only its host knows what is. */
  #isReplica = false
  #watchers = 0
  #cancelPoll: (() => void) | undefined
  #newsAt = 0
  /** The writer whose marks are believed: the one that lived at the last look. */
  #writer: number | undefined
  /** How far the tail was sound when it was last read without a writer. */
  #examined: (ScanStart & { readonly segmentId: number }) | undefined
  #refreshing: Promise<void> | undefined

  private constructor(folder: string, settings: LogSettings) {
    this.folder = folder
    this.settings = settings
    this.files = new SegmentFiles(settings)
  }

  /** Throws NOT_FOUND if there is no log, CORRUPT if its meta file or a whole segment is damaged. */
  static async open(folder: string, settings: LogSettings): Promise<TailView> {
    const view = new TailView(folder, settings)
    await view.refresh()
    return view
  }

  refresh(): Promise<void> {
    this.#refreshing ??= this.#look().finally(() => {
      this.#refreshing = undefined
    })
    return this.#refreshing
  }

  /**
   * What is acknowledged is in the store, and the marks get there a moment later. So this waits until
   * they have passed the end that the store has now, or until that end was taken back. What a writer
   * has written and says nothing of is not acknowledged, or its process stands still: nobody here can tell
   * which, so after a while this throws IO.
   */
  async barrier(): Promise<void> {
    const { clock } = this.settings
    const begun = clock.monotonic()
    for (;;) {
      await this.refresh()
      if (this.#isReplica || this.isClosed || !this.#writerLives()) return
      const end = await this.#writtenEnd()
      if (this.highWaterMark >= end) return
      if (clock.monotonic() - begun > BARRIER_MS_MAX) throw this.#silence(end)
      await this.#pause(this.settings.pollMs)
    }
  }

  #silence(end: number): TidemarkError {
    const who = this.writerPid === undefined ? '' : ` (process ${this.writerPid})`
    return new TidemarkError(
      'IO',
      `cannot tell what was acknowledged of the log ${this.folder}: its writer${who} has written up to offset ${end}, and for ${BARRIER_MS_MAX} ms has said that it is safe only up to ${this.highWaterMark}; it is stopped, its disk does not answer, or a sync has failed`,
    )
  }

  /** The end of the last whole batch in the store, whether or not it may be shown. */
  async #writtenEnd(): Promise<number> {
    const active = this.segments.at(-1)!
    const index = await finish(this.files.index(active))
    const last = index.count - 1
    const start =
      last < 0
        ? segmentStart(active)
        : { offset: active.base + index.lsnAt(last), position: index.positionAt(last), term: 0 }
    const file = this.files.acquire(active)
    try {
      const scan = await finish(scanEntries(file, active, start, file.sizeSync(), () => true))
      return scan.endOffset
    } finally {
      this.files.release(active)
    }
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => this.settings.clock.after(ms, resolve, true))
  }

  watch(): () => void {
    this.#watchers++
    this.#newsAt = this.settings.clock.monotonic()
    this.#schedulePoll()
    let stopped = false
    return () => {
      if (stopped) return
      stopped = true
      this.#watchers--
      if (this.#watchers > 0) return
      this.#cancelPoll?.()
      this.#cancelPoll = undefined
    }
  }

  close(): void {
    this.isClosed = true
    this.#cancelPoll?.()
    this.#cancelPoll = undefined
    this.files.close()
    this.advance.fire()
  }

  #schedulePoll(): void {
    if (this.#cancelPoll || this.isClosed || this.#watchers === 0) return
    const { clock, pollMs } = this.settings
    const poll = () => {
      this.#cancelPoll = undefined
      this.#poll().then(
        () => this.#schedulePoll(),
        (error: Error) => {
          // Whoever follows is woken and throws it.
          this.failure = error
          this.advance.fire()
          this.#schedulePoll()
        },
      )
    }
    // Whoever follows waits for another process: that wait keeps this one alive.
    this.#cancelPoll = clock.after(pollMs, poll, true)
  }

  async #poll(): Promise<void> {
    const { clock, files } = this.settings
    const marks = readMarks(files, this.folder)
    const isNews = marks && marks.highWaterMark > this.highWaterMark
    if (isNews && marks.writer === this.#writer) await this.#follow(marks)
    else if (isNews || clock.monotonic() - this.#newsAt > SILENCE_MS) await this.refresh()
  }

  /**
   * News while this process was looking: they come from a writer that lived a moment ago, so its marks
   * hold. Only a new segment needs a look at the folder.
   */
  async #follow(marks: Marks): Promise<void> {
    const active = this.segments.at(-1)!
    if (marks.segmentId !== active.id) return this.refresh()
    active.endPosition = storeSize(this.settings, active)
    this.#show(marks.highWaterMark)
  }

  async #look(): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#lookOnce()
        this.failure = undefined
        return
      } catch (error) {
        const isGone = errnoOf(error) === 'ENOENT' || errnoOf(error) === 'CORRUPT'
        if (!isGone || attempt === ATTEMPTS_MAX || !this.#writerLives()) throw error
        // The writer was in the middle of a change; the next look finds it done.
        await this.#pause(1)
      }
    }
  }

  #writerLives(): boolean {
    const holder = writerOf(this.settings.files, this.folder)
    this.writerPid = holder?.pid
    this.#writer = holder?.token === undefined ? undefined : writerStamp(holder.token)
    return holder !== undefined
  }

  async #lookOnce(): Promise<void> {
    const { files } = this.settings
    const lives = this.#writerLives()
    const found = files.existsSync(this.folder) ? findLog(this.settings, this.folder) : undefined
    if (!found) {
      throw new TidemarkError('NOT_FOUND', `there is no log in ${this.folder}`)
    }
    this.#adopt(found)
    this.#isReplica = found.meta.isReplica
    const low = lowMarks(found).lowWaterMark
    this.lowWaterMark = Math.max(this.lowWaterMark, low)
    this.#show(Math.max(low, await this.#visible(found, lives)))
  }

  /**
   * The high-water mark for this process. The marks of the writer that lives are believed. Those of one
   * that is dead are only an upper bound, and only where a writer that is still recovering, or the host of
   * a replica, decides what is shown: after a loss of power they can speak of entries that are gone.
   */
  async #visible(found: Found, lives: boolean): Promise<number> {
    const { meta, marks } = found
    if (lives && marks && marks.writer === this.#writer) return marks.highWaterMark
    if (meta.clean && (lives || meta.isReplica)) return meta.clean.highWaterMark
    const end = await this.#examine(found, lives)
    return lives || meta.isReplica ? Math.min(marks?.highWaterMark ?? 0, end) : end
  }

  /** Takes over the list of segments, keeping what is known of those that are still there. */
  #adopt(found: Found): void {
    const known = new Map(this.segments.map((segment) => [segment.id, segment]))
    const fresh = found.chain.segments
    const active = fresh.at(-1)!
    const size = storeSize(this.settings, active)
    let changed = fresh.length !== this.segments.length
    const merged = fresh.map((segment, i) => {
      const kept = known.get(segment.id)
      if (kept !== this.segments[i]) changed = true
      if (!kept) {
        changed = true
        if (segment === active) segment.indexedOffset = segment.base
        return segment
      }
      if (
        segment !== active &&
        (kept.endOffset !== segment.endOffset || kept.indexedOffset !== undefined)
      ) {
        // It was active and has been sealed.
        kept.endOffset = segment.endOffset
        kept.endPosition = segment.endPosition
        kept.lastTerm = segment.lastTerm
        kept.index = undefined
        kept.indexedOffset = undefined
      }
      return kept
    })
    merged.at(-1)!.endPosition = size
    if (changed) this.segments = merged
  }

  #show(highWaterMark: number): void {
    const active = this.segments.at(-1)!
    active.endOffset = Math.max(active.base, highWaterMark, this.highWaterMark)
    if (highWaterMark <= this.highWaterMark) return
    this.highWaterMark = highWaterMark
    this.#newsAt = this.settings.clock.monotonic()
    this.advance.fire()
  }

  /** How far the log is sound, while nobody appends. What is torn or not whole is not shown. */
  async #examine(found: Found, lives: boolean): Promise<number> {
    const active = this.segments.at(-1)!
    const size = storeSize(this.settings, active)
    const { clean } = found.meta
    if (clean && clean.segmentId === active.id && clean.endPosition === size) return clean.endOffset
    const known = this.#examined?.segmentId === active.id ? this.#examined : undefined
    const start = known ?? segmentStart(active)
    const file = this.files.acquire(active)
    try {
      const index = new OffsetIndex(this.settings.indexIntervalBytes)
      const tail = await finish(examineTail(file, active, start, size, found.proven, index))
      // What is shown must not be taken back by a loss of power; a writer that recovers sees to that itself.
      if (!lives) await finish(syncOnly(file, active.storePath))
      const { endOffset: offset, endPosition: position, lastTerm: term } = tail
      this.#examined = { segmentId: active.id, offset, position, term }
      const damagedTo = tail.damage.at(-1)?.endOffset ?? 0
      return Math.max(tail.endOffset, damagedTo)
    } finally {
      this.files.release(active)
    }
  }
}

function* syncOnly(file: Parameters<typeof syncFileStep>[0], path: string) {
  yield syncFileStep(file, path)
}
