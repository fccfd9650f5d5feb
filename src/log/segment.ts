import { join } from 'node:path'
import { indexName, storeName } from './names.ts'
import type { OffsetIndex } from './offset-index.ts'
import { SEGMENT_HEADER_BYTES, type SegmentHeader } from './segment-format.ts'

/**
 * One segment of the log as it is known in memory: what its header says, and how far it reaches.
 *
 * Invariant: `endOffset >= base` and `endPosition >= SEGMENT_HEADER_BYTES`; both lie at the end of a
 * batch, and only grow while the segment is active, except when its host rolls a failed write back.
 */
export class Segment {
  readonly header: SegmentHeader
  readonly storePath: string
  readonly indexPath: string
  /** The offset behind the last entry. */
  endOffset: number
  /** The byte behind the last entry. */
  endPosition: number
  /** Term of the last entry, or of the one before the segment while it is empty. */
  lastTerm: number
  /** The offset index, once it has been needed; dropped again for sealed segments. */
  index: OffsetIndex | undefined
  /**
   * The offset up to which the index knows the segment, where it grows without this process writing
   * it; undefined where the index is kept exact.
   */
  indexedOffset: number | undefined

  /** True once a successor has taken over: nothing is added any more. */
  isSealed = false

  constructor(folder: string, header: SegmentHeader) {
    this.header = header
    this.storePath = join(folder, storeName(header.base, header.id))
    this.indexPath = join(folder, indexName(header.base, header.id))
    this.endOffset = header.base
    this.endPosition = SEGMENT_HEADER_BYTES
    this.lastTerm = header.previousTerm
  }

  get id(): number {
    return this.header.id
  }

  get base(): number {
    return this.header.base
  }

  get isEmpty(): boolean {
    return this.endOffset === this.header.base
  }

  /** The file's name, as errors and tools show it. */
  get name(): string {
    return storeName(this.header.base, this.header.id)
  }

  /** Sets how far the segment reaches from what its successor recorded when it took over. */
  endWhere(successor: SegmentHeader): void {
    this.isSealed = true
    this.endOffset = successor.base
    this.endPosition = successor.predecessorEnd
    this.lastTerm = successor.previousTerm
  }
}

/** The segment of an ordered list that holds `offset`, or the last that begins below it; -1 if none. */
export function segmentAt(segments: readonly Segment[], offset: number): number {
  let low = 0
  let high = segments.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (segments[middle]!.base <= offset) low = middle + 1
    else high = middle
  }
  // A cut can leave an empty segment at the base of its successor; the later one holds the offset.
  return low - 1
}
