/// <reference types="node" preserve="true" />
// The public face of the quorum: its core, and what drives one replica of one log by it.

export type { AdminCommand } from './admin-command.ts'
export type { CatalogMember, MemberState } from './catalog-state.ts'
export { ClusterClient, type ClusterClientOptions } from './cluster-client.ts'
export * from './core/index.ts'
export {
  type ExportReport,
  exportLog,
  type TransferOptions,
} from './export-log.ts'
export { HardStates } from './hard-states.ts'
export { type ImportOptions, type ImportReport, importLog } from './import-log.ts'
export type { FollowerStatus, LogStatus } from './log-status.ts'
export { type LogPlacement, Member, type MemberStatus, type PeerStatus } from './member.ts'
export type {
  DamagedEvent,
  FailedEvent,
  LeaderEvent,
  LogEvent,
  MemberEvents,
  MembersEvent,
  PeerEvent,
  RepairedEvent,
} from './member-events.ts'
export type { MemberOptions, ReplicatedLogOptions } from './member-options.ts'
export { type HostParts, type HostSettings, Refused, ReplicaHost } from './replica-host.ts'
export { type ReplicatedAppendOptions, ReplicatedLog } from './replicated-log.ts'
export type { ScrubOptions, ScrubProgress, ScrubReport } from './scrubber.ts'
export type { SurvivingLog } from './survivor.ts'
export type { RefusalReason, RefusedEvent, TlsOptions } from './transport/index.ts'
export {
  type UnsafeRecoverOptions,
  type UnsafeRecoverReport,
  unsafeRecover,
} from './unsafe-recover.ts'
export type { BatchEntry } from './wire/index.ts'
