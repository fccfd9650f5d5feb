import { crc32, getU16, getU32, getU64, setU16, setU32, setU64 } from '../base/index.ts'

// A snapshot file: a header of 24 bytes, then frames of up to 1 MiB (8 bytes of length and checksum,
// then data), then a frame of length zero. Each checksum continues the one before, so frames cannot
// be missing, doubled or out of order. docs/format.md is its page.

export const SNAPSHOT_HEADER_BYTES = 24
export const FRAME_HEADER_BYTES = 8
export const FRAME_DATA_BYTES_MAX = 1024 * 1024
export const SNAPSHOT_VERSION = 1
/** "TMSN" as it lies in the file. */
const MAGIC = 0x4e534d54

export function encodeSnapshotHeader(offset: number): Uint8Array {
  const b = new Uint8Array(SNAPSHOT_HEADER_BYTES)
  setU32(b, 0, MAGIC)
  setU16(b, 4, SNAPSHOT_VERSION)
  setU64(b, 8, offset)
  setU32(b, 20, crc32(b, 0, 20))
  return b
}

/** The checksum of a header, which that of the first frame continues. */
export function snapshotHeaderCrc(b: Uint8Array): number {
  return getU32(b, 20)
}

/** The offset that the snapshot is for, or a phrase that says what is wrong; `version` if it is newer. */
export function decodeSnapshotHeader(
  b: Uint8Array,
): { offset: number } | { problem: string; version?: number } {
  if (b.length < SNAPSHOT_HEADER_BYTES) return { problem: `only ${b.length} bytes of header` }
  if (getU32(b, 0) !== MAGIC) return { problem: 'not a Tidemark snapshot (wrong magic)' }
  if (getU32(b, 20) !== crc32(b, 0, 20)) return { problem: 'header checksum' }
  const version = getU16(b, 4)
  if (version !== SNAPSHOT_VERSION) return { problem: `snapshot version ${version}`, version }
  return { offset: getU64(b, 8) }
}

/** A frame of `data`, whose checksum continues `previous`. */
export function encodeFrame(data: Uint8Array, previous: number): Uint8Array {
  const b = new Uint8Array(FRAME_HEADER_BYTES + data.length)
  setU32(b, 0, data.length)
  b.set(data, FRAME_HEADER_BYTES)
  setU32(b, 4, frameCrc(b, previous))
  return b
}

export function frameLength(b: Uint8Array): number {
  return getU32(b, 0)
}

export function frameChecksum(b: Uint8Array): number {
  return getU32(b, 4)
}

/** The checksum of a frame: its length and data, continuing that of the frame before. */
export function frameCrc(b: Uint8Array, previous: number): number {
  return crc32(b, FRAME_HEADER_BYTES, b.length, crc32(b, 0, 4, previous))
}
