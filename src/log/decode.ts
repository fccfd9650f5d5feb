import { crc32OfView, TidemarkError, viewOf } from '../base/index.ts'
import type { Codec } from './codec.ts'
import type { Entry } from './commit-log.ts'
import { ENTRY_HEADER_BYTES, EntryHeader, isSystemType, TYPE_LOST } from './entry-format.ts'
import type { Segment } from './segment.ts'

/** How far a reader has come in a segment. */
export interface Cursor {
  readonly segment: Segment
  /** Offset and position of the next entry. */
  offset: number
  position: number
  /** Term of the entry before; terms never decrease. */
  term: number
}

/** What an entry that is not sound means to a reader. */
export function corruptEntry(cursor: Cursor, problem: string): TidemarkError {
  const { segment, offset, position } = cursor
  return new TidemarkError(
    'CORRUPT',
    `${segment.storePath} is damaged at position ${position}, offset ${offset}: ${problem}. \`tidemark verify\` lists all damage.`,
    { file: segment.name, position, offset },
  )
}

/**
 * Makes what a reader delivers of a sound entry, if anything. `data` is a view that nobody will write into.
 */
export type MakeEntry<E> = (header: EntryHeader, offset: number, data: Buffer) => E | undefined

/** Entries as programs see them, their data decoded. What the quorum has put into a log they do not see. */
export function entryMaker<T>(codec: Codec<T, never>): MakeEntry<Entry<T>> {
  return ({ term, type, timestamp, count }, offset, data) => {
    if (isSystemType(type)) return undefined
    return { offset, term, type, timestamp, count, data: codec.decode(data) }
  }
}

const header = new EntryHeader()

/**
 * Decodes the entries that lie in `chunk` from the cursor's position on, which is the chunk's first
 * byte, and appends those in `[from, to)` to `out`. Moves the cursor. Checks both checksums, the
 * continuity of offsets and the order of terms; throws CORRUPT.
 *
 * Returns how many bytes the next entry needs if it lies partly behind the chunk, else 0.
 */
export function decodeEntries<E>(
  chunk: Buffer,
  cursor: Cursor,
  from: number,
  to: number,
  make: MakeEntry<E>,
  out: E[],
): number {
  const { base, id } = cursor.segment
  const view = viewOf(chunk)
  let at = 0
  while (cursor.offset < to) {
    if (at + ENTRY_HEADER_BYTES > chunk.length) return ENTRY_HEADER_BYTES
    if (!header.read(view, at, id)) throw corruptEntry(cursor, 'entry header checksum')
    const { lsn, length, term, count } = header
    if (base + lsn !== cursor.offset) throw corruptEntry(cursor, `entry says offset ${base + lsn}`)
    if (term < cursor.term) throw corruptEntry(cursor, `term ${term} follows term ${cursor.term}`)
    const start = at + ENTRY_HEADER_BYTES
    const end = start + length
    if (end > chunk.length) return ENTRY_HEADER_BYTES + length
    const offset = cursor.offset
    // What is only passed over need not be whole: damage hurts whoever asks for it, and nobody else.
    const isWanted = offset + count > from && header.type !== TYPE_LOST
    if (isWanted && crc32OfView(view, start, end) !== header.dataCrc) {
      throw corruptEntry(cursor, 'data checksum')
    }
    if (isWanted) {
      const entry = make(header, offset, chunk.subarray(start, end))
      if (entry !== undefined) out.push(entry)
    }
    cursor.offset = offset + count
    cursor.position += end - at
    cursor.term = term
    at = end
  }
  return 0
}
