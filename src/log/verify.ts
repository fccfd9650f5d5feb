import { resolve } from 'node:path'
import { errnoOf, TidemarkError } from '../base/index.ts'
import { type File, type Files, nodeFiles } from '../io/index.ts'
import { checkRange } from './check-range.ts'
import { type EntryHeader, TYPE_LOST } from './entry-format.ts'
import { writerOf } from './folder-lock.ts'
import { checkIndexFile } from './index-check.ts'
import { checkLogPath, withIoErrors } from './io-error.ts'
import { readMeta } from './meta-file.ts'
import type { Meta } from './meta-format.ts'
import { META_NAME, segmentName } from './names.ts'
import { OffsetIndex } from './offset-index.ts'
import { lowMarks, type Outline, readOutline, storeSize, whileTrimmed } from './outline.ts'
import type { Segment } from './segment.ts'
import type { Damage } from './segment-chain.ts'
import { scanEntries, segmentStart } from './segment-scan.ts'
import { finish } from './steps.ts'
import { examineTail } from './tail.ts'
import { tornBytes } from './torn-bytes.ts'
import { noteCursorsBeyond, verifyBeside } from './verify-beside.ts'

export interface VerifyOptions {
  readonly files?: Files | undefined
  /** Called as it goes on. */
  readonly onProgress?:
    | ((done: { readonly bytes: number; readonly totalBytes: number }) => void)
    | undefined
  readonly signal?: AbortSignal | undefined
}

export interface VerifyReport {
  /** True if there is no damage. */
  readonly sound: boolean
  readonly damage: readonly Damage[]
  /** What is not damage but worth knowing: a torn tail, an index that will be rebuilt. */
  readonly notes: readonly string[]
  readonly lowWaterMark: number
  readonly highWaterMark: number
  /** Offsets that hold sound entries, also those below the low-water mark that are still in the files. */
  readonly entries: number
  /** Bytes of the segments' files. */
  readonly bytes: number
  readonly segments: number
  /** Bytes behind the last whole batch that nobody was promised. */
  readonly tornBytes: number
}

/** How often a writer may trim while its log is looked at. */
const LOOKS_MAX = 100

/** Everything that a verification gathers. */
class Findings {
  readonly damage: Damage[] = []
  readonly notes: string[] = []
  entries = 0
  bytes = 0
  tornBytes = 0
  endOffset = 0
  /** Ranges that a repair has given up. */
  readonly #lost: { readonly offset: number; endOffset: number }[] = []

  add(file: string, position: number, offset: number, problem: string, endOffset?: number): void {
    this.damage.push({ file, position, offset, endOffset, problem })
  }

  noteLost(segment: Segment, header: EntryHeader): void {
    const offset = segment.base + header.lsn
    const before = this.#lost.at(-1)
    if (before?.endOffset === offset) before.endOffset += header.count
    else this.#lost.push({ offset, endOffset: offset + header.count })
  }

  allNotes(): string[] {
    const lost = this.#lost.map(({ offset, endOffset }) => {
      const isOne = endOffset === offset + 1
      const which = isOne ? `offset ${offset} was` : `offsets ${offset} to ${endOffset - 1} were`
      return `${which} lost, and given up by a repair`
    })
    return [...this.notes, ...lost]
  }
}

/** See on-demand.ts, through which programs call it. */
export async function verifyLog(
  folder: string,
  options: VerifyOptions = {},
): Promise<VerifyReport> {
  const files = options.files ?? nodeFiles
  const path = resolve(folder)
  checkLogPath(files, path)
  return withIoErrors(`verify the log ${path}`, () => verifyFolder(files, path, options))
}

async function verifyFolder(
  files: Files,
  path: string,
  options: VerifyOptions,
): Promise<VerifyReport> {
  const lives = writerOf(files, path) !== undefined
  const findings = new Findings()
  const outline = await whileTrimmed(async () => readSettled(files, path, lives))
  noteOutline(outline, findings)
  const { meta, marks, chain } = outline
  const active = chain.segments.at(-1)
  const { lowWaterMark } = lowMarks(outline)
  const sizeOf = (segment: Segment) => storeSizeIfThere(files, segment)
  const totalBytes = chain.segments.reduce((sum, segment) => sum + sizeOf(segment), 0)
  for (const segment of chain.segments) {
    options.signal?.throwIfAborted()
    try {
      await verifySegment(files, segment, findings, async (file) => {
        if (segment !== active) await verifySealed(file, segment, findings)
        else if (lives) await verifyGrowing(file, segment, marks?.highWaterMark ?? 0, findings)
        else await verifyActive(file, segment, meta, marks?.synced ?? 0, findings)
      })
    } catch (error) {
      // A writer may have trimmed it since the folder was listed.
      const isTrimmed = segment.endOffset <= lowMarkOf(files, path)
      if (errnoOf(error) !== 'ENOENT' || !isTrimmed) throw error
    }
    options.onProgress?.({ bytes: findings.bytes, totalBytes })
  }
  await verifyBeside({ files, path, signal: options.signal }, (file, position, offset, problem) => {
    findings.add(file, position, offset, problem)
  })
  if (!lives) noteCursorsBeyond(files, path, findings.endOffset, findings.notes)
  if (active && lowWaterMark > findings.endOffset) {
    const problem = `the low-water mark ${lowWaterMark} is beyond the end ${findings.endOffset}`
    findings.add(META_NAME, 0, findings.endOffset, problem, lowWaterMark)
  }
  return {
    sound: findings.damage.length === 0,
    damage: findings.damage,
    notes: findings.allNotes(),
    lowWaterMark,
    highWaterMark: highWaterMarkOf(outline, lives, findings.endOffset),
    entries: findings.entries,
    bytes: findings.bytes,
    segments: chain.segments.length,
    tornBytes: findings.tornBytes,
  }
}

/** What may be shown: by the marks while a writer lives or a host decides it, else all that is sound. */
function highWaterMarkOf(outline: Outline, lives: boolean, end: number): number {
  const { meta, marks } = outline
  const marked = Math.max(marks?.highWaterMark ?? 0, meta.clean?.highWaterMark ?? 0)
  if (!lives && !meta.isReplica) return end
  return Math.max(lowMarks(outline).lowWaterMark, Math.min(marked, end))
}

function readFolder(files: Files, path: string): Outline {
  const outline = files.existsSync(path) ? readOutline(files, path) : undefined
  if (!outline) throw new TidemarkError('NOT_FOUND', `there is no log in ${path}`)
  return outline
}

/** What a trim has removed between a look at the meta file and one at the folder is not missing. */
function readSettled(files: Files, path: string, lives: boolean): Outline {
  for (let attempt = 1; ; attempt++) {
    const outline = readFolder(files, path)
    const isSettled = outline.problems.length === 0 || !lives || attempt === LOOKS_MAX
    if (isSettled || lowMarkOf(files, path) === outline.meta.lowWaterMark) return outline
  }
}

function lowMarkOf(files: Files, path: string): number {
  const found = readMeta(files, path)
  return found && 'meta' in found ? found.meta.lowWaterMark : 0
}

function storeSizeIfThere(files: Files, segment: Segment): number {
  try {
    return storeSize({ files }, segment)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return 0
    throw error
  }
}

/** Checks a store, by `check`, and its index. */
async function verifySegment(
  files: Files,
  segment: Segment,
  findings: Findings,
  check: (file: File) => Promise<void>,
): Promise<void> {
  const file = files.openSync(segment.storePath, 'read')
  try {
    await check(file)
    findings.bytes += file.sizeSync()
  } finally {
    file.closeSync()
  }
  checkIndexFile(files, segment, findings.notes, (position, offset, problem) => {
    findings.add(`${segmentName(segment.base, segment.id)}.index`, position, offset, problem)
  })
}

function noteOutline({ chain, problems, isHalfCreated }: Outline, findings: Findings): void {
  findings.damage.push(...problems)
  if (isHalfCreated) findings.notes.push('the log was being created when its writer ended')
  if (chain.dead.length > 0) {
    findings.notes.push(`left over, and removed by the next writer: ${chain.dead.join(', ')}`)
  }
}

/** A sealed segment is whole up to the end that its successor recorded. */
async function verifySealed(file: File, segment: Segment, findings: Findings): Promise<void> {
  const limit = Math.min(segment.endPosition, file.sizeSync())
  await verifyRange(file, segment, limit, segment.endOffset, findings)
}

/** While a writer lives, only what its marks have shown is looked at. */
async function verifyGrowing(
  file: File,
  segment: Segment,
  highWaterMark: number,
  findings: Findings,
): Promise<void> {
  const end = Math.max(segment.base, highWaterMark)
  await verifyRange(file, segment, file.sizeSync(), end, findings)
}

async function verifyRange(
  file: File,
  segment: Segment,
  limit: number,
  end: number,
  findings: Findings,
): Promise<void> {
  const extent = { limit, end }
  const bad = await finish(
    checkRange(file, segment, extent, (header) => {
      if (header.type === TYPE_LOST) findings.noteLost(segment, header)
      else findings.entries += header.count
    }),
  )
  for (const { position, offset, problem, endOffset } of bad) {
    findings.add(segment.name, position, offset, problem, endOffset)
  }
  findings.endOffset = end
}

/** The active segment when nobody writes: as the next writer will find it. */
async function verifyActive(
  file: File,
  segment: Segment,
  meta: Meta,
  synced: number,
  findings: Findings,
): Promise<void> {
  const size = file.sizeSync()
  const proven = Math.max(synced, meta.clean?.endOffset ?? 0)
  const index = new OffsetIndex(size + 1)
  const tail = await finish(examineTail(file, segment, segmentStart(segment), size, proven, index))
  segment.endOffset = tail.endOffset
  segment.endPosition = tail.endPosition
  let hurt = 0
  for (const range of tail.damage) {
    findings.add(segment.name, range.position, range.offset, range.problem, range.endOffset)
    hurt += Math.min(range.endOffset, tail.endOffset) - Math.min(range.offset, tail.endOffset)
  }
  findings.entries += tail.endOffset - segment.base - hurt
  await noteLost(file, segment, tail.endPosition, findings)
  findings.endOffset = Math.max(tail.endOffset, tail.damage.at(-1)?.endOffset ?? 0)
  // Behind damage nothing can be called torn.
  if (tail.damage.length > 0) return
  findings.tornBytes = await finish(tornBytes(file, tail.endPosition, size))
  if (findings.tornBytes === 0) return
  findings.notes.push(
    `${segment.name} has ${findings.tornBytes} bytes behind offset ${tail.endOffset} that no append was promised; the next writer cuts them off`,
  )
}

/** The examination of a tail counts offsets and does not look at types. */
async function noteLost(
  file: File,
  segment: Segment,
  limit: number,
  findings: Findings,
): Promise<void> {
  await finish(
    scanEntries(file, segment, segmentStart(segment), limit, (header) => {
      if (header.type !== TYPE_LOST) return true
      findings.noteLost(segment, header)
      findings.entries -= header.count
      return true
    }),
  )
}
