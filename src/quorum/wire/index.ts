// What goes from member to member, and what the quorum puts into a log, as bytes.

export { type BatchEntry, batchOf, bytesOf, entriesOf, offsetsOf } from './batches.ts'
export { decodeMembers, encodeMembers, TYPE_LEADER, TYPE_MEMBERS } from './own-entries.ts'
