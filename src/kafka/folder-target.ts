import { TidemarkError } from '../base/index.ts'
import { nodeClock, nodeFiles, nodeRandom } from '../io/index.ts'
import { type Entry, FolderSnapshots, Log, MIRROR_FOLDER } from '../log/index.ts'
import { decodeMark, encodeMark, type MirrorMark } from './mirror-mark.ts'
import {
  alreadyBegun,
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
  /** The entries that were handed to the log last; those before have been taken. */
  #appending: Promise<unknown> = Promise.resolve()
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
    return new FolderTarget(await Log.open(folder, { sync: 'never' }))
  }

  async begin(source: MirrorSource, from: number | undefined): Promise<MirrorPlace> {
    this.#from = source.name
    const { folder, highWaterMark } = this.#log
    const mark = await this.#newest()
    if (!mark) {
      if (highWaterMark > 0 && from === undefined) throw notEmpty(folder, source.name)
      this.#last = { offset: -1, next: from ?? source.log.lowWaterMark }
      await this.#note()
      return { next: this.#last.next, isResumed: false }
    }
    if (mark.from !== source.name) throw otherSource(folder, mark.from, source.name)
    if (from !== undefined && from !== mark.next) throw alreadyBegun(folder, mark.next)
    this.#last = await this.#compared(source, mark)
    await this.#note()
    return { next: this.#last.next, isResumed: true }
  }

  async write(entries: readonly Entry[]): Promise<void> {
    const before = this.#appending
    this.isDirty = true
    const appends = entries.map(({ data, type, timestamp }) =>
      this.#log.append(data, { type, timestamp }),
    )
    this.#appending = Promise.all(appends)
    // Who writes next, or settles, learns of a failure.
    this.#appending.catch(() => {})
    await before
    const { offset, count } = entries.at(-1)!
    this.#last = { offset, next: offset + count }
    if (nodeClock.monotonic() - this.#markedAt >= MARK_MS) await this.#note()
  }

  async settle(): Promise<void> {
    await this.#appending
    await this.#log.flush()
    this.isDirty = false
    if (nodeClock.monotonic() - this.#markedAt >= MARK_MS) await this.#note()
  }

  async close(): Promise<void> {
    await this.#appending.catch(() => {})
    await this.#log.close()
  }

  async #note(): Promise<void> {
    await this.#appending
    const at = this.#log.highWaterMark
    await this.#marks.write(at, [encodeMark({ from: this.#from, ...this.#last })])
    this.#markedAt = nodeClock.monotonic()
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
    if (highWaterMark === mark.at) return { offset, next }
    const copies = this.#log.read({ from: Math.max(mark.at, lowWaterMark) })
    const originals = source.log.read({ from: next })
    try {
      for (let at = mark.at; at < highWaterMark; at++) {
        const { value: original } = await originals.next()
        // What retention has removed meanwhile cannot be compared.
        const copy = at < lowWaterMark ? undefined : (await copies.next()).value
        if (copy) checkSame(folder, copy, original)
        if (!original) break
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
