import { TidemarkError } from '../base/index.ts'
import { type LostStretch, leastLostBytes } from './lost-entries.ts'
import type { Meta } from './meta-format.ts'
import { type Maker, NO_HEADER, type Part, type Survey } from './repair-survey.ts'
import { Segment } from './segment.ts'
import { SEGMENT_HEADER_BYTES } from './segment-format.ts'
import type { BadStretch } from './stretches.ts'

/** Offsets, the second one behind the last. */
export interface OffsetRange {
  readonly offset: number
  readonly endOffset: number
}

/** A store that is written anew: the sound bytes of the old one, and entries for what is lost. */
export interface Rewrite {
  readonly segment: Segment
  /** Name of the file with the sound bytes; undefined if there is none. */
  readonly from: string | undefined
  /** How many bytes of it are of use. */
  readonly fromBytes: number
  readonly lost: readonly LostStretch[]
  readonly endOffset: number
  readonly endPosition: number
}

export interface RepairPlan {
  readonly rewrites: readonly Rewrite[]
  /** Names of files that are kept under another name: replaced, or behind the cut. */
  readonly setAside: readonly string[]
  readonly lost: readonly OffsetRange[]
  readonly meta: Meta
  readonly activeId: number
  readonly end: number
  /** True if the last segment is written anew, so that all of it is on the disk. */
  readonly isEndNew: boolean
}

/** Ends the log before the first thing in it that is lost. */
export function planCut(maker: Maker, folder: string, found: Survey): RepairPlan {
  const { parts, lowWaterMark, lowTerm } = found
  if (found.frontEnd !== undefined || parts.length === 0) {
    return planEmpty(maker, folder, found, lowWaterMark, lowTerm)
  }
  const at = parts.findIndex(({ bad }) => bad.some(({ endOffset }) => endOffset > lowWaterMark))
  if (at < 0) return planSkip(maker, folder, found)
  const hurt = parts[at]!
  const nth = hurt.bad.findIndex(({ endOffset }) => endOffset > lowWaterMark)
  const cut = rewriteTo(hurt, nth, lowWaterMark)
  const rewrites = [...parts.slice(0, at).filter(isHurt).map(rewriteWhole), cut]
  const { batchEnd, offset } = hurt.bad[nth]!
  const from = batchEnd.offset >= lowWaterMark ? batchEnd.offset : Math.max(offset, lowWaterMark)
  const lost = [{ offset: from, endOffset: found.end }]
  const behind = parts.slice(at + 1)
  return finishPlan(found, rewrites, behind, lost, { lowWaterMark, lowTerm, last: hurt.segment })
}

/** Keeps everything that is sound where it is, and puts entries of type "lost" in the place of the rest. */
export function planSkip(maker: Maker, folder: string, found: Survey): RepairPlan {
  const { parts, frontEnd, end } = found
  const first = parts[0]
  if (!first) return planEmpty(maker, folder, found, end, found.meta?.clean?.lastTerm ?? 0)
  const lowWaterMark = frontEnd ?? found.lowWaterMark
  const lowTerm = frontEnd === undefined ? found.lowTerm : first.segment.header.previousTerm
  const lost = parts.flatMap(({ bad }) => bad.map((one) => above(one, found.lowWaterMark)))
  if (frontEnd !== undefined) lost.unshift({ offset: found.lowWaterMark, endOffset: frontEnd })
  const last = parts.at(-1)!.segment
  const rewrites = parts.filter(isHurt).map(rewriteWhole)
  return finishPlan(found, rewrites, [], lost, { lowWaterMark, lowTerm, last })
}

/** A log of one segment without entries: nothing is left that could be kept in its place. */
function planEmpty(
  maker: Maker,
  folder: string,
  found: Survey,
  base: number,
  previousTerm: number,
): RepairPlan {
  const id = Math.max(1, maker.random.uint32())
  const header = { ...NO_HEADER, id, base, previousTerm, createdAt: maker.now }
  const segment = new Segment(folder, header)
  const end = { endOffset: base, endPosition: SEGMENT_HEADER_BYTES }
  const rewrite = { segment, from: undefined, fromBytes: 0, lost: [], ...end }
  const lost = [{ offset: found.lowWaterMark, endOffset: found.end }]
  const marks = { lowWaterMark: base, lowTerm: previousTerm, last: segment }
  return finishPlan(found, [rewrite], found.parts, lost, marks)
}

function finishPlan(
  found: Survey,
  rewrites: readonly Rewrite[],
  behind: readonly Part[],
  lost: readonly OffsetRange[],
  { lowWaterMark, lowTerm, last }: { lowWaterMark: number; lowTerm: number; last: Segment },
): RepairPlan {
  const replaced = rewrites.map(({ from }) => from)
  const files = [...replaced, ...behind.map(({ file }) => file), ...found.strays]
  const newest = rewrites.find(({ segment }) => segment === last)
  return {
    rewrites,
    setAside: files.filter((name) => name !== undefined),
    lost: joined(lost),
    meta: { lowWaterMark, lowTerm, isReplica: false, clean: undefined },
    activeId: last.id,
    end: newest?.endOffset ?? found.end,
    isEndNew: newest !== undefined,
  }
}

function isHurt({ headerProblem, bad }: Part): boolean {
  return headerProblem !== undefined || bad.length > 0
}

function rewriteWhole(part: Part): Rewrite {
  const { segment, file: from, size, bad } = part
  const lost = bad.map((one) => fill(one, one.endOffset))
  const endPosition = Math.max(part.endPosition, lost.at(-1)?.endPosition ?? 0)
  const fromBytes = Math.min(size, endPosition)
  return { segment, from, fromBytes, lost, endOffset: part.endOffset, endPosition }
}

/** The part up to its `nth` bad stretch, and through that up to the low-water mark if need be. */
function rewriteTo(part: Part, nth: number, lowWaterMark: number): Rewrite {
  const { segment, file: from, size } = part
  const lost = part.bad.slice(0, nth).map((one) => fill(one, one.endOffset))
  const hurt = part.bad[nth]!
  if (hurt.batchEnd.offset >= lowWaterMark) {
    const { offset: endOffset, position: endPosition } = hurt.batchEnd
    return { segment, from, fromBytes: Math.min(size, endPosition), lost, endOffset, endPosition }
  }
  // What is kept ends a batch: at least one offset is given up, behind entries that begin one.
  const endOffset = Math.max(lowWaterMark, hurt.offset + 1)
  const rest = fill({ ...hurt, endPosition: undefined }, endOffset)
  const end = { endOffset, endPosition: rest.endPosition }
  return { segment, from, fromBytes: Math.min(size, hurt.position), lost: [...lost, rest], ...end }
}

function fill(bad: BadStretch, endOffset: number): LostStretch {
  const { offset, position, term, timestamp } = bad
  const least = leastLostBytes(endOffset - offset)
  const endPosition = bad.endPosition ?? position + least
  if (endPosition - position >= least) {
    return { offset, position, term, timestamp, endOffset, endPosition }
  }
  throw new TidemarkError(
    'CORRUPT',
    `offsets ${offset} to ${endOffset - 1} are lost, but only ${endPosition - position} bytes at position ${position}: what follows cannot be kept in its place; repair without skip`,
    { offset, position },
  )
}

function above({ offset, endOffset }: OffsetRange, lowWaterMark: number): OffsetRange {
  return { offset: Math.max(offset, lowWaterMark), endOffset }
}

/** The ranges in order, without empty ones, and as one where they touch. */
function joined(ranges: readonly OffsetRange[]): OffsetRange[] {
  const found: OffsetRange[] = []
  for (const { offset, endOffset } of ranges) {
    const before = found.at(-1)
    if (endOffset <= offset) continue
    if (before?.endOffset === offset) found[found.length - 1] = { ...before, endOffset }
    else found.push({ offset, endOffset })
  }
  return found
}
