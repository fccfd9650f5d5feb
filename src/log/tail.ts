import type { File } from '../io/index.ts'
import type { OffsetIndex } from './offset-index.ts'
import type { DamagedRange } from './recovery.ts'
import type { Segment } from './segment.ts'
import { SEGMENT_HEADER_BYTES } from './segment-format.ts'
import { type BadEntry, type ScanStart, scanEntries, searchHeader } from './segment-scan.ts'
import type { Steps } from './steps.ts'

interface TailEnd {
  readonly endOffset: number
  readonly endPosition: number
  readonly lastTerm: number
}

/** What the end of a log that was not closed looks like. */
export interface Tail {
  readonly startPosition: number
  /** Where the last whole batch ends; what is behind is torn, and nobody was promised it. */
  readonly endOffset: number
  readonly endPosition: number
  readonly lastTerm: number
  /** The highest offset, at most `endOffset`, below which everything is proven to have been synced. */
  readonly proven: number
  /** Entries that were once synced and are not sound now. */
  readonly damage: DamagedRange[]
}

/**
 * Reads the active segment from `from`, which is the end of a batch, to its end and tells a torn tail from damage.
 *
 * Let b be the first entry that is not sound. It is damage if anything proves that b was once synced:
 * `proven` (the marks file, a clean end) lies above b, or a sound header behind b carries a witness
 * above b. Otherwise b begins the torn tail. Marks and witnesses exist only at the ends of batches, so
 * "above b" is "above the last whole batch".
 */
export function* examineTail(
  file: File,
  segment: Segment,
  from: ScanStart,
  size: number,
  proven: number,
  index: OffsetIndex,
): Steps<Tail> {
  const damage: DamagedRange[] = []
  /** For each damaged range, where the last whole batch before it ends. */
  const ends: TailEnd[] = []
  let start = from
  let highest = proven
  // The highest witness behind the first bad entry. Witnesses are never above their own entry's offset,
  // so one that lies above a later bad entry is found behind that one too.
  let behind: number | undefined
  for (;;) {
    const scan = yield* scanEntries(file, segment, start, size, (header, position) => {
      index.note(header.lsn, position, header.timestamp)
      return true
    })
    highest = Math.max(highest, scan.witnessed)
    const tail = {
      startPosition: SEGMENT_HEADER_BYTES,
      endOffset: scan.endOffset,
      endPosition: scan.endPosition,
      lastTerm: scan.lastTerm,
      damage,
    }
    const bad = scan.bad ?? endOfFile(scan.endOffset, size)
    behind ??= yield* highestWitness(file, segment, bad.after, size, scan.endOffset + 1)
    if (Math.max(highest, behind) <= scan.endOffset) {
      const proven = Math.min(highest, scan.endOffset)
      return withoutLostEnd({ ...tail, proven }, ends, index, segment)
    }
    const next = yield* searchHeader(file, segment, bad.after, size, bad.offset + 1, () => true)
    damage.push({
      segmentId: segment.id,
      file: segment.name,
      offset: bad.offset,
      endOffset: next?.offset ?? Math.max(highest, behind),
      position: bad.position,
      endPosition: next?.position,
      problem: bad.problem,
    })
    ends.push({
      endOffset: scan.endOffset,
      endPosition: scan.endPosition,
      lastTerm: scan.lastTerm,
    })
    if (!next) return withoutLostEnd({ ...tail, proven: scan.endOffset }, ends, index, segment)
    index.resume(next.offset - segment.base, next.position)
    start = { offset: next.offset, position: next.position, term: scan.lastTerm }
  }
}

/**
 * Damage that no whole batch follows has taken the end of the log, whatever sound pieces lie behind it: the
 * log ends where the last whole batch before it does.
 */
function withoutLostEnd(tail: Tail, ends: TailEnd[], index: OffsetIndex, segment: Segment): Tail {
  const damage = [...tail.damage]
  let lost: DamagedRange | undefined
  let end: TailEnd = tail
  while (damage.length > 0 && end.endOffset <= damage.at(-1)!.endOffset) {
    const last = damage.pop()!
    end = ends.pop()!
    lost = { ...last, endOffset: lost?.endOffset ?? last.endOffset, endPosition: undefined }
  }
  if (!lost) return tail
  index.cut(end.endOffset - segment.base)
  const { endOffset, endPosition, lastTerm } = end
  return { ...tail, endOffset, endPosition, lastTerm, proven: endOffset, damage: [...damage, lost] }
}

/** The highest witness of any sound header in `[from, size)` of an entry at or above `offsetMin`. */
function* highestWitness(
  file: File,
  segment: Segment,
  from: number,
  size: number,
  offsetMin: number,
): Steps<number> {
  let highest = 0
  yield* searchHeader(file, segment, from, size, offsetMin, (found) => {
    highest = Math.max(highest, found.witnessed)
    return false
  })
  return highest
}

/** The store ends before what is proven. */
function endOfFile(offset: number, size: number): BadEntry {
  return { position: size, offset, problem: 'the store ends here', after: size }
}
