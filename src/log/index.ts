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
export type { DeleteOptions, DeleteReport } from './delete.ts'
export type { DumpOptions, DumpRecord } from './dump.ts'
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
export type { HistogramCounts } from './histogram.ts'
export type { LogInfo } from './inspect.ts'
export { Log } from './log.ts'
export type { LogMetrics } from './meter.ts'
export {
  backupLog,
  deleteLog,
  dumpLog,
  inspectLog,
  repairLog,
  verifyLog,
} from './on-demand.ts'
export type { LogOptions, Retention, SyncPolicy } from './options.ts'
export type { DamagedRange } from './recovery.ts'
export type { RepairOptions, RepairReport } from './repair.ts'
export type { OffsetRange } from './repair-plan.ts'
export type { Replica, StoredEntry } from './replica.ts'
export type { ReplicaEntry } from './replica-entry.ts'
export type { Damage as DamageReport } from './segment-chain.ts'
export type { VerifyOptions, VerifyReport } from './verify.ts'
