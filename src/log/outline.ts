import { join } from 'node:path'
import { errnoOf } from '../base/index.ts'
import type { Files } from '../io/index.ts'
import type { Marks } from './marks-format.ts'
import { readMarks } from './marks-publisher.ts'
import { newerVersion, readMeta } from './meta-file.ts'
import type { Meta, MetaResult } from './meta-format.ts'
import { MARKS_NAME, META_NAME } from './names.ts'
import type { Segment } from './segment.ts'
import { type Chain, type Damage, readChain } from './segment-chain.ts'
import { SEGMENT_HEADER_BYTES } from './segment-format.ts'
import { refuseUnfinished } from './unfinished.ts'

/** What a log's folder says of itself, before any entry is read. */
export interface Outline {
  readonly meta: Meta
  readonly marks: Marks | undefined
  readonly chain: Chain
  /** What cannot be as a sound log leaves it, the most telling first. */
  readonly problems: readonly Damage[]
  /** True if the last writer ended while it was creating the log. */
  readonly isHalfCreated: boolean
}

const FRESH_META: Meta = { lowWaterMark: 0, lowTerm: 0, isReplica: false, clean: undefined }

/**
 * Reads the marks, the meta file and the chain of segments. Undefined if there is no log in the
 * folder. Throws UNSUPPORTED_VERSION, and NOT_FOUND or CORRUPT where a deletion or a repair was interrupted; all
 * else that is wrong is in `problems`.
 */
export function readOutline(files: Files, folder: string): Outline | undefined {
  refuseUnfinished(files, folder)
  // Order matters: what the marks speak of is in the folder when the folder is listed after them.
  const marks = readMarks(files, folder)
  const result = readMeta(files, folder)
  if (result && 'version' in result && result.version !== undefined) {
    throw newerVersion(folder, result.version)
  }
  const meta = result && 'meta' in result ? result.meta : FRESH_META
  const chain = readChain(files, folder, meta.lowWaterMark)
  // The marks file is made when the log is whole, so where it is there was a log.
  const hasMarks = files.existsSync(join(folder, MARKS_NAME))
  const isEmpty = chain.segments.length === 0 && chain.damage.length === 0
  if (!result && isEmpty && !hasMarks) return undefined
  const isHalfCreated = !result && !hasMarks && isHalfMade(files, chain)
  const problems = [
    ...metaProblems(result, isHalfCreated),
    ...chain.damage,
    ...activeProblems(meta, chain),
    ...marksProblems(marks, chain),
  ]
  return { meta, marks, chain, problems, isHalfCreated }
}

/** A log is created segment first, meta file last; a crash in between leaves one empty segment. */
export function isHalfMade(files: Files, chain: Chain): boolean {
  const [first] = chain.segments
  if (!first || chain.segments.length !== 1 || chain.damage.length > 0) return false
  return first.header.sequence === 0 && storeSize({ files }, first) === SEGMENT_HEADER_BYTES
}

function metaProblems(result: MetaResult | undefined, isHalfCreated: boolean): Damage[] {
  if (result && 'problem' in result) return [metaDamage(0, result.problem)]
  if (result || isHalfCreated) return []
  return [metaDamage(0, 'missing, though there are other files of a log')]
}

function activeProblems({ lowWaterMark, clean }: Meta, chain: Chain): Damage[] {
  const active = chain.segments.at(-1)
  if (!active) {
    return chain.damage.length > 0 ? [] : [metaDamage(lowWaterMark, 'there are no segments')]
  }
  if (!clean) return []
  if (clean.segmentId !== active.id) {
    const problem = 'the active segment, which the meta file knows, is missing'
    return [metaDamage(active.endOffset, problem, clean.endOffset)]
  }
  if (clean.endOffset >= active.base) return []
  return [metaDamage(clean.endOffset, `it ends before ${active.name} begins`, active.base)]
}

/**
 * The marks name the segment that was active. One that was left behind since, by a roll, a trim or a
 * cut, held nothing that was synced beyond the base of the one that is active now: a cut lowers the
 * synced mark to that base before it is done. So marks that reach further speak of a segment that is lost.
 */
function marksProblems(marks: Marks | undefined, chain: Chain): Damage[] {
  const active = chain.segments.at(-1)
  if (!marks || !active || marks.synced <= active.base) return []
  if (chain.segments.some(({ id }) => id === marks.segmentId)) return []
  const file = `*-${marks.segmentId.toString(16).padStart(8, '0')}.store`
  const problem = 'missing, though the marks file names it'
  return [{ file, position: 0, offset: active.base, endOffset: marks.synced, problem }]
}

function metaDamage(offset: number, problem: string, endOffset?: number): Damage {
  return { file: META_NAME, position: 0, offset, endOffset, problem }
}

/** Bytes of a segment's store. */
export function storeSize(settings: { readonly files: Files }, segment: Segment): number {
  const file = settings.files.openSync(segment.storePath, 'read')
  try {
    return file.sizeSync()
  } finally {
    file.closeSync()
  }
}

/** The low-water mark and the term before it: from the meta file, or from a reset since it was written. */
export function lowMarks(found: { readonly meta: Meta; readonly chain: Chain }): {
  lowWaterMark: number
  lowTerm: number
} {
  const { meta, chain } = found
  const first = chain.segments[0]?.header
  if (first && first.predecessor === 0 && first.base >= meta.lowWaterMark) {
    return { lowWaterMark: first.base, lowTerm: first.previousTerm }
  }
  return { lowWaterMark: meta.lowWaterMark, lowTerm: meta.lowTerm }
}

/** How often trims may remove what a look at the folder has found. */
const ATTEMPTS_MAX = 100
/** And how often what looks like damage is looked at. */
const LOOKS_MAX = 5

/** Looks again where a writer has removed a segment between the listing of the folder and the look at its files. */
export async function whileTrimmed<R>(look: () => Promise<R>): Promise<R> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await look()
    } catch (error) {
      const { cause = error } = error as { cause?: unknown }
      const isPassing =
        (errnoOf(cause) === 'ENOENT' && attempt < ATTEMPTS_MAX) ||
        // A segment that is missing, by a meta file that was read before the trim.
        (errnoOf(error) === 'CORRUPT' && attempt < LOOKS_MAX)
      if (!isPassing) throw error
    }
  }
}
