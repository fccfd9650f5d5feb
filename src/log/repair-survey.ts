import { join } from 'node:path'
import { TidemarkError } from '../base/index.ts'
import type { Files, Random } from '../io/index.ts'
import { ENTRY_HEADER_BYTES } from './entry-format.ts'
import { readMarks } from './marks-publisher.ts'
import { newerVersion, readMeta } from './meta-file.ts'
import type { Meta } from './meta-format.ts'
import { MARKS_NAME, parseSegmentName } from './names.ts'
import { Segment } from './segment.ts'
import { type Chain, readChain, readStoreHeader } from './segment-chain.ts'
import { SEGMENT_HEADER_BYTES, type SegmentHeader } from './segment-format.ts'
import { searchHeader } from './segment-scan.ts'
import type { Steps } from './steps.ts'
import { type BadStretch, type Extent, findStretches } from './stretches.ts'

/** A store as it lies in the folder; without a header if that is damaged. */
interface StoreFile {
  readonly name: string
  readonly base: number
  readonly id: number
  readonly size: number
  readonly header: SegmentHeader | undefined
  readonly problem: string | undefined
}

/** A segment as a sound log has it: found in the folder, or made up for one that is missing. */
export interface Part {
  /** Name of the file as it is; undefined if there is none. */
  readonly file: string | undefined
  readonly size: number
  readonly segment: Segment
  /** What is wrong with the header, which was therefore made again from the name and the neighbours. */
  readonly headerProblem: string | undefined
  readonly bad: readonly BadStretch[]
  readonly endOffset: number
  readonly endPosition: number
  readonly lastTerm: number
  readonly maxTimestamp: number
}

/** All that is known of a damaged log. Nothing has been changed to learn it. */
export interface Survey {
  readonly meta: Meta | undefined
  readonly metaProblem: string | undefined
  readonly lowWaterMark: number
  readonly lowTerm: number
  /** Where the first segment begins, if entries between the low-water mark and it are missing. */
  readonly frontEnd: number | undefined
  /** The segments in order. Empty if no store is left. */
  readonly parts: readonly Part[]
  /** The offset behind everything that is there or is proven to have been. */
  readonly end: number
  readonly proven: number
  readonly markedHighWaterMark: number
  /** Stores that cannot be part of the log, and are not merely what a trim has left over. */
  readonly strays: readonly string[]
}

/** What made-up segments are made with. */
export interface Maker {
  readonly files: Files
  readonly random: Random
  readonly now: number
}

/** The header of a segment of which nothing is known. */
export const NO_HEADER: SegmentHeader = {
  id: 0,
  base: 0,
  sequence: 0,
  predecessor: 0,
  predecessorEnd: 0,
  previousTerm: 0,
  term: 0,
  priorTimestamp: 0,
  createdAt: 0,
}

/** Looks at everything in a log's folder. Throws NOT_FOUND, UNSUPPORTED_VERSION. */
export function* survey(maker: Maker, folder: string): Steps<Survey> {
  const { files } = maker
  const result = files.existsSync(folder) ? readMeta(files, folder) : undefined
  if (result && 'problem' in result && result.version !== undefined) {
    throw newerVersion(folder, result.version)
  }
  const meta = result && 'meta' in result ? result.meta : undefined
  const stores = files.existsSync(folder) ? listStores(files, folder) : []
  if (!result && stores.length === 0 && !files.existsSync(join(folder, MARKS_NAME))) {
    throw new TidemarkError('NOT_FOUND', `there is no log in ${folder}`)
  }
  const marks = readMarks(files, folder)
  const named = [marks?.segmentId, meta?.clean?.segmentId]
  const credible = yield* credibleStores(files, folder, stores, named)
  const living = livingStores(readChain(files, folder, meta?.lowWaterMark ?? 0), credible, meta)
  const known = Math.max(meta?.clean?.endOffset ?? 0, meta?.lowWaterMark ?? 0)
  const proven = Math.max(marks?.synced ?? 0, known)
  const parts = yield* examine(maker, folder, living, meta, proven)
  return {
    meta,
    metaProblem: result ? ('problem' in result ? result.problem : undefined) : 'missing',
    ...lowMarksOf(meta, parts[0], proven),
    parts,
    end: Math.max(proven, parts.at(-1)?.endOffset ?? 0),
    proven,
    markedHighWaterMark: marks?.highWaterMark ?? 0,
    strays: straysOf(stores, living, meta),
  }
}

/** The low-water mark, and whether the segments begin only above it. */
function lowMarksOf(meta: Meta | undefined, first: Part | undefined, proven: number) {
  const header = first?.segment.header
  const base = header?.base ?? proven
  const begins = { lowWaterMark: base, lowTerm: header?.previousTerm ?? 0, frontEnd: undefined }
  // Unknown: as low as the segments go. What was trimmed of the first one comes back.
  if (!meta || !first || !header) return meta ? { ...begins, ...pick(meta) } : begins
  const isReset = header.predecessor === 0 && first.headerProblem === undefined
  if (base <= meta.lowWaterMark) return { ...begins, ...pick(meta) }
  return isReset ? begins : { ...pick(meta), frontEnd: base }
}

function pick({ lowWaterMark, lowTerm }: Meta) {
  return { lowWaterMark, lowTerm }
}

function listStores(files: Files, folder: string): StoreFile[] {
  const stores: StoreFile[] = []
  for (const name of files.listSync(folder)) {
    const parsed = parseSegmentName(name)
    if (parsed?.kind !== 'store') continue
    const found = readStoreHeader(files, folder, name, parsed.base)
    const { base, id } = parsed
    if ('header' in found) {
      stores.push({ name, base, id, size: found.size, header: found.header, problem: undefined })
    } else {
      const size = sizeOf(files, join(folder, name))
      stores.push({ name, base, id, size, header: undefined, problem: found.problem })
    }
  }
  return stores.sort((a, b) => a.base - b.base || sequenceOf(a) - sequenceOf(b))
}

/** A store whose header is damaged comes before one that is sound, and yields to it. */
function sequenceOf(store: StoreFile): number {
  return store.header?.sequence ?? -1
}

function sizeOf(files: Files, path: string): number {
  const file = files.openSync(path, 'read')
  try {
    return file.sizeSync()
  } finally {
    file.closeSync()
  }
}

/**
 * The stores that belong to the log. If every header is sound, the chain of predecessors says so, back
 * to the low-water mark or, where that is unknown, as far as it goes. If not, the order of names does: a
 * log that is no replica is never cut, so each segment ends where the next begins.
 */
function livingStores(chain: Chain, stores: readonly StoreFile[], meta: Meta | undefined) {
  const isWhole = chain.damage.length === 0
  if (stores.every(({ header }) => header) && (isWhole || !meta)) {
    const ids = new Set(chain.segments.map(({ id }) => id))
    const linked = stores.filter(({ id }) => ids.has(id))
    // Trims remove the oldest first. So what lies before a chain that has lost its beginning was not trimmed:
    // between the two a segment is missing.
    const first = meta ? 0 : (linked[0]?.base ?? 0)
    return [...inOrder(stores.filter(({ base }) => base < first)), ...linked]
  }
  return inOrder(stores, meta?.lowWaterMark)
}

/** Each store that has offsets of its own before the next one begins. */
function inOrder(stores: readonly StoreFile[], low = 0): StoreFile[] {
  return stores.filter(({ base }, i) => {
    const next = stores[i + 1]
    return !next || (next.base > base && next.base > low)
  })
}

/**
 * The stores without those whose header is damaged and of which nothing says that they belong where
 * their name puts them: a name that is wrong must not end the segment before it.
 */
function* credibleStores(
  files: Files,
  folder: string,
  stores: readonly StoreFile[],
  named: readonly (number | undefined)[],
): Steps<StoreFile[]> {
  const known = new Set([...named, ...stores.map(({ header }) => header?.predecessor)])
  const credible: StoreFile[] = []
  for (const store of stores) {
    const isCredible =
      store.header !== undefined || known.has(store.id) || (yield* hasEntries(files, folder, store))
    if (isCredible) credible.push(store)
  }
  return credible
}

/** True if some header in a store is sealed with the id that the store's name gives. */
function* hasEntries(files: Files, folder: string, store: StoreFile): Steps<boolean> {
  const segment = new Segment(folder, { ...NO_HEADER, base: store.base, id: store.id })
  const file = files.openSync(join(folder, store.name), 'read')
  try {
    const found = searchHeader(file, segment, 0, store.size, store.base, () => true)
    return (yield* found) !== undefined
  } finally {
    file.closeSync()
  }
}

/** What is not part of the log and was not trimmed is kept out of the way of the next opening. */
function straysOf(
  stores: readonly StoreFile[],
  living: readonly StoreFile[],
  meta: Meta | undefined,
): string[] {
  const oldest = living[0]?.base ?? Number.POSITIVE_INFINITY
  const strays = stores.filter((store) => {
    if (living.includes(store)) return false
    const isTrimmed = meta !== undefined && store.base < oldest
    return store.header === undefined || !isTrimmed
  })
  return strays.map(({ name }) => name)
}

/** Reads each store, and makes up what is missing between two. */
function* examine(
  maker: Maker,
  folder: string,
  stores: readonly StoreFile[],
  meta: Meta | undefined,
  proven: number,
): Steps<Part[]> {
  const parts: Part[] = []
  for (const [i, store] of stores.entries()) {
    const next = stores[i + 1]
    const before = parts.at(-1)
    const header = store.header ?? makeHeader(maker, store, before, next?.header, meta)
    const segment = new Segment(folder, header)
    const isLinked = next?.header !== undefined && next.header.predecessor === header.id
    const part = yield* examineStore(maker.files, store, segment, {
      next,
      isLinked,
      proven,
    })
    parts.push(part)
    if (next?.header && !isLinked && part.endOffset < next.base) {
      parts.push(missingPart(maker, folder, part, next.header))
    }
  }
  return parts
}

function* examineStore(
  files: Files,
  store: StoreFile,
  segment: Segment,
  known: { next: StoreFile | undefined; isLinked: boolean; proven: number },
): Steps<Part> {
  const { next, isLinked, proven } = known
  const file = files.openSync(join(segment.storePath, '..', store.name), 'read')
  try {
    const { size } = store
    const found = yield* findStretches(file, segment, extentOf(size, next, isLinked, proven))
    const last = found.bad.at(-1)
    const { endOffset, lastTerm, maxTimestamp } = found
    // Behind a segment that is not linked to the next one a whole segment may be missing.
    const isCutShort = next?.header !== undefined && !isLinked
    const endPosition = found.endPosition ?? last!.position + ENTRY_HEADER_BYTES
    const whole = { file: store.name, size, segment, headerProblem: store.problem }
    const rest = { endPosition, lastTerm, maxTimestamp }
    if (!isCutShort) return { ...whole, bad: found.bad, endOffset, ...rest }
    return { ...whole, bad: found.bad, endOffset: Math.min(endOffset, next.base), ...rest }
  } finally {
    file.closeSync()
  }
}

function extentOf(
  size: number,
  next: StoreFile | undefined,
  isLinked: boolean,
  proven: number,
): Extent {
  if (!next) return { size, end: undefined, proven }
  if (isLinked) {
    return { size, end: { offset: next.base, position: next.header!.predecessorEnd }, proven: 0 }
  }
  // Its successor is missing, and where it ends is not written down: like the tail of a log.
  if (next.header) return { size, end: undefined, proven: 0 }
  // Its header would say where this one ends: behind the last entry, whatever space is reserved there.
  return { size, end: { offset: next.base, position: undefined }, proven: 0 }
}

/** A segment of which nothing is there: all its offsets are bad, and its bytes as its successor knows. */
function missingPart(maker: Maker, folder: string, before: Part, next: SegmentHeader): Part {
  const header: SegmentHeader = {
    ...successorOf(maker, before),
    id: next.predecessor,
    base: before.endOffset,
  }
  const segment = new Segment(folder, header)
  const start = { offset: header.base, position: SEGMENT_HEADER_BYTES, term: before.lastTerm }
  const timestamp = header.priorTimestamp
  const end = { endOffset: next.base, endPosition: next.predecessorEnd }
  const problem = 'missing'
  return {
    file: undefined,
    size: 0,
    segment,
    headerProblem: problem,
    bad: [{ ...start, ...end, batchEnd: start, timestamp, problem }],
    ...end,
    lastTerm: next.previousTerm,
    maxTimestamp: timestamp,
  }
}

/** The header that a segment has which follows `before`. */
export function successorOf(maker: Maker, before: Part): Omit<SegmentHeader, 'id'> {
  const { header } = before.segment
  return {
    base: before.endOffset,
    sequence: header.sequence + 1,
    predecessor: header.id,
    predecessorEnd: before.endPosition,
    previousTerm: before.lastTerm,
    term: before.lastTerm,
    priorTimestamp: Math.max(header.priorTimestamp, before.maxTimestamp),
    createdAt: maker.now,
  }
}

/** The header of a store whose own is damaged: from its name and its neighbours. */
function makeHeader(
  maker: Maker,
  { base, id }: StoreFile,
  before: Part | undefined,
  next: SegmentHeader | undefined,
  meta: Meta | undefined,
): SegmentHeader {
  if (before) return { ...successorOf(maker, before), id, base }
  const sequence = Math.max(0, (next?.sequence ?? 1) - 1)
  const previousTerm = meta && base === meta.lowWaterMark ? meta.lowTerm : 0
  return { ...NO_HEADER, id, base, sequence, previousTerm, createdAt: maker.now }
}
