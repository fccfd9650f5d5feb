import { join } from 'node:path'
import type { Files } from '../io/index.ts'
import { syncFileStep, writeStep } from './file-steps.ts'
import { parseSegmentName, storeName } from './names.ts'
import type { LogSettings } from './options.ts'
import { Segment } from './segment.ts'
import { type Chain, type FoundStore, readStoreHeader } from './segment-chain.ts'
import {
  decodeSegmentHeader,
  encodeSegmentHeader,
  SEGMENT_HEADER_BYTES,
  type SegmentHeader,
} from './segment-format.ts'
import { scanEntries, segmentStart } from './segment-scan.ts'
import type { Steps } from './steps.ts'

/** A header that was written again, and what was there before. */
export interface MendedHeader {
  readonly path: string
  readonly before: Uint8Array
}

/**
 * Writes the headers of stores again that are damaged and can be told for certain: by their checksum, where one bit
 * has flipped, or by what the segments before and behind say. Notes those that it has written in `mended`.
 */
export function* mendHeaders(
  settings: LogSettings,
  folder: string,
  { headless }: Chain,
  mended: MendedHeader[],
): Steps {
  for (const { file: name } of headless) {
    const header =
      headerByBit(settings.files, folder, name) ?? (yield* between(settings, folder, name))
    if (!header) continue
    const path = join(folder, name)
    mended.push({ path, before: firstBytes(settings.files, path) })
    yield* writeHeader(settings.files, path, encodeSegmentHeader(header))
  }
}

/** Puts back what was there: a log that is refused is left as it was found. */
export function* unmendHeaders(files: Files, mended: readonly MendedHeader[]): Steps {
  for (const { path, before } of mended) {
    yield* writeHeader(files, path, before)
    const file = files.openSync(path, 'write')
    try {
      if (before.length < SEGMENT_HEADER_BYTES) file.truncateSync(before.length)
    } finally {
      file.closeSync()
    }
  }
}

function* writeHeader(files: Files, path: string, bytes: Uint8Array): Steps {
  const file = files.openSync(path, 'write')
  try {
    yield writeStep(file, bytes, 0)
    yield syncFileStep(file, path)
  } finally {
    file.closeSync()
  }
}

/**
 * The header that differs from the damaged one by a bit, fits its checksum, and is that of the file's name. In so few
 * bytes no other header is as near.
 */
function headerByBit(files: Files, folder: string, name: string): SegmentHeader | undefined {
  const bytes = firstBytes(files, join(folder, name))
  if (bytes.length < SEGMENT_HEADER_BYTES) return undefined
  for (let bit = 0; bit < SEGMENT_HEADER_BYTES * 8; bit++) {
    bytes[bit >> 3]! ^= 1 << (bit & 7)
    const result = decodeSegmentHeader(bytes)
    bytes[bit >> 3]! ^= 1 << (bit & 7)
    if (!('header' in result)) continue
    const { header } = result
    if (storeName(header.base, header.id) === name) return header
  }
  return undefined
}

function firstBytes(files: Files, path: string): Uint8Array {
  const file = files.openSync(path, 'read')
  try {
    const bytes = new Uint8Array(SEGMENT_HEADER_BYTES)
    return bytes.subarray(0, file.readSync(bytes, 0))
  } finally {
    file.closeSync()
  }
}

/**
 * The header of a store whose successor names it, and whose predecessor's entries lead up to it. Their numbers must leave room
 * for no other: a cut might have put another segment there.
 */
function* between(
  settings: LogSettings,
  folder: string,
  name: string,
): Steps<SegmentHeader | undefined> {
  const parsed = parseSegmentName(name)
  const stores = soundStores(settings.files, folder)
  const successors = stores.filter(({ header }) => header.predecessor === parsed?.id)
  const [next] = successors
  if (!parsed || !next || successors.length > 1 || next.header.base < parsed.base) return undefined
  const { base, id } = parsed
  const { sequence: nextSequence, createdAt } = next.header
  const own = { id, base, sequence: nextSequence - 1, createdAt }
  if (base === 0 && nextSequence === 1) {
    const nothing = { predecessor: 0, predecessorEnd: 0, previousTerm: 0, priorTimestamp: 0 }
    return { ...own, ...nothing, term: 1 }
  }
  const before = stores.find(({ header }) => header.sequence === nextSequence - 2)
  const end = before && (yield* endBefore(settings.files, folder, before, base))
  if (!before || !end) return undefined
  const { id: predecessor, priorTimestamp } = before.header
  return {
    ...own,
    predecessor,
    predecessorEnd: end.position,
    previousTerm: end.term,
    // Nobody asks for these two of a segment that is sealed.
    term: end.term,
    priorTimestamp: Math.max(priorTimestamp, end.timestamp),
  }
}

function soundStores(files: Files, folder: string): FoundStore[] {
  const stores: FoundStore[] = []
  for (const name of files.listSync(folder)) {
    const parsed = parseSegmentName(name)
    if (parsed?.kind !== 'store') continue
    const found = readStoreHeader(files, folder, name, parsed.base)
    if ('header' in found) stores.push(found)
  }
  return stores
}

/** Where the batch ends in a store that ends at an offset; undefined if no sound entries lead there. */
function* endBefore(files: Files, folder: string, { header, size }: FoundStore, offset: number) {
  const segment = new Segment(folder, header)
  let timestamp = 0
  let reached = header.base
  const file = files.openSync(segment.storePath, 'read')
  try {
    const scan = yield* scanEntries(file, segment, segmentStart(segment), size, (entry) => {
      reached = header.base + entry.lsn + entry.count
      timestamp = Math.max(timestamp, entry.timestamp)
      return reached < offset
    })
    if (reached !== offset || scan.endOffset !== offset) return undefined
    return { position: scan.endPosition, term: scan.lastTerm, timestamp }
  } finally {
    file.closeSync()
  }
}
