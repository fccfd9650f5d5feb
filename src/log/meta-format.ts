import {
  crc32,
  getU16,
  getU32,
  getU48,
  getU64,
  OFFSET_MAX,
  setU16,
  setU32,
  setU48,
  setU64,
} from '../base/index.ts'
import { FORMAT_VERSION, SEGMENT_HEADER_BYTES } from './segment-format.ts'

// The meta file: 64 bytes, replaced as a whole (temporary name, sync, rename, directory sync), so a
// crash leaves the old one or the new one. One that does not decode is damage. docs/format.md.

export const META_BYTES = 64
/** "TMMT" as it lies in the file. */
const MAGIC = 0x544d4d54

const VERSION_AT = 4
const FLAGS_AT = 6
const LOW_WATER_MARK_AT = 8
const LOW_TERM_AT = 16
const SEGMENT_AT = 20
const END_OFFSET_AT = 24
const END_POSITION_AT = 32
const LAST_TERM_AT = 36
const MAX_TIME_AT = 40
const HIGH_WATER_MARK_AT = 46
const CRC_AT = 60

const FLAG_CLEAN = 1
const FLAG_REPLICA = 2

/** Where a log that was closed cleanly ended. It proves that all before was synced. */
export interface CleanEnd {
  /** Id of the active segment. */
  readonly segmentId: number
  readonly endOffset: number
  readonly endPosition: number
  readonly lastTerm: number
  readonly maxTimestamp: number
  readonly highWaterMark: number
}

export interface Meta {
  readonly lowWaterMark: number
  /** Term of the entry at `lowWaterMark - 1`, which outlives its trimming; 0 if there never was one. */
  readonly lowTerm: number
  /** The high-water mark is set by the host of a replica: what is whole here may not be committed. */
  readonly isReplica: boolean
  /** Present only while the log is closed, or open and not yet written to. */
  readonly clean: CleanEnd | undefined
}

export function encodeMeta(meta: Meta): Uint8Array {
  const b = new Uint8Array(META_BYTES)
  setU32(b, 0, MAGIC)
  setU16(b, VERSION_AT, FORMAT_VERSION)
  setU16(b, FLAGS_AT, (meta.clean ? FLAG_CLEAN : 0) | (meta.isReplica ? FLAG_REPLICA : 0))
  setU64(b, LOW_WATER_MARK_AT, meta.lowWaterMark)
  setU32(b, LOW_TERM_AT, meta.lowTerm)
  if (meta.clean) {
    setU32(b, SEGMENT_AT, meta.clean.segmentId)
    setU64(b, END_OFFSET_AT, meta.clean.endOffset)
    setU32(b, END_POSITION_AT, meta.clean.endPosition)
    setU32(b, LAST_TERM_AT, meta.clean.lastTerm)
    setU48(b, MAX_TIME_AT, meta.clean.maxTimestamp)
    setU64(b, HIGH_WATER_MARK_AT, meta.clean.highWaterMark)
  }
  setU32(b, CRC_AT, crc32(b, 0, CRC_AT))
  return b
}

/** The meta, or a phrase that says what is wrong; `version` is set when it is only newer. */
export type MetaResult =
  | { readonly meta: Meta }
  | { readonly problem: string; readonly version?: number }

export function decodeMeta(b: Uint8Array): MetaResult {
  if (b.length !== META_BYTES) return { problem: `${b.length} bytes instead of ${META_BYTES}` }
  if (getU32(b, 0) !== MAGIC) return { problem: 'not a Tidemark meta file (wrong magic)' }
  if (getU32(b, CRC_AT) !== crc32(b, 0, CRC_AT)) return { problem: 'checksum mismatch' }
  const version = getU16(b, VERSION_AT)
  if (version !== FORMAT_VERSION) return { problem: `format version ${version}`, version }
  const flags = getU16(b, FLAGS_AT)
  const meta: Meta = {
    lowWaterMark: getU64(b, LOW_WATER_MARK_AT),
    lowTerm: getU32(b, LOW_TERM_AT),
    isReplica: (flags & FLAG_REPLICA) !== 0,
    clean: (flags & FLAG_CLEAN) === 0 ? undefined : decodeCleanEnd(b),
  }
  const problem = metaProblem(meta)
  return problem === undefined ? { meta } : { problem }
}

/** What no writer writes is damage, though its checksum fits. */
function metaProblem({ lowWaterMark, clean }: Meta): string | undefined {
  const end = clean?.endOffset ?? OFFSET_MAX
  if (end > OFFSET_MAX) return `a clean end at offset ${end}`
  if (lowWaterMark > end) return `the low-water mark ${lowWaterMark} is beyond the end ${end}`
  if (!clean) return undefined
  const { highWaterMark, endPosition } = clean
  if (highWaterMark > end) return `the high-water mark ${highWaterMark} is beyond the end ${end}`
  if (endPosition < SEGMENT_HEADER_BYTES) return `a clean end at position ${endPosition}`
  return undefined
}

function decodeCleanEnd(b: Uint8Array): CleanEnd {
  return {
    segmentId: getU32(b, SEGMENT_AT),
    endOffset: getU64(b, END_OFFSET_AT),
    endPosition: getU32(b, END_POSITION_AT),
    lastTerm: getU32(b, LAST_TERM_AT),
    maxTimestamp: getU48(b, MAX_TIME_AT),
    highWaterMark: getU64(b, HIGH_WATER_MARK_AT),
  }
}
