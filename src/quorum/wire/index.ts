// What goes from member to member, and what the quorum puts into a log, as bytes.

export {
  type AppendGroup,
  type AppendOutcome,
  decodeAppendOutcome,
  decodeAppendRequest,
  encodeAppendOutcome,
  encodeAppendRequest,
} from './append-request.ts'
export { type BatchEntry, batchOf, bytesOf, entriesOf, offsetsOf } from './batches.ts'
export { ByteReader, garbage } from './byte-reader.ts'
export { ByteWriter } from './byte-writer.ts'
export {
  encodeFrame,
  FRAME_HEADER_BYTES,
  FRAME_LIMITS,
  type Frame,
  type FrameLimits,
  FrameReader,
  WireError,
  type WireProblem,
} from './frame.ts'
export { BodyReader, BodyWriter } from './frame-body.ts'
export {
  decodeLogPlace,
  decodeMark,
  decodeOffsets,
  decodeSnapshotPart,
  decodeSnapshotPartRequest,
  encodeLogPlace,
  encodeMark,
  encodeOffsets,
  encodeSnapshotPart,
  encodeSnapshotPartRequest,
  type LogPlace,
  SNAPSHOT_PART_BYTES,
  type SnapshotPart,
  type SnapshotPartRequest,
} from './log-requests.ts'
export { decodeMessages, encodeMessages, FRAME_MESSAGES, type LogMessage } from './messages.ts'
export {
  decodeMembers,
  decodeReceipt,
  encodeMembers,
  encodeReceipt,
  type Receipt,
  TYPE_LEADER,
  TYPE_MEMBERS,
  TYPE_RECEIPT,
} from './own-entries.ts'
