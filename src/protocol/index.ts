export {
  controlTypeOf,
  decodeRecordBatches,
  decodeRecords,
  type RecordBatch,
} from './decode-batch.ts'
export {
  type BatchProducer,
  type Compression,
  encodeRecordBatch,
  type NewRecord,
  recordBytesMax,
} from './encode-batch.ts'
export { RECORD_BATCH_HEADER_BYTES, type RecordHeader } from './record-batch-format.ts'
export type { BatchRecord } from './records-reader.ts'
