// Gives changed files checksums that fit again: for versions that do not exist yet, and for fields that
// no writer would write.

import { crc32 } from '#dist/base/index.js'

export type FileKind = 'store' | 'index' | 'meta' | 'marks' | 'snapshot'

export function kindOf(name: string): FileKind | undefined {
  if (name === 'meta' || name === 'marks') return name
  if (name.endsWith('.store')) return 'store'
  if (name.endsWith('.index')) return 'index'
  return name.endsWith('.snapshot') ? 'snapshot' : undefined
}

function view(b: Uint8Array): DataView {
  return new DataView(b.buffer, b.byteOffset, b.byteLength)
}

/** Sets the checksum of a file's header; for an index, which has one for all of it, of the file. */
export function resealFile(kind: FileKind, b: Uint8Array): void {
  const v = view(b)
  if (kind === 'store' || kind === 'meta') {
    if (b.length >= 64) v.setUint32(60, crc32(b, 0, 60), true)
  } else if (kind === 'marks') {
    if (b.length >= 32) v.setUint32(28, crc32(b, 0, 28), true)
  } else if (kind === 'snapshot') {
    if (b.length >= 24) v.setUint32(20, crc32(b, 0, 20), true)
  } else if (b.length >= 32) {
    v.setUint32(28, crc32(b, 32, b.length, crc32(b, 0, 28)), true)
  }
}

/** Sets the checksum of the entry header at `at` in a store. */
export function resealEntry(b: Uint8Array, at: number): void {
  const salt = view(b).getUint32(8, true)
  view(b).setUint32(at + 12, crc32(b, at + 16, at + 40, crc32(b, at, at + 12, salt)), true)
}

/** Sets the checksum of the snapshot frame at `at`, whose length field may be anything. */
export function resealFrame(b: Uint8Array, at: number, previous: number): void {
  const length = Math.min(view(b).getUint32(at, true), b.length - at - 8)
  const crc = crc32(b, at + 8, at + 8 + length, crc32(b, at, at + 4, previous))
  view(b).setUint32(at + 4, crc, true)
}

/** Where the entries of a store begin, as far as their headers lead from one to the next. */
export function entryPositions(b: Uint8Array): number[] {
  const positions: number[] = []
  for (let at = 64; at + 40 <= b.length && b[at + 38] !== 0; ) {
    positions.push(at)
    at += 40 + view(b).getUint32(at + 8, true)
  }
  return positions
}
