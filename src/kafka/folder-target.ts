import { MIB, TidemarkError } from '../base/index.ts'
import { nodeClock, nodeFiles, nodeRandom } from '../io/index.ts'
import { type Entry, FolderSnapshots, Log, MIRROR_FOLDER } from '../log/index.ts'
import { decodeMark, encodeMark, type MirrorMark } from './mirror-mark.ts'
import {
  checkSame,
  type MirrorPlace,
  type MirrorSource,
  type MirrorTarget,
  notEmpty,
  otherSource,
} from './mirror-target.ts'

/** How often it is noted how far the mirror is: what came since is compared when it goes on. */
const MARK_MS = 2_000
const MARKS_KEPT = 2
/** What is appended at a time. */
const BATCH_BYTES = 4 * MIB
/** No entry of the other engines is larger. */
const ENTRY_BYTES = 128 * MIB

interface PlacedMark extends MirrorMark {
  /** Offset in the target behind everything that the mark stands for. */
  readonly at: number
}

/**
 * A mirror into a folder. Entries are appended, and now and then it is noted, in a file of the snapshots' format, that the
 * target up to one offset is the source up to another.
 *
 * Invariant: what lies behind the newest note is compared with the source before anything is appended, so nothing is copied
 * twice, wherever a mirror was killed.
 */
export class FolderTarget implements MirrorTarget {
  readonly #log: Log<Buffer, Uint8Array | string>
  readonly #marks: FolderSnapshots
  #from = ''
  /** Of the source: the last entry that was appended, and what comes next. */
  #last = { offset: -1, next: 0 }
  /**
   * What was handed to the log last. Invariant: nothing is handed to it before that was taken, all of it, so that the target
   * is always the beginning of what it is a copy of.
   */
  #appending: Promise<unknown> = Promise.resolve()
  /** False while something is taken that the newest note does not say. */
  #isNoted = true
  #markedAt = Number.NEGATIVE_INFINITY
  isDirty = false

  private constructor(log: Log<Buffer, Uint8Array | string>) {
    this.#log = log
    const ports = { files: nodeFiles, random: nodeRandom }
    const rules = {
      checkReadable: () => {},
      checkWritable: () => {},
      offsetMax: () => log.highWaterMark,
      makeDurable: () => log.flush(),
    }
    this.#marks = new FolderSnapshots(ports, log.folder, rules, MIRROR_FOLDER)
  }

  static async open(folder: string): Promise<FolderTarget> {
    // It is synced when it is noted how far it is.
    return new FolderTarget(await Log.open(folder, { sync: 'never', maxEntryBytes: ENTRY_BYTES }))
  }

  get identity(): string {
    return nodeFiles.realPathSync(this.#log.folder)
  }

  async begin(source: MirrorSource, from: number | undefined): Promise<MirrorPlace> {
    this.#from = source.name
    await this.#appending.catch(() => {})
    this.#appending = Promise.resolve()
    const { folder, highWaterMark } = this.#log
    const mark = await this.#newest()
    if (!mark) {
      if (highWaterMark > 0 && from === undefined) throw notEmpty(folder, source.name)
      this.#last = { offset: -1, next: from ?? source.log.lowWaterMark }
      await this.#note()
      return { next: this.#last.next, isResumed: false }
    }
    if (mark.from !== source.name) throw otherSource(folder, mark.from, source.name)
    this.#last = await this.#compared(source, mark)
    await this.#note()
    return { next: this.#last.next, isResumed: true }
  }

  async write(entries: readonly Entry[]): Promise<void> {
    this.isDirty = true
    for (let at = 0; at < entries.length; ) {
      const batch: Entry[] = []
      for (let bytes = 0; at < entries.length && bytes < BATCH_BYTES; at++) {
        batch.push(entries[at]!)
        bytes += entries[at]!.data.length
      }
      await this.#appending
      this.#append(batch)
    }
    if (nodeClock.monotonic() - this.#markedAt >= MARK_MS) await this.#note()
  }

  #append(batch: readonly Entry[]): void {
    const { offset, count } = batch.at(-1)!
    this.#isNoted = false
    this.#appending = this.#log.appendEntries(batch).then(() => {
      this.#last = { offset, next: offset + count }
    })
    // Who writes next, or settles, learns of a failure.
    this.#appending.catch(() => {})
  }

  async settle(): Promise<void> {
    await this.#appending
    await this.#log.flush()
    this.isDirty = false
    if (nodeClock.monotonic() - this.#markedAt >= MARK_MS) await this.#note()
  }

  async close(): Promise<void> {
    try {
      await this.#appending.catch(() => {})
      this.#appending = Promise.resolve()
      // The source may have been trimmed when the next mirror begins: it has nothing to compare then.
      if (!this.#isNoted) await this.#note()
    } catch (error) {
      // Without the note, what came since the last one is compared.
      if (!(error instanceof TidemarkError)) throw error
    } finally {
      await this.#log.close()
    }
  }

  async #note(): Promise<void> {
    await this.#appending
    const at = this.#log.highWaterMark
    await this.#marks.write(at, [encodeMark({ from: this.#from, ...this.#last })])
    this.#markedAt = nodeClock.monotonic()
    this.#isNoted = true
    const offsets = await this.#marks.list()
    for (const old of offsets.slice(0, -MARKS_KEPT)) await this.#marks.remove(old)
  }

  /** The newest note that is sound: one that a crash has damaged is as good as none. */
  async #newest(): Promise<PlacedMark | undefined> {
    for (const at of (await this.#marks.list()).reverse()) {
      const mark = await this.#read(at)
      if (mark) return { ...mark, at }
    }
    return undefined
  }

  async #read(at: number): Promise<MirrorMark | undefined> {
    const chunks: Uint8Array[] = []
    try {
      for await (const chunk of this.#marks.read(at)) chunks.push(chunk)
    } catch (error) {
      if (error instanceof TidemarkError && error.code === 'CORRUPT') return undefined
      throw error
    }
    return decodeMark(Buffer.concat(chunks))
  }

  /** Throws INVALID_ARGUMENT if the source has something else now where the mirror had come to. */
  async #checkLast({ log }: MirrorSource, { at, offset }: PlacedMark): Promise<void> {
    if (offset < log.lowWaterMark || at === 0) return
    const copy = await this.#log.get(at - 1)
    if (copy) checkSame(this.#log.folder, copy, await log.get(offset))
  }

  /** Goes through what lies behind a note, and returns where the source is then. */
  async #compared(
    source: MirrorSource,
    mark: PlacedMark,
  ): Promise<{ offset: number; next: number }> {
    const { folder, highWaterMark, lowWaterMark } = this.#log
    let { offset, next } = mark
    if (highWaterMark < mark.at) {
      const problem = `${folder} ends at ${highWaterMark}, though a mirror had come to ${mark.at}: entries were lost`
      throw new TidemarkError('CORRUPT', problem, { offset: highWaterMark })
    }
    await this.#checkLast(source, mark)
    if (highWaterMark === mark.at) return { offset, next }
    const copies = this.#log.read({ from: Math.max(mark.at, lowWaterMark) })
    const originals = source.log.read({ from: next })
    try {
      for (let at = mark.at; at < highWaterMark; ) {
        const { value: original } = await originals.next()
        // What retention has removed meanwhile cannot be compared.
        const copy = at < lowWaterMark ? undefined : (await copies.next()).value
        if (copy) checkSame(folder, copy, original)
        if (!original) break
        at += original.count
        offset = original.offset
        next = original.offset + original.count
      }
    } finally {
      await copies.return()
      await originals.return()
    }
    return { offset, next }
  }
}
