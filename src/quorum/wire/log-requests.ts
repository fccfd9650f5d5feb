import { garbage } from './byte-reader.ts'
import { BodyReader, BodyWriter } from './frame-body.ts'

// The small requests of members about a log, and their answers. docs/format.md has the layout.

interface Bytes {
  readonly head: Buffer
  readonly data: readonly Uint8Array[]
}

interface Body {
  readonly head: Buffer
  readonly data: Buffer
}

/** A log, and a place in it. */
export interface LogPlace {
  readonly log: number
  readonly mark: number
}

/** Bytes of a snapshot in one answer, about. */
export const SNAPSHOT_PART_BYTES = 256 * 1024

/** As many offsets as an answer may have. */
const SNAPSHOTS_MAX = 1024

export function encodeLogPlace({ log, mark }: LogPlace): Bytes {
  const { head } = new BodyWriter(16)
  head.u48(log)
  head.u64(mark)
  return { head: head.done(), data: [] }
}

export function decodeLogPlace(body: Body): LogPlace {
  const from = new BodyReader(body)
  const place = { log: from.head.u48(), mark: from.head.mark() }
  from.end()
  return place
}

/** A mark, or none: the peer cannot do what it was asked. */
export function encodeMark(mark: number | undefined): Bytes {
  const { head } = new BodyWriter(16)
  head.u8(mark === undefined ? 0 : 1)
  head.u64(mark ?? 0)
  return { head: head.done(), data: [] }
}

export function decodeMark(body: Body): number | undefined {
  const from = new BodyReader(body)
  const flag = from.head.u8()
  const mark = from.head.mark()
  from.end()
  if (flag > 1) garbage(`a flag of ${flag}`)
  return flag === 1 ? mark : undefined
}

/** Offsets, ascending; of many the last. */
export function encodeOffsets(offsets: readonly number[]): Bytes {
  const { head } = new BodyWriter(64)
  const last = offsets.slice(-SNAPSHOTS_MAX)
  head.u32(last.length)
  for (const offset of last) head.u64(offset)
  return { head: head.done(), data: [] }
}

export function decodeOffsets(body: Body): number[] {
  const from = new BodyReader(body)
  const count = from.head.count(8)
  if (count > SNAPSHOTS_MAX) garbage(`${count} snapshots`)
  const offsets = Array.from({ length: count }, () => from.head.mark())
  from.end()
  return offsets
}

/** Which part of a snapshot is asked for; parts are asked for in order, from 0. */
export interface SnapshotPartRequest extends LogPlace {
  /** Tells this reading from others of the same member. */
  readonly reading: number
  readonly part: number
}

export function encodeSnapshotPartRequest(request: SnapshotPartRequest): Bytes {
  const { head } = new BodyWriter(32)
  head.u48(request.log)
  head.u64(request.mark)
  head.u32(request.reading)
  head.u32(request.part)
  return { head: head.done(), data: [] }
}

export function decodeSnapshotPartRequest(body: Body): SnapshotPartRequest {
  const from = new BodyReader(body)
  const { head } = from
  const place = { log: head.u48(), mark: head.mark() }
  const request = { ...place, reading: head.u32(), part: head.u32() }
  from.end()
  return request
}

/** Bytes of a snapshot; `undefined`: there is no such snapshot any more. */
export interface SnapshotPart {
  readonly bytes: Buffer
  readonly isLast: boolean
}

export function encodeSnapshotPart(part: SnapshotPart | undefined): Bytes {
  const { head } = new BodyWriter(8 + (part?.bytes.length ?? 0))
  head.u8(part === undefined ? 0 : part.isLast ? 2 : 1)
  head.sized(part?.bytes ?? Buffer.alloc(0))
  return { head: head.done(), data: [] }
}

export function decodeSnapshotPart(body: Body): SnapshotPart | undefined {
  const from = new BodyReader(body)
  const flag = from.head.u8()
  const bytes = from.head.sized()
  from.end()
  if (flag > 2) garbage(`a flag of ${flag}`)
  return flag === 0 ? undefined : { bytes, isLast: flag === 2 }
}
