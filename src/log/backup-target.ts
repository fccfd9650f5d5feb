import { join } from 'node:path'
import { errnoOf, INDEX_INTERVAL_BYTES_DEFAULT } from '../base/index.ts'
import type { File, Files } from '../io/index.ts'
import type { Look } from './backup-source.ts'
import { corruptEntry } from './decode.ts'
import { type CopyWatch, copyBytes, copyFile, tryLink, writeNewFile } from './file-copies.ts'
import { removeIfThere } from './file-steps.ts'
import { listSnapshots } from './folder-snapshots.ts'
import { encodeMarks } from './marks-format.ts'
import { type CleanEnd, encodeMeta } from './meta-format.ts'
import {
  CURSOR_FOLDER,
  CURSOR_SUFFIX,
  indexName,
  MARKS_NAME,
  META_NAME,
  SNAPSHOT_FOLDER,
  storeName,
  TEMPORARY_SUFFIX,
} from './names.ts'
import { OffsetIndex } from './offset-index.ts'
import type { Segment } from './segment.ts'
import type { SegmentHeader } from './segment-format.ts'
import { scanEntries, segmentStart } from './segment-scan.ts'
import { finish } from './steps.ts'

const FOLDERS = [SNAPSHOT_FOLDER, CURSOR_FOLDER]

/** A sealed segment that the backup has, whatever becomes of the log's own files. */
interface Taken {
  readonly header: SegmentHeader
  readonly linkedBytes: number
  readonly copiedBytes: number
}

/**
 * The folder in which a backup grows. Invariant: a file that it shares with the log is never written to,
 * neither here nor there; sealed stores, indexes and snapshots are only ever removed or replaced by name.
 * What a log may go on writing, the last segment, is always a copy.
 */
export class BackupTarget {
  readonly #files: Files
  readonly #folder: string
  readonly #taken = new Map<number, Taken>()
  #end: CleanEnd | undefined
  /** The last segment of which a copy was made, perhaps in an attempt that a trim has overtaken. */
  #tail: Segment | undefined

  constructor(files: Files, folder: string) {
    this.#files = files
    this.#folder = folder
  }

  begin(): void {
    this.#files.makeFolderSync(this.#folder)
  }

  /** Takes a sealed segment, once. Throws ENOENT if the log no longer has it. */
  async takeSegment(segment: Segment, mayLink: boolean, watch: CopyWatch): Promise<void> {
    const { header, endPosition } = segment
    if (this.#taken.has(header.id)) return
    const store = join(this.#folder, segment.name)
    this.#forget(segment)
    const isLinked = mayLink && tryLink(this.#files, segment.storePath, store)
    if (isLinked) watch.onBytes?.(endPosition)
    else await this.#copyStore(segment, store, watch)
    await this.#takeIndex(segment, mayLink)
    const [linkedBytes, copiedBytes] = isLinked ? [endPosition, 0] : [0, endPosition]
    this.#taken.set(header.id, { header, linkedBytes, copiedBytes })
  }

  async #copyStore(segment: Segment, to: string, watch: CopyWatch): Promise<void> {
    try {
      await copyFile(this.#files, segment.storePath, to, watch, segment.endPosition)
    } catch (error) {
      removeIfThere(this.#files, to)
      throw error
    }
  }

  /** An index is a shortcut: where there is none yet, it is made when it is needed. */
  async #takeIndex(segment: Segment, mayLink: boolean): Promise<void> {
    const to = join(this.#folder, indexName(segment.base, segment.id))
    try {
      if (mayLink && tryLink(this.#files, segment.indexPath, to)) return
      await copyFile(this.#files, segment.indexPath, to)
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error
    }
  }

  /** Takes what lies beside the segments: snapshots up to an offset, and cursors, as they are now. */
  async takeFolders(from: string, watch: CopyWatch, offsetMax: number): Promise<void> {
    const newer = listSnapshots(this.#files, from).filter(({ offset }) => offset > offsetMax)
    const left = newer.map(({ name }) => name)

    for (const folder of FOLDERS) {
      const source = join(from, folder)
      if (!this.#files.existsSync(source)) continue
      const target = join(this.#folder, folder)
      this.#files.makeFolderSync(target)
      for (const name of this.#files.listSync(source)) {
        watch.signal?.throwIfAborted()
        // Who holds a cursor of the log holds none of the backup.
        const isKept = folder === SNAPSHOT_FOLDER || name.endsWith(CURSOR_SUFFIX)
        if (!isKept || name.endsWith(TEMPORARY_SUFFIX)) continue
        if (left.includes(join(folder, name))) continue
        const mayLink = folder === SNAPSHOT_FOLDER
        await this.#takeBeside(join(source, name), join(target, name), mayLink)
      }
    }
  }

  /** Snapshots are only ever replaced by name; of what else lies beside a log that is not known. */
  async #takeBeside(from: string, to: string, mayLink: boolean): Promise<void> {
    removeIfThere(this.#files, to)
    try {
      if (mayLink && tryLink(this.#files, from, to)) return
      await copyFile(this.#files, from, to)
    } catch (error) {
      // It was removed in the meantime, or it is a folder, which is nothing of the log's.
      if (errnoOf(error) !== 'ENOENT' && errnoOf(error) !== 'EISDIR') throw error
      removeIfThere(this.#files, to)
    }
  }

  /**
   * Copies the segment that holds the high-water mark up to there, and checks each entry of the copy.
   * False if the log no longer has it. Throws CORRUPT if it is not sound up to the mark.
   */
  async takeTail(segment: Segment, highWaterMark: number, watch: CopyWatch): Promise<boolean> {
    const store = join(this.#folder, segment.name)
    // That of an earlier attempt is of no use, unless it was sealed and taken since.
    if (this.#tail && !this.#taken.has(this.#tail.id)) this.#forget(this.#tail)
    this.#tail = segment
    // It may have been taken when it was sealed: that one is a link, and must not be written to.
    this.#forget(segment)
    try {
      const source = this.#files.openSync(segment.storePath, 'read')
      const target = this.#files.openSync(store, 'create')
      try {
        // A roll cuts off what is reserved behind the last entry: the file may become shorter meanwhile.
        const size = await copyBytes(source, target, source.sizeSync(), watch)
        this.#end = await this.#cutTail(target, segment, size, highWaterMark)
      } finally {
        source.closeSync()
        target.closeSync()
      }
      return true
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return false
      throw error
    }
  }

  /** Ends the copied store at the high-water mark, and writes its index. */
  async #cutTail(
    file: File,
    segment: Segment,
    size: number,
    highWaterMark: number,
  ): Promise<CleanEnd> {
    const index = new OffsetIndex(INDEX_INTERVAL_BYTES_DEFAULT)
    const start = segmentStart(segment)
    let end = { endOffset: start.offset, endPosition: start.position, lastTerm: start.term }
    if (highWaterMark > start.offset) {
      const scan = await finish(
        scanEntries(file, segment, start, size, (header, position) => {
          index.note(header.lsn, position, header.timestamp)
          return segment.base + header.lsn + header.count < highWaterMark
        }),
      )
      if (scan.endOffset !== highWaterMark) {
        const bad = scan.bad ?? { offset: scan.endOffset, position: scan.endPosition, problem: '' }
        throw corruptEntry({ segment, ...bad, term: 0 }, bad.problem || 'the store ends here')
      }
      end = scan
    }
    file.truncateSync(end.endPosition)
    await file.datasync()
    const { endOffset, endPosition, lastTerm } = end
    const indexPath = join(this.#folder, indexName(segment.base, segment.id))
    await writeNewFile(this.#files, indexPath, index.encode(segment.id, endPosition))
    const { maxTimestamp } = index
    return { segmentId: segment.id, endOffset, endPosition, lastTerm, maxTimestamp, highWaterMark }
  }

  /**
   * Keeps those segments that lead from the last one back to the low-water mark, and removes others.
   * False if one of them is missing.
   */
  keepChain(tail: Segment, lowWaterMark: number): boolean {
    const kept = new Set<number>()
    for (let { header } = tail; header.predecessor !== 0 && header.base > lowWaterMark; ) {
      const before = this.#taken.get(header.predecessor)
      if (!before) return false
      kept.add(before.header.id)
      header = before.header
    }
    for (const { header } of [...this.#taken.values()]) {
      if (kept.has(header.id)) continue
      this.#forget(header)
    }
    return true
  }

  /** Removes what the backup has of a segment. */
  #forget({ base, id }: { readonly base: number; readonly id: number }): void {
    removeIfThere(this.#files, join(this.#folder, storeName(base, id)))
    removeIfThere(this.#files, join(this.#folder, indexName(base, id)))
    this.#taken.delete(id)
  }

  /** Writes the small files, the meta file last, and makes all names in the folder safe. */
  async finish(look: Look, highWaterMark: number, tail: Segment) {
    const files = this.#files
    const { lowWaterMark, lowTerm, isReplica } = look
    const end = this.#end!
    const marks = { segmentId: tail.id, synced: highWaterMark, highWaterMark, writer: 0 }
    await writeNewFile(files, join(this.#folder, MARKS_NAME), encodeMarks(marks))
    for (const folder of FOLDERS) {
      const path = join(this.#folder, folder)
      if (files.existsSync(path)) await files.syncDirectory(path)
    }
    const meta = { lowWaterMark, lowTerm, isReplica, clean: end }
    await writeNewFile(files, join(this.#folder, META_NAME), encodeMeta(meta))
    await files.syncDirectory(this.#folder)
    const sealed = [...this.#taken.values()]
    return {
      lowWaterMark,
      highWaterMark,
      segments: sealed.length + 1,
      linkedBytes: sealed.reduce((sum, { linkedBytes }) => sum + linkedBytes, 0),
      copiedBytes: sealed.reduce((sum, { copiedBytes }) => sum + copiedBytes, end.endPosition),
    }
  }

  /** Removes all that was made, as far as that goes. */
  remove(): void {
    try {
      for (const folder of [...FOLDERS.map((name) => join(this.#folder, name)), this.#folder]) {
        if (!this.#files.existsSync(folder)) continue
        for (const name of this.#files.listSync(folder))
          removeIfThere(this.#files, join(folder, name))
        this.#files.removeFolderSync(folder)
      }
    } catch {
      // What is left has a name that says so.
    }
  }
}
