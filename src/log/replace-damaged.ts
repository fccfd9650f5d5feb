import { TidemarkError } from '../base/index.ts'
import type { File } from '../io/index.ts'
import { syncFileStep, writeStep } from './file-steps.ts'
import { Group } from './group.ts'
import { markUnclean } from './meta-file.ts'
import type { DamagedRange } from './recovery.ts'
import type { ReplicaEntry } from './replica-entry.ts'
import type { Segment } from './segment.ts'
import { scanEntries } from './segment-scan.ts'
import type { Steps } from './steps.ts'
import type { WriterState } from './writer-state.ts'

/** Writes a peer's entries over a damaged range of this replica's log, in place. */
export function* replaceRange(
  w: WriterState,
  range: DamagedRange,
  entries: readonly ReplicaEntry[],
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
  const group = groupOf(range, entries, segment)
  yield* markUnclean(w)
  const file = w.settings.files.openSync(segment.storePath, 'write')
  try {
    yield writeStep(file, group.bytes(0, group.length), range.position)
    yield syncFileStep(file, segment.storePath)
    yield* checkReplaced(file, segment, range)
  } finally {
    file.closeSync()
  }
  w.damage = w.damage.filter((other) => other !== range)
}

/** The entries as they lie in the store. They must be as many offsets and bytes as the range. */
function groupOf(range: DamagedRange, entries: readonly ReplicaEntry[], segment: Segment): Group {
  const group = new Group(range.offset)
  let offset = range.offset
  for (const entry of entries) {
    group.add(entry.data, entry, entry.more ?? false, entry.data.length, entry.dataCrc)
    offset += entry.count
  }
  const bytes = range.endPosition! - range.position
  if (offset !== range.endOffset || group.length !== bytes) {
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

function* checkReplaced(file: File, segment: Segment, range: DamagedRange): Steps {
  const start = { offset: range.offset, position: range.position, term: 0 }
  const limit = range.endPosition!
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
