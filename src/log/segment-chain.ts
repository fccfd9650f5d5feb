import { join } from 'node:path'
import { TidemarkError } from '../base/index.ts'
import type { Files } from '../io/index.ts'
import { isOurTemporary, parseSegmentName, storeName } from './names.ts'
import { Segment } from './segment.ts'
import {
  decodeSegmentHeader,
  FORMAT_VERSION,
  SEGMENT_HEADER_BYTES,
  type SegmentHeader,
} from './segment-format.ts'
import { unsupportedVersion } from './version.ts'

/** Something in a log's folder that cannot be as a sound log leaves it. */
export interface Damage {
  /** Name of the damaged file; of the one that should be there, if it is missing. */
  readonly file: string
  readonly position: number
  /** First offset that is hurt. */
  readonly offset: number
  /** The offset behind the last that is hurt, where it is known. */
  readonly endOffset: number | undefined
  readonly problem: string
}

export function damageError(folder: string, damage: Damage): TidemarkError {
  const { file, position, offset, problem } = damage
  return new TidemarkError(
    'CORRUPT',
    `${join(folder, file)} is damaged at position ${position}, offset ${offset}: ${problem}. Nothing was changed; \`tidemark verify\` lists all damage.`,
    { file, position, offset },
  )
}

export interface Chain {
  /** The living segments in order; the last is the active one. */
  readonly segments: Segment[]
  /** Names of files that no longer belong to the log: cut off, trimmed, or never finished. */
  readonly dead: string[]
  readonly damage: Damage[]
  /** Of the damage, that of stores whose header cannot be read. */
  readonly headless: readonly Damage[]
  /** Of the damage, that of sealed stores that are shorter than their successor knows them. */
  readonly short: readonly Damage[]
}

export interface FoundStore {
  readonly header: SegmentHeader
  readonly size: number
}

/**
 * Finds the living segments of a folder. The segment created last is the active one; from it the
 * chain follows each header to its predecessor, back to the low-water mark. What is not in the chain
 * is dead: a cut or a trim has left it behind.
 */
export function readChain(files: Files, folder: string, lowWaterMark: number): Chain {
  const stores = new Map<number, FoundStore>()
  const damage: Damage[] = []
  const headless: Damage[] = []
  const short: Damage[] = []
  const dead: string[] = []
  const names = files.listSync(folder)
  for (const name of names) {
    if (isOurTemporary(name)) dead.push(name)
    const parsed = parseSegmentName(name)
    if (parsed?.kind !== 'store') continue
    const found = readStoreHeader(files, folder, name, parsed.base)
    if ('problem' in found) headless.push(found)
    else stores.set(found.header.id, found)
  }
  damage.push(...headless)
  const segments = linkSegments(folder, stores, lowWaterMark, damage, short)
  const living = new Set(segments.map((segment) => segment.id))
  for (const name of names) {
    const parsed = parseSegmentName(name)
    if (!parsed || living.has(parsed.id)) continue
    if (stores.has(parsed.id) || parsed.kind === 'index') dead.push(name)
  }
  return { segments, dead, damage, headless, short }
}

function linkSegments(
  folder: string,
  stores: ReadonlyMap<number, FoundStore>,
  lowWaterMark: number,
  damage: Damage[],
  short: Damage[],
): Segment[] {
  let newest: FoundStore | undefined
  for (const store of stores.values()) {
    if (!newest || store.header.sequence > newest.header.sequence) newest = store
  }
  const chain: Segment[] = []
  let header = newest?.header
  while (header) {
    const segment = new Segment(folder, header)
    const successor = chain.at(-1)?.header
    if (successor) segment.endWhere(successor)
    chain.push(segment)
    if (header.predecessor === 0 || header.base <= lowWaterMark) break
    const before = stores.get(header.predecessor)
    const problem = predecessorProblem(header, before)
    if (problem) {
      const file = before
        ? storeName(before.header.base, before.header.id)
        : `*-${hex(header.predecessor)}.store`
      const position = before ? Math.min(before.size, header.predecessorEnd) : 0
      const found = { file, position, offset: lowWaterMark, endOffset: header.base, problem }
      damage.push(found)
      if (before && isInOrder(header, before)) short.push(found)
    }
    if (!before || before.header.sequence >= header.sequence) break
    header = before.header
  }
  return chain.reverse()
}

function predecessorProblem(
  header: SegmentHeader,
  before: FoundStore | undefined,
): string | undefined {
  const here = storeName(header.base, header.id)
  if (!before) return `missing, though ${here} follows it`
  if (!isInOrder(header, before)) {
    return `lies out of order before ${here}`
  }
  if (before.size < header.predecessorEnd) {
    return `only ${before.size} of its ${header.predecessorEnd} bytes are there`
  }
  return undefined
}

function isInOrder(header: SegmentHeader, before: FoundStore): boolean {
  return before.header.sequence < header.sequence && before.header.base <= header.base
}

function hex(id: number): string {
  return id.toString(16).padStart(8, '0')
}

export function readStoreHeader(
  files: Files,
  folder: string,
  name: string,
  base: number,
): FoundStore | Damage {
  const bytes = new Uint8Array(SEGMENT_HEADER_BYTES)
  const file = files.openSync(join(folder, name), 'read')
  let length: number
  let size: number
  try {
    length = file.readSync(bytes, 0)
    size = file.sizeSync()
  } finally {
    file.closeSync()
  }
  const result = decodeSegmentHeader(bytes.subarray(0, length))
  if ('header' in result) {
    const { header } = result
    if (storeName(header.base, header.id) === name) return { header, size }
    const problem = `the header is that of ${storeName(header.base, header.id)}`
    return { file: name, position: 0, offset: base, endOffset: undefined, problem }
  }
  if (result.version !== undefined) {
    throw unsupportedVersion(join(folder, name), name, result.version, FORMAT_VERSION)
  }
  return { file: name, position: 0, offset: base, endOffset: undefined, problem: result.problem }
}
