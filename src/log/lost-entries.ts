import { crc32, KIB, viewOf } from '../base/index.ts'
import type { File } from '../io/index.ts'
import { ENTRY_HEADER_BYTES, sealEntryHeader, TYPE_LOST, writeEntryFields } from './entry-format.ts'
import type { Segment } from './segment.ts'
import type { StorePoint } from './stretches.ts'

/** A reader that passes an entry has to read it: what is lost is cut into pieces of about this size. */
const PIECE_BYTES = 64 * KIB
const COUNT_MAX = 2 ** 31

/** Where entries of type "lost" take the place of what cannot be read. */
export interface LostStretch extends StorePoint {
  readonly endOffset: number
  readonly endPosition: number
  readonly timestamp: number
}

/** The least bytes that entries for so many offsets take. */
export function leastLostBytes(offsets: number): number {
  return Math.ceil(offsets / COUNT_MAX) * ENTRY_HEADER_BYTES
}

/**
 * Fills a stretch with entries of type "lost": every offset of it, and every byte, so that nothing behind
 * it has to move. Their data is zeros. The stretch has at least {@link leastLostBytes}.
 */
export async function writeLost(file: File, segment: Segment, lost: LostStretch): Promise<void> {
  const { endOffset, endPosition, term, timestamp } = lost
  let { offset, position } = lost
  const pieces = Math.ceil((endPosition - position) / PIECE_BYTES)
  const least = Math.ceil((endOffset - offset) / COUNT_MAX)
  for (let left = Math.max(least, Math.min(pieces, endOffset - offset)); left > 0; left--) {
    const count = left === 1 ? endOffset - offset : countOf(endOffset - offset, left)
    const size = left === 1 ? endPosition - position : Math.floor((endPosition - position) / left)
    const kind = { type: TYPE_LOST, term: Math.max(1, term), timestamp, count }
    await writePiece(file, segment, { offset, position, size, kind })
    offset += count
    position += size
  }
}

/** An even share, so that the counts stay as small as they can. */
function countOf(offsets: number, pieces: number): number {
  return Math.max(1, Math.floor(offsets / pieces))
}

interface Piece {
  readonly offset: number
  readonly position: number
  readonly size: number
  readonly kind: Parameters<typeof writeEntryFields>[2]
}

async function writePiece(file: File, segment: Segment, piece: Piece): Promise<void> {
  const { offset, position, size, kind } = piece
  const header = new Uint8Array(ENTRY_HEADER_BYTES)
  const length = size - ENTRY_HEADER_BYTES
  const zeros = new Uint8Array(Math.min(length, PIECE_BYTES))
  let crc = 0
  for (let at = 0; at < length; at += zeros.length) {
    const part = zeros.subarray(0, Math.min(zeros.length, length - at))
    await file.write(part, position + ENTRY_HEADER_BYTES + at)
    crc = crc32(part, 0, part.length, crc)
  }
  const view = viewOf(header)
  writeEntryFields(view, 0, kind, length, crc, false)
  // Nothing is vouched for: a repair has synced nothing that was not found.
  sealEntryHeader(view, 0, offset - segment.base, 0, segment.id)
  await file.write(header, position)
}
