import { OFFSET_MAX } from '../base/index.ts'

/** The header of a record, the last of each batch that a mirror writes, which says how far the source is copied. */
export const MARK_HEADER = 'tidemark-mirror'

/** How far a mirror has come, as it lies at the target with what it was copied with. */
export interface MirrorMark {
  /** What was copied from: the path of a folder, or a partition with the ids of its topic and cluster. */
  readonly from: string
  /** Offset in the source of the last entry that was copied; -1 before the first. */
  readonly offset: number
  /** Where the next one begins. */
  readonly next: number
}

/** JSON, in UTF-8. */
export function encodeMark({ from, offset, next }: MirrorMark): Buffer {
  return Buffer.from(JSON.stringify({ from, offset, next }))
}

/** Undefined if these bytes are no mark. */
export function decodeMark(bytes: Uint8Array): MirrorMark | undefined {
  let value: unknown
  try {
    value = JSON.parse(Buffer.from(bytes).toString())
  } catch {
    return undefined
  }
  if (typeof value !== 'object' || value === null) return undefined
  const { from, offset, next } = value as Partial<Record<keyof MirrorMark, unknown>>
  const isMark = typeof from === 'string' && isOffset(offset, -1) && isOffset(next, 0)
  return isMark ? { from, offset, next } : undefined
}

function isOffset(value: unknown, min: number): value is number {
  return Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= OFFSET_MAX
}
