import { TIMESTAMP_MS_MAX } from '../base/index.ts'
import type { Entry } from '../log/index.ts'
import { TYPE_DATA } from '../log/index.ts'
import type { BatchRecord, NewRecord, RecordHeader } from '../protocol/index.ts'

/** The header of a record that holds the entry's type as decimal text; without it, the entry is plain data. */
const TYPE_HEADER = 'tidemark-type'
const TYPE_PATTERN = /^\d{1,3}$/
const TYPE_USER_MIN = 128
const TYPE_MAX = 255

const NO_HEADERS: readonly RecordHeader[] = Object.freeze([])
const NO_DATA = Buffer.alloc(0)

/** What an append has of an entry. */
export interface NewEntry {
  readonly type: number
  readonly timestamp: number
  readonly data: Buffer
}

export function recordOf({ type, timestamp, data }: NewEntry): NewRecord {
  return { timestamp, key: null, value: data, headers: headersOf(type) }
}

function headersOf(type: number): readonly RecordHeader[] {
  if (type === TYPE_DATA) return NO_HEADERS
  return [{ key: TYPE_HEADER, value: Buffer.from(String(type)) }]
}

/** The entry that a record is; its term is the generation of the leader that took it. */
export function entryOf(record: BatchRecord, term: number): Entry {
  const { offset, timestamp, value, headers } = record
  return {
    offset,
    term: Math.max(0, term),
    type: headers.length === 0 ? TYPE_DATA : typeIn(headers),
    // A record of another program may have no time, or one in nanoseconds.
    timestamp: Math.min(Math.max(0, timestamp), TIMESTAMP_MS_MAX),
    count: 1,
    data: value ?? NO_DATA,
  }
}

function typeIn(headers: BatchRecord['headers']): number {
  for (const { key, value } of headers) {
    if (key !== TYPE_HEADER) continue
    const text = value?.toString('latin1') ?? ''
    const type = TYPE_PATTERN.test(text) ? Number(text) : 0
    // Whatever nobody could have appended here is another program's.
    if (type >= TYPE_USER_MIN && type <= TYPE_MAX) return type
  }
  return TYPE_DATA
}
