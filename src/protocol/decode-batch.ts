import { crc32cOfView, invariant, OFFSET_MAX, TidemarkError, viewOf } from '../base/index.ts'
import {
  AT,
  COMPRESSION_BITS_MAX,
  COMPRESSION_MASK,
  CONTROL,
  CONTROL_ABORT,
  CONTROL_COMMIT,
  CONTROL_KEY_BYTES_MIN,
  type CompressionBits,
  LENGTH_END,
  LENGTH_MIN,
  LOG_APPEND_TIME,
  MAGIC,
  RECORD_BATCH_HEADER_BYTES,
  TRANSACTIONAL,
} from './record-batch-format.ts'
import { type BatchRecord, RecordsReader } from './records-reader.ts'

/** What the header of a batch says; numbers that are not there are -1. */
export interface RecordBatch {
  readonly baseOffset: number
  /** From the header: the last record may have been removed by the cleaner. */
  readonly lastOffset: number
  readonly leaderEpoch: number
  /** True if every record has the timestamp `maxTimestamp`, the broker's time. */
  readonly isLogAppendTime: boolean
  readonly isTransactional: boolean
  readonly isControl: boolean
  readonly compression: 0 | CompressionBits
  /** Milliseconds; beyond 2^53, where some clients put nanoseconds, the nearest number. */
  readonly baseTimestamp: number
  readonly maxTimestamp: number
  readonly producerId: number
  readonly producerEpoch: number
  readonly baseSequence: number
  readonly recordCount: number
  /** The records, compressed as they are: a view. */
  readonly bytes: Buffer
}

const TWO_32 = 0x1_0000_0000

/**
 * The whole batches in what a broker gave; a last one that is cut short is left out (Kafka may cut it).
 * The CRC of each is checked, which covers neither its base offset nor its leader epoch.
 * Throws CORRUPT, and UNSUPPORTED_VERSION for a batch of another format.
 */
export function decodeRecordBatches(bytes: Buffer): RecordBatch[] {
  const batches: RecordBatch[] = []
  const view = viewOf(bytes)
  let at = 0
  while (bytes.length - at >= LENGTH_END) {
    const length = view.getInt32(at + AT.length)
    if (length < LENGTH_MIN) failShort(view, at, length)
    if (length > bytes.length - at - LENGTH_END) break
    checkMagic(view, at)
    const end = at + LENGTH_END + length
    batches.push(decodeBatch(bytes, view, at, end))
    at = end
  }
  return batches
}

/**
 * The records of a batch. `decompress` is called with the bits of `compression` if they are compressed; what it
 * throws passes through. Keys and values are views of the batch's memory, or of what was decompressed.
 * Throws CORRUPT.
 */
export function decodeRecords(
  batch: RecordBatch,
  decompress?: (bits: number, bytes: Buffer) => Buffer,
): BatchRecord[] {
  const { compression, bytes } = batch
  if (compression === 0) return new RecordsReader(batch, bytes).all()
  invariant(decompress, 'a compressed batch needs a decompressor')
  return new RecordsReader(batch, decompress(compression, bytes)).all()
}

/**
 * What a control batch says; 'other' if it is not about a transaction, or has been emptied by the cleaner.
 * Throws CORRUPT.
 */
export function controlTypeOf(batch: RecordBatch): 'abort' | 'commit' | 'other' {
  invariant(batch.isControl, 'it is a control batch')
  if (batch.compression !== 0) {
    throw new TidemarkError('CORRUPT', `${nameOf(batch.baseOffset)}: a compressed control batch`)
  }
  const record = decodeRecords(batch)[0]
  if (!record) return 'other'
  if (record.key === null || record.key.length < CONTROL_KEY_BYTES_MIN) {
    throw new TidemarkError('CORRUPT', `${nameOf(batch.baseOffset)}: the key of a control record`)
  }
  // As Kafka does, a key of a later version is read like one of version 0.
  const type = record.key.readInt16BE(2)
  if (type === CONTROL_ABORT) return 'abort'
  return type === CONTROL_COMMIT ? 'commit' : 'other'
}

/** A message of an older format may be shorter than the header of a batch. */
function failShort(view: DataView, at: number, length: number): never {
  const isMagicThere = length > AT.magic - LENGTH_END && view.byteLength - at > AT.magic
  if (isMagicThere) checkMagic(view, at)
  fail(view, at, `a length of ${length} bytes`)
}

function checkMagic(view: DataView, at: number): void {
  const magic = view.getInt8(at + AT.magic)
  if (magic === MAGIC) return
  const which = magic === 0 || magic === 1 ? 'the old format of a message' : 'an unknown format'
  const message = `${placeOf(view, at)}: ${which}, magic ${magic}, where ${MAGIC} is read`
  throw new TidemarkError('UNSUPPORTED_VERSION', message)
}

function decodeBatch(bytes: Buffer, view: DataView, at: number, end: number): RecordBatch {
  const crc = crc32cOfView(view, at + AT.attributes, end)
  if (crc !== view.getUint32(at + AT.crc)) fail(view, at, 'its checksum does not match')
  const attributes = view.getInt16(at + AT.attributes)
  const compression = attributes & COMPRESSION_MASK
  if (compression > COMPRESSION_BITS_MAX) fail(view, at, `compression ${compression}`)
  const baseOffset = getI64(view, at + AT.baseOffset)
  const lastOffsetDelta = view.getInt32(at + AT.lastOffsetDelta)
  const lastOffset = baseOffset + lastOffsetDelta
  if (baseOffset < 0 || lastOffsetDelta < 0 || lastOffset > OFFSET_MAX) {
    fail(view, at, `a last offset ${lastOffsetDelta} above`)
  }
  const producerId = getI64(view, at + AT.producerId)
  if (!Number.isSafeInteger(producerId)) fail(view, at, `producer id ${producerId}`)
  const recordCount = view.getInt32(at + AT.recordCount)
  // Each record has an offset of its own.
  if (recordCount < 0 || recordCount > lastOffsetDelta + 1) fail(view, at, `${recordCount} records`)
  return {
    baseOffset,
    lastOffset,
    leaderEpoch: view.getInt32(at + AT.leaderEpoch),
    isLogAppendTime: (attributes & LOG_APPEND_TIME) !== 0,
    isTransactional: (attributes & TRANSACTIONAL) !== 0,
    isControl: (attributes & CONTROL) !== 0,
    compression: compression as 0 | CompressionBits,
    baseTimestamp: getI64(view, at + AT.baseTimestamp),
    maxTimestamp: getI64(view, at + AT.maxTimestamp),
    producerId,
    producerEpoch: view.getInt16(at + AT.producerEpoch),
    baseSequence: view.getInt32(at + AT.baseSequence),
    recordCount,
    bytes: bytes.subarray(at + RECORD_BATCH_HEADER_BYTES, end),
  }
}

/** Reads a 64-bit signed integer. Beyond 2^53 the result is not exact. */
function getI64(view: DataView, at: number): number {
  return view.getInt32(at) * TWO_32 + view.getUint32(at + 4)
}

function fail(view: DataView, at: number, problem: string): never {
  throw new TidemarkError('CORRUPT', `${placeOf(view, at)}: ${problem}`)
}

function placeOf(view: DataView, at: number): string {
  return `${nameOf(getI64(view, at + AT.baseOffset))} at byte ${at}`
}

function nameOf(baseOffset: number): string {
  return `record batch with base offset ${baseOffset}`
}
