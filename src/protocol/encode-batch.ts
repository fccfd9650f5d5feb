import { crc32cOfView, invariant, TIMESTAMP_MS_MAX, viewOf } from '../base/index.ts'
import {
  AT,
  type CompressionBits,
  LENGTH_END,
  LENGTH_MAX,
  MAGIC,
  RECORD_BATCH_HEADER_BYTES,
  type RecordHeader,
  TRANSACTIONAL,
} from './record-batch-format.ts'
import {
  VARINT_BYTES_MAX,
  VARLONG_BYTES_MAX,
  varintBytes,
  varlongBytes,
  writeVarint,
  writeVarlong,
} from './varint.ts'

// A batch is made in two passes: the first says how long it is, the second writes it into memory of exactly
// that length. Between them nothing may change a record.

export interface NewRecord {
  /** Milliseconds since 1970; -1: none. */
  readonly timestamp: number
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  readonly headers: readonly RecordHeader[]
}

/** Who produces a batch; all three numbers are -1 when there is none. */
export interface BatchProducer {
  readonly id: number
  readonly epoch: number
  /** The sequence number of the batch's first record. */
  readonly sequence: number
  readonly isTransactional: boolean
}

export interface Compression {
  /** 1 gzip, 2 snappy, 3 lz4, 4 zstd. */
  readonly bits: CompressionBits
  compress(bytes: Uint8Array): Uint8Array
}

/** Up to so many characters a loop is faster than a call into Node. */
const SHORT_CHARACTERS = 24
/** Up to so many bytes a loop is faster than `set`. */
const SHORT_BYTES = 16
const TWO_32 = 0x1_0000_0000
/** A record without data: its length, attributes, timestamp, offset, two lengths, number of headers. */
const FIXED_BYTES_MAX = VARINT_BYTES_MAX + 1 + VARLONG_BYTES_MAX + 4 * VARINT_BYTES_MAX

/** One batch of these records in order, base offset 0, leader epoch -1; compressed if that makes it smaller. There must be a record. */
export function encodeRecordBatch(
  records: readonly NewRecord[],
  producer: BatchProducer,
  compression?: Compression,
): Buffer {
  invariant(records.length > 0, 'a batch has a record')
  const bytes = recordsBytes(records)
  invariant(bytes <= LENGTH_MAX - RECORD_BATCH_HEADER_BYTES, 'a batch has 31 bits of bytes')
  if (!compression) {
    const batch = Buffer.allocUnsafe(RECORD_BATCH_HEADER_BYTES + bytes)
    writeRecords(batch, RECORD_BATCH_HEADER_BYTES, records)
    writeHeader(batch, records, producer, 0)
    return batch
  }
  const plain = Buffer.allocUnsafe(bytes)
  writeRecords(plain, 0, records)
  const compressed = compression.compress(plain)
  // What does not shrink may grow beyond what a broker takes.
  if (compressed.length >= plain.length) return encodeRecordBatch(records, producer)
  const batch = Buffer.allocUnsafe(RECORD_BATCH_HEADER_BYTES + compressed.length)
  batch.set(compressed, RECORD_BATCH_HEADER_BYTES)
  writeHeader(batch, records, producer, compression.bits)
  return batch
}

/** The most that a record can take in a batch: exact lengths of data and headers, worst case of the varints. */
export function recordBytesMax(record: NewRecord): number {
  let bytes = FIXED_BYTES_MAX + (record.key?.length ?? 0) + (record.value?.length ?? 0)
  for (const { key, value } of record.headers) {
    bytes += 2 * VARINT_BYTES_MAX + textBytes(key) + (value?.length ?? 0)
  }
  return bytes
}

function recordsBytes(records: readonly NewRecord[]): number {
  const base = records[0]!.timestamp
  let bytes = 0
  for (let i = 0; i < records.length; i++) {
    const record = records[i]!
    invariant(
      isBetween(record.timestamp, -1, TIMESTAMP_MS_MAX),
      'a timestamp has 48 bits, or is -1',
    )
    const body = bodyBytes(record, record.timestamp - base, i)
    bytes += varintBytes(body) + body
  }
  return bytes
}

/** Bytes of a record without its length. */
function bodyBytes(record: NewRecord, timestampDelta: number, offsetDelta: number): number {
  const { key, value, headers } = record
  let bytes =
    1 +
    varlongBytes(timestampDelta) +
    varintBytes(offsetDelta) +
    dataBytes(key) +
    dataBytes(value) +
    varintBytes(headers.length)
  for (let i = 0; i < headers.length; i++) {
    const header = headers[i]!
    const keyBytes = textBytes(header.key)
    bytes += varintBytes(keyBytes) + keyBytes + dataBytes(header.value)
  }
  return bytes
}

function dataBytes(data: Uint8Array | null): number {
  return data === null ? 1 : varintBytes(data.length) + data.length
}

function textBytes(text: string): number {
  const { length } = text
  if (length > SHORT_CHARACTERS) return Buffer.byteLength(text)
  for (let i = 0; i < length; i++) {
    if (text.charCodeAt(i) >= 0x80) return Buffer.byteLength(text)
  }
  return length
}

function writeRecords(b: Buffer, start: number, records: readonly NewRecord[]): void {
  const base = records[0]!.timestamp
  let at = start
  for (let i = 0; i < records.length; i++) {
    const record = records[i]!
    const { timestamp, key, value, headers } = record
    const delta = timestamp - base
    at = writeVarint(b, at, bodyBytes(record, delta, i))
    b[at++] = 0
    at = writeVarlong(b, at, delta)
    at = writeVarint(b, at, i)
    at = writeData(b, at, key)
    at = writeData(b, at, value)
    at = writeVarint(b, at, headers.length)
    for (let h = 0; h < headers.length; h++) {
      at = writeText(b, at, headers[h]!.key)
      at = writeData(b, at, headers[h]!.value)
    }
  }
  invariant(at === b.length, 'the records fill what they were measured for')
}

function writeData(b: Buffer, start: number, data: Uint8Array | null): number {
  if (data === null) return writeVarint(b, start, -1)
  const { length } = data
  const at = writeVarint(b, start, length)
  if (length > SHORT_BYTES) b.set(data, at)
  else for (let i = 0; i < length; i++) b[at + i] = data[i]!
  return at + length
}

function writeText(b: Buffer, start: number, text: string): number {
  const bytes = textBytes(text)
  const at = writeVarint(b, start, bytes)
  if (bytes > SHORT_CHARACTERS || bytes > text.length) b.write(text, at, 'utf8')
  else for (let i = 0; i < bytes; i++) b[at + i] = text.charCodeAt(i)
  return at + bytes
}

/** Writes everything before the records, which are there already. */
function writeHeader(
  batch: Buffer,
  records: readonly NewRecord[],
  producer: BatchProducer,
  compressionBits: number,
): void {
  const { id, epoch, sequence, isTransactional } = producer
  invariant(Number.isSafeInteger(id) && id >= -1, 'a producer id is exact')
  invariant(isBetween(epoch, -1, 0x7fff), 'a producer epoch has 15 bits')
  invariant(isBetween(sequence, -1, 0x7fff_ffff), 'a sequence has 31 bits')
  let maxTimestamp = -1
  for (const { timestamp } of records) if (timestamp > maxTimestamp) maxTimestamp = timestamp
  const view = viewOf(batch)
  setI64(view, AT.baseOffset, 0)
  view.setInt32(AT.length, batch.length - LENGTH_END)
  view.setInt32(AT.leaderEpoch, -1)
  view.setInt8(AT.magic, MAGIC)
  view.setInt16(AT.attributes, compressionBits | (isTransactional ? TRANSACTIONAL : 0))
  view.setInt32(AT.lastOffsetDelta, records.length - 1)
  setI64(view, AT.baseTimestamp, records[0]!.timestamp)
  setI64(view, AT.maxTimestamp, maxTimestamp)
  setI64(view, AT.producerId, id)
  view.setInt16(AT.producerEpoch, epoch)
  view.setInt32(AT.baseSequence, sequence)
  view.setInt32(AT.recordCount, records.length)
  view.setUint32(AT.crc, crc32cOfView(view, AT.attributes, batch.length))
}

function isBetween(value: number, least: number, most: number): boolean {
  return Number.isInteger(value) && value >= least && value <= most
}

function setI64(view: DataView, at: number, value: number): void {
  view.setInt32(at, Math.floor(value / TWO_32))
  view.setInt32(at + 4, value)
}
