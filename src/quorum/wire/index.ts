// What goes from member to member, and what the quorum puts into a log, as bytes.

export { type BatchEntry, batchOf, bytesOf, entriesOf, offsetsOf } from './batches.ts'
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
