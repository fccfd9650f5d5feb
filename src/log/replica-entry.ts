import { crc32, TERM_MAX, TIMESTAMP_MS_MAX, TidemarkError } from '../base/index.ts'
import type { Clock } from '../io/index.ts'
import type { AppendOptions } from './commit-log.ts'
import { TYPE_DATA, TYPE_MAX } from './entry-format.ts'
import { checkAppendOptions, checkInteger } from './options.ts'

/** An entry as one replica hands it to another: with the term and the checksum it was born with. */
export interface ReplicaEntry {
  readonly term: number
  /** 1 to 255: a replica's host also uses the system's types. */
  readonly type: number
  readonly timestamp: number
  readonly count: number
  readonly data: Uint8Array
  /** CRC-32 of the data; checked before anything is written. Made here if it is not given. */
  readonly dataCrc?: number
  /** More entries of the same atomic batch follow. Only a repair needs to say it. */
  readonly more?: boolean
}

/** An entry that a replica's host may propose: the term is the leader's to say. */
export interface MadeEntry extends Omit<ReplicaEntry, 'term' | 'more' | 'data'> {
  readonly data: Buffer
  readonly dataCrc: number
}

/** See `Replica.entryOf`. */
export function makeEntry(
  data: Uint8Array | string,
  options: AppendOptions,
  maxEntryBytes: number,
  clock: Clock,
): MadeEntry {
  checkAppendOptions(options)
  if (typeof data !== 'string' && !(data instanceof Uint8Array)) {
    throw new TidemarkError('INVALID_ARGUMENT', 'an entry must be a Uint8Array or a string')
  }
  const length = typeof data === 'string' ? Buffer.byteLength(data) : data.length
  if (length > maxEntryBytes) {
    throw new TidemarkError(
      'TOO_LARGE',
      `an entry of ${length} bytes is larger than maxEntryBytes (${maxEntryBytes})`,
    )
  }
  // A string and bytes are both copied.
  const copy = Buffer.from(data as Uint8Array)
  const { type = TYPE_DATA, timestamp = clock.now(), count = 1 } = options
  return { type, timestamp, count, data: copy, dataCrc: crc32(copy) }
}

/** Throws CORRUPT if an entry's data does not fit the checksum that it was born with. */
export function checkBirth(entry: ReplicaEntry): void {
  const { data, dataCrc } = entry
  if (dataCrc === undefined || dataCrc === crc32(data)) return
  throw new TidemarkError('CORRUPT', `${data.length} bytes of data do not fit their checksum`)
}

/** Throws INVALID_ARGUMENT unless these are entries whose fields can be stored. */
export function checkEntries(entries: readonly ReplicaEntry[]): void {
  if (!Array.isArray(entries)) {
    throw new TidemarkError('INVALID_ARGUMENT', `entries must be an array, not ${typeof entries}`)
  }
  // Not forEach, which passes over holes.
  for (const entry of entries) checkEntry(entry)
}

function checkEntry(entry: ReplicaEntry): void {
  if (typeof entry !== 'object' || entry === null || !(entry.data instanceof Uint8Array)) {
    throw new TidemarkError('INVALID_ARGUMENT', 'an entry must be an object whose data is bytes')
  }
  checkInteger(entry.term, 'term', 0, TERM_MAX)
  checkInteger(entry.type, 'type', TYPE_DATA, TYPE_MAX)
  checkInteger(entry.timestamp, 'timestamp', 0, TIMESTAMP_MS_MAX)
  checkInteger(entry.count, 'count', 1, 2 ** 31)
}
