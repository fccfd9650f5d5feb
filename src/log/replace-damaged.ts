import { TidemarkError } from '../base/index.ts'
import type { File } from '../io/index.ts'
import { ENTRY_HEADER_BYTES, TYPE_LOST } from './entry-format.ts'
import { syncFileStep, writeStep } from './file-steps.ts'
import { Group } from './group.ts'
import { markUnclean } from './meta-file.ts'
import type { DamagedRange } from './recovery.ts'
import type { ReplicaEntry } from './replica-entry.ts'
import { writeIndex } from './roll.ts'
import type { Segment } from './segment.ts'
import { scanEntries } from './segment-scan.ts'
import type { Steps } from './steps.ts'
import type { WriterState } from './writer-state.ts'

/**
 * Writes a peer's entries over a damaged range of this replica's log, in place. Fewer than were lost leave the
 * rest of the range damaged: what is behind them is to be cut off, what is before `from` was trimmed.
 */
export function* replaceRange(
  w: WriterState,
  range: DamagedRange,
  entries: readonly ReplicaEntry[],
  from = range?.offset,
): Steps {
  const segment = w.segments.find((candidate) => candidate.id === range?.segmentId)
  if (!segment || !w.damage.includes(range)) {
    throw invalid(
      `offsets ${range?.offset} to ${range?.endOffset} are not a damaged range of this log`,
    )
  }
  if (range.endPosition === undefined) {
    throw invalid('a range that reaches to the end is not replaced: append the entries again')
  }
  const all = from > range.offset ? [lostBefore(range, entries, from), ...entries] : entries
  const group = groupOf(range, all, segment)
  yield* markUnclean(w)
  const file = w.settings.files.openSync(segment.storePath, 'write')
  try {
    yield writeStep(file, group.bytes(0, group.length), range.position)
    yield syncFileStep(file, segment.storePath)
    yield* checkReplaced(file, segment, range, group.length)
  } finally {
    file.closeSync()
  }
  const rest = restOf(range, all, group.length)
  w.damage = w.damage.flatMap((other) => (other === range ? rest : other))
  if (w.damage.some(({ segmentId }) => segmentId === segment.id)) return
  // It is whole: nothing in it has to be stepped over any more.
  yield* w.files.rebuild(segment)
  if (segment.isSealed) yield* writeIndex(w, segment)
}

/**
 * What takes the place of the entries before `from`, which were trimmed: nobody reads it, but everybody has to
 * get past it.
 */
function lostBefore(
  range: DamagedRange,
  entries: readonly ReplicaEntry[],
  from: number,
): ReplicaEntry {
  const [first] = entries
  const wanted = entries.reduce((sum, { data }) => sum + ENTRY_HEADER_BYTES + data.length, 0)
  const bytes = (range.endPosition ?? range.position) - range.position - wanted
  if (!first || from >= range.endOffset || bytes < ENTRY_HEADER_BYTES) {
    throw invalid(
      `${entries.length} entries with ${wanted} bytes are not the end of a range of ${wanted + bytes} bytes`,
    )
  }
  const { term, timestamp } = first
  const data = new Uint8Array(bytes - ENTRY_HEADER_BYTES)
  return { term, type: TYPE_LOST, timestamp, count: from - range.offset, data, more: false }
}

/** What stays damaged behind the entries. */
function restOf(
  range: DamagedRange,
  entries: readonly ReplicaEntry[],
  bytes: number,
): DamagedRange[] {
  const offset = entries.reduce((end, { count }) => end + count, range.offset)
  return offset === range.endOffset ? [] : [{ ...range, offset, position: range.position + bytes }]
}

/**
 * The entries as they lie in the store. They must be as many offsets and bytes as the range, or fewer of both
 * and end a batch.
 */
function groupOf(range: DamagedRange, entries: readonly ReplicaEntry[], segment: Segment): Group {
  const group = new Group(range.offset)
  let offset = range.offset
  for (const entry of entries) {
    group.add(entry.data, entry, entry.more ?? false, entry.data.length, entry.dataCrc)
    offset += entry.count
  }
  const bytes = range.endPosition! - range.position
  const fills = offset === range.endOffset && group.length === bytes
  const begins = offset < range.endOffset && group.length < bytes && entries.at(-1)?.more === false
  if (!fills && !begins) {
    throw invalid(
      `${entries.length} entries to offset ${offset} with ${group.length} bytes do not fill the range to offset ${range.endOffset} with ${bytes} bytes`,
    )
  }
  group.seal(0, group.length, {
    salt: segment.id,
    lsn: range.offset - segment.base,
    // Nothing is vouched for: the witness says what was synced before the entry was first written.
    witness: 0,
  })
  return group
}

function* checkReplaced(file: File, segment: Segment, range: DamagedRange, bytes: number): Steps {
  const start = { offset: range.offset, position: range.position, term: 0 }
  const limit = range.position + bytes
  let end = range.position
  const scan = yield* scanEntries(file, segment, start, limit, (header, position) => {
    end = position + header.size
    return true
  })
  // The range may end inside a batch, whose other entries were never damaged.
  if (end === limit) return
  const problem = scan.bad?.problem ?? 'it ends early'
  throw new TidemarkError(
    'CORRUPT',
    `${segment.storePath} is still damaged at position ${end} after it was rewritten: ${problem}`,
    { file: segment.name, position: end, offset: range.offset },
  )
}

function invalid(message: string): TidemarkError {
  return new TidemarkError('INVALID_ARGUMENT', message)
}
