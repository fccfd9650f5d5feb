import type { File } from '../io/index.ts'
import type { EntryHeader } from './entry-format.ts'
import type { Segment } from './segment.ts'
import { type ScanStart, scanEntries, searchHeader, segmentStart } from './segment-scan.ts'
import type { Steps } from './steps.ts'

/** Offsets whose entries are not sound. */
export interface BadRange {
  readonly offset: number
  readonly endOffset: number
  readonly position: number
  readonly problem: string
}

/** How far the entries of a segment go that are to be sound: to the offset `end`, and below the byte `limit`. */
export interface RangeExtent {
  readonly limit: number
  readonly end: number
}

/** Checks the entries of a segment from its start; behind damage it goes on with the next sound header. */
export function* checkRange(
  file: File,
  segment: Segment,
  { limit, end }: RangeExtent,
  visit: (header: EntryHeader) => void,
): Steps<BadRange[]> {
  const found: BadRange[] = []
  let start: ScanStart = segmentStart(segment)
  let offset = start.offset
  while (offset < end) {
    const scan = yield* scanEntries(file, segment, start, limit, (header) => {
      offset = segment.base + header.lsn + header.count
      visit(header)
      return offset < end
    })
    if (offset >= end) break
    const bad = scan.bad ?? {
      position: limit,
      offset,
      problem: 'the store ends here',
      after: limit,
    }
    const next = yield* searchHeader(file, segment, bad.after, limit, bad.offset + 1, (header) => {
      return header.offset < end
    })
    const endOffset = next?.offset ?? end
    found.push({ offset: bad.offset, endOffset, position: bad.position, problem: bad.problem })
    if (!next) break
    start = { offset: next.offset, position: next.position, term: 0 }
    offset = next.offset
  }
  return found
}
