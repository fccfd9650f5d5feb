export type { BackupOptions, BackupReport } from './backup.ts'
export type { Pace, SegmentCheck } from './check-segment.ts'
export { bytes, type Codec, type InputOf, json, text } from './codec.ts'
export type {
  AppendedRange,
  AppendOptions,
  CommitLog,
  Entry,
  EntryReader,
  ReadOptions,
  Snapshots,
} from './commit-log.ts'
export type { CursorOptions, CursorReadOptions, CursorStart, DurableCursor } from './cursor.ts'
export type { CursorInfo, Cursors } from './cursors.ts'
// For the engines and tools above, and no part of what `tidemark` exports.
export { DecodedReader } from './decoded-reader.ts'
export type { DeleteOptions, DeleteReport } from './delete.ts'
export type { DumpOptions, DumpRecord } from './dump.ts'
export { TYPE_DATA } from './entry-format.ts'
export { type BatchSource, EntryIterator } from './entry-iterator.ts'
export type {
  DamageEvent,
  LogEvents,
  PoisonEvent,
  RecoveryEvent,
  RollEvent,
  SyncEvent,
  TrimEvent,
} from './events.ts'
export { FolderLock } from './folder-lock.ts'
export { FolderSnapshots } from './folder-snapshots.ts'
export type { HistogramCounts } from './histogram.ts'
export type { LogInfo } from './inspect.ts'
export { Log } from './log.ts'
export type { LogMetrics } from './meter.ts'
export { MIRROR_FOLDER } from './names.ts'
export {
  backupLog,
  deleteLog,
  dumpLog,
  inspectLog,
  repairLog,
  verifyLog,
} from './on-demand.ts'
export type { LogOptions, Retention, SyncPolicy } from './options.ts'
export {
  checkAppendOptions,
  checkInteger,
  checkMethods,
  checkNames,
  checkOffset,
  checkReadOptions,
} from './options.ts'
export type { DamagedRange } from './recovery.ts'
export type { RepairOptions, RepairReport } from './repair.ts'
export type { OffsetRange } from './repair-plan.ts'
export type { Replica, StoredEntry } from './replica.ts'
export type { ReplicaEntry } from './replica-entry.ts'
export type { Damage as DamageReport } from './segment-chain.ts'
export {
  type CursorStore,
  cursorStart,
  SharedCursor,
  type SharedCursorLog,
  type SharedCursorOptions,
} from './shared-cursor.ts'
export type { VerifyOptions, VerifyReport } from './verify.ts'
