// The names in a log's folder.

export const META_NAME = 'meta'
export const MARKS_NAME = 'marks'
export const LOCK_NAME = 'lock'
export const SNAPSHOT_FOLDER = 'snapshots'
/** While it is there, a repair has been decided on and not been finished. */
export const REPAIR_NAME = 'repair'
/** While it is there, the log is being deleted. */
export const DELETION_NAME = 'deletion'
/** What a repair has replaced is kept under a name that ends so. */
export const BROKEN_SUFFIX = '.broken'
export const CURSOR_FOLDER = 'cursors'
/** How far a mirror into this log has come. */
export const MIRROR_FOLDER = 'mirror'
export const CURSOR_SUFFIX = '.cursor'
/** New files are built under a name that ends so; what still has it after a crash is rubbish. */
export const TEMPORARY_SUFFIX = '.tmp'

/** Small letters only: some file systems do not tell them from capitals. */
const CURSOR_NAME = /^[a-z0-9][a-z0-9._-]{0,99}$/
/** Windows gives these to devices, whatever comes behind the dot. */
const DEVICE_NAME = /^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/

const SEGMENT_NAME = /^(\d{20})-([0-9a-f]{8})\.(store|index)$/

export interface SegmentName {
  readonly base: number
  readonly id: number
  readonly kind: 'store' | 'index'
}

export function segmentName(base: number, id: number): string {
  return `${String(base).padStart(20, '0')}-${id.toString(16).padStart(8, '0')}`
}

export function storeName(base: number, id: number): string {
  return `${segmentName(base, id)}.store`
}

export function indexName(base: number, id: number): string {
  return `${segmentName(base, id)}.index`
}

/** True for the temporary name of a file that a log makes: a stranger's is left alone. */
export function isOurTemporary(name: string): boolean {
  if (!name.endsWith(TEMPORARY_SUFFIX)) return false
  const made = name.slice(0, -TEMPORARY_SUFFIX.length)
  return [META_NAME, MARKS_NAME, REPAIR_NAME].includes(made) || parseSegmentName(made) !== undefined
}

/** What a file name says, or undefined if it is not that of a segment's file. */
export function parseSegmentName(name: string): SegmentName | undefined {
  const match = SEGMENT_NAME.exec(name)
  if (!match) return undefined
  const base = Number(match[1])
  const kind = match[3] === 'store' ? 'store' : 'index'
  return Number.isSafeInteger(base) ? { base, id: Number.parseInt(match[2]!, 16), kind } : undefined
}

/** True if a cursor may have this name: its files then have names that are safe on every file system. */
export function isCursorName(name: string): boolean {
  return CURSOR_NAME.test(name) && !DEVICE_NAME.test(name)
}
