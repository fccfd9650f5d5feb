import { SEGMENT_OFFSETS_MAX, TidemarkError } from '../../base/index.ts'
import type { Batch, Point } from '../core/index.ts'
import { type BatchEntry, batchAt, offsetsOf } from './batches.ts'
import { garbage } from './byte-reader.ts'
import type { BodyReader, BodyWriter } from './frame-body.ts'
import { TYPE_LEADER, TYPE_MEMBERS } from './own-entries.ts'

/** Term, start, end, how many entries. */
const BATCH_BYTES = 4 + 8 + 8 + 4

/** How many (4 bytes), then each. Kind and size are those of the entries, and not sent. */
export function writeBatches(out: BodyWriter, batches: readonly Batch[]): void {
  out.head.u32(batches.length)
  for (const { term, start, end, payload } of batches) {
    out.head.u32(term)
    out.head.u64(start)
    out.head.u64(end)
    out.entries(payload as readonly BatchEntry[])
  }
}

/** Batches that follow one another from `from` on, none of a term above `termMax`: what a core can append. */
export function readBatches(input: BodyReader, from: Point, termMax: number): Batch[] {
  const { head } = input
  const batches: Batch[] = []
  let { term, mark } = from
  for (let left = head.count(BATCH_BYTES); left > 0; left--) {
    const before = term
    term = head.u32()
    if (term < Math.max(1, before) || term > termMax) {
      garbage(`a batch of term ${term}, behind ${before} and up to ${termMax}`)
    }
    const start = head.mark()
    const end = head.mark()
    if (start !== mark) garbage(`a batch at ${start}, where ${mark} is next`)
    const entries = input.entries()
    checkBatch(entries, end - start)
    batches.push(batchOf(term, start, entries))
    mark = end
  }
  return batches
}

function checkBatch(entries: readonly BatchEntry[], offsets: number): void {
  const sum = offsetsOf(entries)
  if (entries.length === 0) garbage('a batch without entries')
  if (sum !== offsets) garbage(`a batch over ${offsets} offsets whose entries take ${sum}`)
  if (sum > SEGMENT_OFFSETS_MAX) garbage(`a batch over ${sum} offsets`)
  const own = entries.find(({ type }) => type === TYPE_LEADER || type === TYPE_MEMBERS)
  if (!own) return
  // The core makes them one by one, and looks at the first of a batch only.
  if (sum !== 1) garbage(`an entry of type ${own.type} among others`)
  if (own.type === TYPE_LEADER && own.data.length > 0) garbage('a leader’s first entry with data')
}

function batchOf(term: number, start: number, entries: readonly BatchEntry[]): Batch {
  let batch: Batch
  try {
    batch = batchAt(term, start, entries)
  } catch (error) {
    if (error instanceof TidemarkError) garbage(error.message)
    throw error
  }
  if (batch.members?.voters.length === 0) garbage('members without a voter')
  return batch
}
