import type { DamagedRange, Log } from '../log/index.ts'
import type { Hole, Point, StoredLog } from './core/index.ts'

/** What a replica's log holds when it was opened, as the core wants to know it. */
export async function storedLog(log: Log): Promise<StoredLog> {
  const { replica, highWaterMark } = log
  const low = lowOf(log)
  const last = endOf(log)
  const lost = replica.damage.filter((range) => range.endPosition === undefined)
  const holes = await holesOf(log)
  return {
    low,
    last,
    lostEnd: lost.length === 0 ? undefined : Math.max(...lost.map((range) => range.endOffset)),
    terms: termsOf(log, low.term, holes),
    holes,
    commit: highWaterMark,
  }
}

/** Where the log of a replica ends: also of one that is closed. */
export function endOf(log: Log): Point {
  const { endOffset, lastTerm } = log.replica
  return { mark: endOffset, term: Math.max(lowOf(log).term, lastTerm) }
}

/** Where it begins, behind an entry of that term. */
function lowOf({ replica, lowWaterMark: mark }: Log): Point {
  return { mark, term: mark === 0 ? 0 : replica.termAt(mark - 1) }
}

/** Where terms begin. They never decrease along a log, so each change is found by halves. */
function termsOf(log: Log, lowTerm: number, holes: readonly Hole[]): StoredLog['terms'] {
  const { replica, lowWaterMark } = log
  const found: { term: number; start: number }[] = []
  let before = lowTerm
  const note = (start: number, term: number) => {
    if (term === before) return
    found.push({ term, start })
    before = term
  }
  const search = (from: number, to: number) => {
    const first = replica.termAt(from)
    note(from, first)
    if (to - from === 1 || first === replica.termAt(to - 1)) return
    // Not by shifting: a log may span more than 2^31 offsets.
    const middle = from + Math.floor((to - from) / 2)
    search(from, middle)
    search(middle, to)
  }
  let from = lowWaterMark
  for (const hole of holes) {
    if (from < hole.from) search(from, hole.from)
    // What lies between is not known; that it is not above the last of them is.
    note(hole.from, hole.term)
    from = hole.to
  }
  if (from < replica.endOffset) search(from, replica.endOffset)
  return found
}

/** Damaged ranges, widened to whole batches and to a last entry that is sound. */
async function holesOf(log: Log): Promise<Hole[]> {
  const holes: Hole[] = []
  const ranges = log.replica.damage.filter(
    ({ endPosition, endOffset }) => endPosition !== undefined && endOffset > log.lowWaterMark,
  )
  for (let i = 0; i < ranges.length; i++) {
    const from = await startOfBatch(log, Math.max(ranges[i]!.offset, log.lowWaterMark))
    let end = await endOfBatch(log, ranges[i]!.endOffset, ranges[i + 1])
    while (end === undefined) {
      i++
      end = await endOfBatch(log, ranges[i]!.endOffset, ranges[i + 1])
    }
    holes.push({ from, to: end, term: log.replica.termAt(end - 1) })
  }
  return holes
}

/** The start of the batch that an offset lies in, whose entry is damaged while those before it are not. */
export async function startOfBatch(log: Log, offset: number): Promise<number> {
  let start = offset
  while (start > log.lowWaterMark) {
    let before: { offset: number; more: boolean } | undefined
    for await (const entry of log.replica.read(start - 1, start)) before = entry
    if (!before?.more) return start
    start = before.offset
  }
  return start
}

/** The end of the first batch that ends behind the damage; undefined if there is more damage before. */
async function endOfBatch(
  log: Log,
  from: number,
  next: DamagedRange | undefined,
): Promise<number | undefined> {
  const to = next?.offset ?? log.replica.endOffset
  // Nothing follows, but where the log ends a batch does, and of the end of a segment the next one knows the term.
  if (from === log.replica.endOffset) return from
  if (from >= to) return undefined
  for await (const { offset, count, more } of log.replica.read(from, to)) {
    if (!more) return offset + count
  }
  return undefined
}
