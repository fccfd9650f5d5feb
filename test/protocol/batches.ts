// What the tests of record batches share.
import { gunzipSync, gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { crc32c } from '#dist/base/index.js'
import {
  type BatchProducer,
  type BatchRecord,
  type Compression,
  decodeRecordBatches,
  decodeRecords,
  type NewRecord,
} from '#dist/protocol/index.js'

export const NOBODY: BatchProducer = { id: -1, epoch: -1, sequence: -1, isTransactional: false }
export const GZIP: Compression = { bits: 1, compress: (bytes) => gzipSync(bytes) }

export function gunzip(bits: number, bytes: Buffer): Buffer {
  if (bits !== 1) throw new Error(`compression ${bits}`)
  return gunzipSync(bytes)
}

export function recordOf(value: string, more: Partial<NewRecord> = {}): NewRecord {
  return {
    timestamp: 1_700_000_000_000,
    key: null,
    value: Buffer.from(value),
    headers: [],
    ...more,
  }
}

/** Writes the checksum of the batch at `at` again, so that only what stands behind it can refuse it. */
export function seal(batch: Buffer, at = 0, end = batch.length): Buffer {
  batch.writeUInt32BE(crc32c(batch, at + 21, end), at + 17)
  return batch
}

/** A batch around this records section, with the header of a plain one. */
export function batchAround(
  records: Uint8Array,
  count: number,
  fields: { attributes?: number; lastOffsetDelta?: number; maxTimestamp?: bigint } = {},
): Buffer {
  const batch = Buffer.alloc(61 + records.length)
  batch.set(records, 61)
  batch.writeInt32BE(batch.length - 12, 8)
  batch.writeInt8(2, 16)
  batch.writeInt16BE(fields.attributes ?? 0, 21)
  batch.writeInt32BE(fields.lastOffsetDelta ?? Math.max(0, count - 1), 23)
  batch.writeBigInt64BE(1000n, 27)
  batch.writeBigInt64BE(fields.maxTimestamp ?? 1000n, 35)
  batch.writeBigInt64BE(-1n, 43)
  batch.writeInt16BE(-1, 51)
  batch.writeInt32BE(-1, 53)
  batch.writeInt32BE(count, 57)
  return seal(batch)
}

/** All records of all batches. */
export function readAll(bytes: Buffer): BatchRecord[] {
  return decodeRecordBatches(bytes).flatMap((batch) => decodeRecords(batch, gunzip))
}

/** What a record should look like when it is read again. */
export function asRead(record: NewRecord, offset: number): BatchRecord {
  const copy = (data: Uint8Array | null) => (data === null ? null : Buffer.from(data))
  const headers = record.headers.map(({ key, value }) => ({ key, value: copy(value) }))
  const { timestamp, key, value } = record
  return { offset, timestamp, key: copy(key), value: copy(value), headers }
}

const data = fc.option(
  fc.oneof(
    { weight: 9, arbitrary: fc.uint8Array({ maxLength: 40 }) },
    { weight: 1, arbitrary: fc.uint8Array({ minLength: 60, maxLength: 9000, size: 'max' }) },
  ),
  { nil: null },
)
const headerKey = fc.oneof(
  fc.string({ maxLength: 40 }),
  fc.string({ unit: 'grapheme', maxLength: 30 }),
  fc.constantFrom('', 'é', 'trace-id', 'x'.repeat(24), 'x'.repeat(25), 'x'.repeat(300)),
)
const timestamp = fc.oneof(
  fc.integer({ min: -1, max: 2 ** 48 - 1 }),
  fc.maxSafeNat().map((n) => 1_700_000_000_000 + (n % 5000)),
  fc.constantFrom(-1, 0, 2 ** 48 - 1, 2 ** 30, 2 ** 31, 2 ** 32),
)

export const newRecord: fc.Arbitrary<NewRecord> = fc.record({
  timestamp,
  key: data,
  value: data,
  headers: fc.array(fc.record({ key: headerKey, value: data }), { maxLength: 4 }),
})

export const newRecords = fc.array(newRecord, { minLength: 1, maxLength: 80 })

export const producer: fc.Arbitrary<BatchProducer> = fc.record({
  id: fc.oneof(fc.constant(-1), fc.maxSafeNat()),
  epoch: fc.integer({ min: -1, max: 0x7fff }),
  sequence: fc.integer({ min: -1, max: 0x7fff_ffff }),
  isTransactional: fc.boolean(),
})
