import { join, resolve } from 'node:path'
import { errnoOf, TidemarkError, viewOf } from '../base/index.ts'
import { type File, type Files, nodeFiles } from '../io/index.ts'
import { ENTRY_HEADER_BYTES, EntryHeader } from './entry-format.ts'
import { checkLogPath, ioError } from './io-error.ts'
import { readMarks } from './marks-publisher.ts'
import { readMeta } from './meta-file.ts'
import type { CleanEnd } from './meta-format.ts'
import { META_NAME, parseSegmentName } from './names.ts'
import { NO_HEADER } from './repair-survey.ts'
import { Segment } from './segment.ts'
import { decodeSegmentHeader, SEGMENT_HEADER_BYTES, type SegmentHeader } from './segment-format.ts'
import { type BadEntry, scanEntries, searchHeader } from './segment-scan.ts'
import { finish } from './steps.ts'

/** So many entries are read before any of them is handed out. */
const ENTRIES_AT_ONCE = 1024

/** One thing that lies in a log's folder, as it lies there. */
export type DumpRecord =
  | { readonly kind: 'meta'; readonly problem?: string; readonly meta?: DumpedMeta }
  | { readonly kind: 'marks'; readonly synced: number; readonly highWaterMark: number }
  | {
      readonly kind: 'segment'
      readonly file: string
      readonly bytes: number
      readonly header?: SegmentHeader
      readonly problem?: string
    }
  | DumpedEntry
  | {
      readonly kind: 'bad'
      readonly file: string
      readonly position: number
      readonly offset: number
      readonly problem: string
      /** Where the next sound header is. */
      readonly endPosition: number | undefined
    }

export interface DumpedMeta {
  readonly lowWaterMark: number
  readonly lowTerm: number
  readonly isReplica: boolean
  readonly clean: CleanEnd | undefined
}

/** An entry whose header is sound. */
export interface DumpedEntry {
  readonly kind: 'entry'
  readonly file: string
  readonly position: number
  readonly offset: number
  readonly term: number
  readonly type: number
  readonly count: number
  readonly timestamp: number
  /** The offset below which everything in the segment was synced. */
  readonly witness: number
  /** More entries of the same batch follow. */
  readonly more: boolean
  readonly length: number
  readonly dataCrc: number
  /** The data fits its checksum. */
  readonly isSound: boolean
}

export interface DumpOptions {
  readonly signal?: AbortSignal | undefined
  readonly files?: Files | undefined
}

/** See on-demand.ts, through which programs call it. */
export async function* dumpLog(
  folder: string,
  options: DumpOptions = {},
): AsyncGenerator<DumpRecord, void> {
  const files = options.files ?? nodeFiles
  const path = resolve(folder)
  checkLogPath(files, path)
  try {
    yield* dumpFolder(files, path, options.signal)
  } catch (error) {
    throw ioError(`dump the log ${path}`, error)
  }
}

async function* dumpFolder(
  files: Files,
  path: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<DumpRecord, void> {
  const names = files.existsSync(path) ? files.listSync(path) : []
  const stores = names.filter((name) => parseSegmentName(name)?.kind === 'store').sort()
  if (stores.length === 0 && !names.includes(META_NAME)) {
    throw new TidemarkError('NOT_FOUND', `there is no log in ${path}`)
  }
  const meta = readMeta(files, path)
  if (meta) yield { kind: 'meta', ...meta }
  const marks = readMarks(files, path)
  if (marks) yield { kind: 'marks', synced: marks.synced, highWaterMark: marks.highWaterMark }
  for (const name of stores) {
    const file = openIfThere(files, join(path, name))
    // A writer has trimmed it since.
    if (!file) continue
    try {
      yield* dumpStore(file, path, name, signal)
    } finally {
      file.closeSync()
    }
  }
}

function openIfThere(files: Files, path: string): File | undefined {
  try {
    return files.openSync(path, 'read')
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  }
}

async function* dumpStore(
  file: File,
  folder: string,
  name: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<DumpRecord, void> {
  const bytes = file.sizeSync()
  const start = new Uint8Array(SEGMENT_HEADER_BYTES)
  const result = decodeSegmentHeader(start.subarray(0, await file.read(start, 0)))
  yield { kind: 'segment', file: name, bytes, ...result }
  // What a newer release has written is not read by the rules of this one.
  if ('problem' in result && result.version !== undefined) return
  // Where the header is damaged, the name has what it takes to read the entries.
  const { base, id } = parseSegmentName(name)!
  const header = 'header' in result ? result.header : { ...NO_HEADER, base, id }
  const segment = new Segment(folder, header)
  let point = { offset: header.base, position: SEGMENT_HEADER_BYTES, term: 0 }
  while (point.position < bytes) {
    signal?.throwIfAborted()
    const entries: DumpedEntry[] = []
    const scan = await finish(
      scanEntries(file, segment, point, bytes, (found, position) => {
        entries.push(entryOf(name, segment, found, position, true))
        point = {
          offset: segment.base + found.lsn + found.count,
          position: position + found.size,
          term: found.term,
        }
        return entries.length < ENTRIES_AT_ONCE
      }),
    )
    yield* entries
    if (entries.length >= ENTRIES_AT_ONCE) continue
    const { bad } = scan
    // A batch that is not whole, and reserved space, are no damage by themselves.
    if (!bad || bad.position < point.position) return
    const next = await finish(
      searchHeader(file, segment, bad.after, bytes, point.offset + 1, () => true),
    )
    if (!next && (await isEmptyFrom(file, bad.position, bytes))) return
    yield await badRecord(file, name, segment, bad, next?.position)
    if (!next) return
    point = { offset: next.offset, position: next.position, term: 0 }
  }
}

function entryOf(
  file: string,
  segment: Segment,
  header: EntryHeader,
  position: number,
  isSound: boolean,
): DumpedEntry {
  const { lsn, term, type, count, timestamp, more, length, dataCrc } = header
  const offset = segment.base + lsn
  const witness = segment.base + header.witness
  const fields = { term, type, count, timestamp, witness, more, length, dataCrc }
  return { kind: 'entry', file, position, offset, ...fields, isSound }
}

/** Where only the data is bad, the header can still be shown. */
async function badRecord(
  file: File,
  name: string,
  segment: Segment,
  { position, offset, problem }: BadEntry,
  endPosition: number | undefined,
): Promise<DumpRecord> {
  const bytes = new Uint8Array(ENTRY_HEADER_BYTES)
  const count = await file.read(bytes, position)
  const header = new EntryHeader()
  if (count === bytes.length && header.read(viewOf(bytes), 0, segment.id)) {
    return entryOf(name, segment, header, position, false)
  }
  return { kind: 'bad', file: name, position, offset, problem, endPosition }
}

async function isEmptyFrom(file: File, position: number, end: number): Promise<boolean> {
  const chunk = new Uint8Array(65_536)
  for (let at = position; at < end; at += chunk.length) {
    const count = await file.read(chunk.subarray(0, Math.min(chunk.length, end - at)), at)
    if (chunk.subarray(0, count).some((byte) => byte !== 0)) return false
  }
  return true
}
