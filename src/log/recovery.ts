import { dirname } from 'node:path'
import { errnoOf, invariant, MIB, TidemarkError } from '../base/index.ts'
import type { File } from '../io/index.ts'
import { examineSealed, isExamined } from './examine-sealed.ts'
import { syncFileStep, syncFolderStep, writeStep } from './file-steps.ts'
import { type MendedHeader, mendHeaders, unmendHeaders } from './mend-headers.ts'
import { writeMeta } from './meta-file.ts'
import type { Meta } from './meta-format.ts'
import type { Recovered } from './meter.ts'
import { META_NAME } from './names.ts'
import { OffsetIndex } from './offset-index.ts'
import type { LogSettings } from './options.ts'
import { lowMarks, type Outline, readOutline, storeSize } from './outline.ts'
import { createSegment } from './roll.ts'
import type { Segment } from './segment.ts'
import { type Damage, damageError, readChain } from './segment-chain.ts'
import { ReadStep, segmentStart } from './segment-scan.ts'
import type { Steps } from './steps.ts'
import { examineTail, type Tail } from './tail.ts'
import { tornBytes } from './torn-bytes.ts'
import { removeDead } from './trim.ts'
import type { WriterStart } from './writer-state.ts'

/** Offsets whose entries are damaged, as a replica gets them to repair from its peers. */
export interface DamagedRange {
  readonly segmentId: number
  /** Name of the segment's store. */
  readonly file: string
  readonly offset: number
  /** The offset behind the range. */
  readonly endOffset: number
  readonly position: number
  /** The byte behind the range; undefined where the range reaches to the end of the log. */
  readonly endPosition: number | undefined
  readonly problem: string
}

const REWRITE_BYTES = MIB
const NOTHING_RECOVERED: Recovered = { recoveredBytes: 0, tornBytes: 0 }

/** What a folder holds, before anything in it is changed. */
export interface Found extends Outline {
  /** The highest offset that is proven to have been synced. */
  readonly proven: number
}

/**
 * Reads the meta file, the chain of segments and the marks. Undefined if there is no log in the folder.
 * Throws CORRUPT if the meta file or a whole segment is missing or damaged.
 */
export function findLog(settings: LogSettings, folder: string): Found | undefined {
  const outline = readOutline(settings.files, folder)
  if (!outline) return undefined
  const [problem] = outline.problems
  if (problem) throw damageError(folder, problem)
  return foundIn(outline)
}

/**
 * The same for a replica, whose peers can give back what is missing at the end of a sealed segment. A segment header that
 * can be told for certain is written again.
 */
function* findReplica(
  settings: LogSettings,
  folder: string,
  mended: MendedHeader[],
): Steps<Found | undefined> {
  let outline = readOutline(settings.files, folder)
  if (outline?.meta.isReplica) {
    yield* mendHeaders(settings, folder, outline.chain, mended)
    if (mended.length > 0) outline = readOutline(settings.files, folder)
  }
  if (!outline) return undefined
  const { short } = outline.chain
  const isRepairable = (damage: Damage) => outline.meta.isReplica && short.includes(damage)
  const problem = outline.problems.find((damage) => !isRepairable(damage))
  if (problem) throw damageError(folder, problem)
  return foundIn(outline)
}

function foundIn(outline: Outline): Found {
  const { meta, marks, chain } = outline
  const { base } = chain.segments.at(-1)!
  // A trim syncs what it keeps before it raises the low-water mark.
  const low = lowMarks(outline).lowWaterMark
  const proven = Math.max(marks?.synced ?? 0, meta.clean?.endOffset ?? 0, base, low)
  return { ...outline, proven }
}

/** Opens the log of a folder for writing: creates it, or brings it back to a sound state. */
export function* openForWriting(settings: LogSettings, folder: string): Steps<WriterStart> {
  const mended: MendedHeader[] = []
  try {
    return yield* openFound(settings, folder, mended)
  } catch (error) {
    yield* unmendHeaders(settings.files, mended)
    throw error
  }
}

function* openFound(
  settings: LogSettings,
  folder: string,
  mended: MendedHeader[],
): Steps<WriterStart> {
  const { files } = settings
  const found = settings.replica
    ? yield* findReplica(settings, folder, mended)
    : findLog(settings, folder)
  if (!found) return yield* createLog(settings, folder)
  const { chain, marks } = found
  const meta = found.isHalfCreated ? { ...found.meta, isReplica: settings.replica } : found.meta
  checkKindOfLog(folder, settings, meta)
  const active = chain.segments.at(-1)!
  const size = storeSize(settings, active)
  const isWhole = meta.clean !== undefined && size === meta.clean.endPosition
  const isClean = isWhole && !settings.recheck && !isExamined(settings, active)
  const examined = chain.segments.filter((segment) => {
    const isShort = chain.short.some(({ file }) => file === segment.name)
    return segment !== active && (isShort || isExamined(settings, segment))
  })
  const sealed = yield* examineSealed(settings, examined, lowMarks(found).lowWaterMark)
  let restored: Restored = { damage: [], recovered: NOTHING_RECOVERED }
  if (isClean) {
    active.endOffset = meta.clean!.endOffset
    active.endPosition = meta.clean!.endPosition
    active.lastTerm = meta.clean!.lastTerm
  } else {
    // Names that this process can see may not be on the disk, if the last one died before its sync.
    yield syncFolderStep(files, folder)
    const low = lowMarks(found).lowWaterMark
    restored = yield* restoreTail(settings, folder, active, { size, proven: found.proven, low })
    if (meta.clean || found.isHalfCreated) {
      yield* writeMeta(files, folder, { ...meta, clean: undefined })
    }
  }
  const low = lowMarks(found)
  const end = active.endOffset
  checkLow(folder, low.lowWaterMark, end)
  const damage = [...sealed, ...restored.damage]
  removeDead({ folder, settings }, chain.dead)
  const marked = isClean ? meta.clean!.highWaterMark : (marks?.highWaterMark ?? 0)
  const highWaterMark = settings.replica ? Math.max(low.lowWaterMark, Math.min(marked, end)) : end
  const clean = isClean ? meta.clean : undefined
  const { recovered } = restored
  return { segments: chain.segments, ...low, highWaterMark, clean, damage, examined, recovered }
}

/** A replica's log holds entries that are not committed: only its host may open it, and nothing else. */
function checkKindOfLog(folder: string, settings: LogSettings, meta: Meta): void {
  if (meta.isReplica === settings.replica) return
  const what = meta.isReplica ? 'is that of a replica' : 'is not that of a replica'
  throw new TidemarkError(
    'INVALID_ARGUMENT',
    `the log ${folder} ${what}; open it with { replica: ${meta.isReplica} }`,
  )
}

function checkLow(folder: string, lowWaterMark: number, end: number): void {
  if (lowWaterMark <= end) return
  const problem = `the low-water mark ${lowWaterMark} is beyond the end ${end}`
  throw damageError(folder, {
    file: META_NAME,
    position: 0,
    offset: end,
    endOffset: lowWaterMark,
    problem,
  })
}

function* createLog(settings: LogSettings, folder: string): Steps<WriterStart> {
  const { files } = settings
  removeDead({ folder, settings }, readChain(files, folder, 0).dead)
  const segment = yield* createSegment(folder, settings, {
    base: 0,
    sequence: 0,
    predecessor: 0,
    predecessorEnd: 0,
    previousTerm: 0,
    term: 1,
    priorTimestamp: 0,
  })
  const meta = { lowWaterMark: 0, lowTerm: 0, clean: undefined, isReplica: settings.replica }
  yield* writeMeta(files, folder, meta)
  // The folder may have been made by someone who did not sync its name.
  yield syncFolderStep(files, dirname(folder))
  const marks = { lowWaterMark: 0, lowTerm: 0, highWaterMark: 0 }
  const recovered = NOTHING_RECOVERED
  const nothing = { damage: [], examined: [], recovered }
  return { segments: [segment], ...marks, clean: undefined, ...nothing }
}

interface Restored {
  readonly damage: DamagedRange[]
  readonly recovered: Recovered
}

/**
 * Finds where the active segment really ends and makes what is kept of it durable. A torn tail, which
 * nobody was promised, is cut; damage refuses with CORRUPT and changes nothing, except for a replica,
 * which gets the damaged ranges.
 */
function* restoreTail(
  settings: LogSettings,
  folder: string,
  active: Segment,
  known: { readonly size: number; readonly proven: number; readonly low: number },
): Steps<Restored> {
  const index = new OffsetIndex(settings.indexIntervalBytes)
  const file = openStore(settings, active)
  try {
    const tail = yield* examineTail(
      file,
      active,
      segmentStart(active),
      known.size,
      known.proven,
      index,
    )
    const [first] = tail.damage
    if (first && !settings.replica) {
      throw damageError(folder, { ...first, file: active.name })
    }
    // The last look before anything is changed.
    checkLow(folder, known.low, tail.endOffset)
    active.endOffset = tail.endOffset
    active.endPosition = tail.endPosition
    active.lastTerm = tail.lastTerm
    active.index = index
    index.cut(tail.endOffset - active.base)
    const recoveredBytes = tail.endPosition - tail.startPosition
    const torn = tail.damage.length > 0 ? 0 : yield* tornBytes(file, tail.endPosition, known.size)
    yield* rewriteUnproven(file, active, index, tail)
    return { damage: tail.damage, recovered: { recoveredBytes, tornBytes: torn } }
  } finally {
    file.closeSync()
  }
}

function openStore(settings: LogSettings, segment: Segment): File {
  try {
    return settings.files.openSync(segment.storePath, 'write')
  } catch (error) {
    const why = errnoOf(error) ?? String(error)
    throw new TidemarkError('IO', `cannot open ${segment.storePath}: ${why}`, {}, error)
  }
}

/**
 * After an unclean end the page cache is not trusted: a sync that failed can leave pages that read
 * well, count as clean, and are not on the disk. So every byte above the last proven synced point
 * is written again and synced, before any mark, witness or append is based on it.
 */
function* rewriteUnproven(file: File, active: Segment, index: OffsetIndex, tail: Tail): Steps {
  const point = index.floor(tail.proven - active.base)
  let position = point < 0 ? tail.startPosition : index.positionAt(point)
  while (position < tail.endPosition) {
    const length = Math.min(REWRITE_BYTES, tail.endPosition - position)
    const read = new ReadStep(file, new Uint8Array(length), position)
    yield read
    invariant(read.count === length, `${active.name} became shorter while it was being recovered`)
    yield writeStep(file, read.buffer, position)
    position += length
  }
  file.truncateSync(tail.endPosition)
  yield syncFileStep(file, active.storePath)
}
