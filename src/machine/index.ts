/// <reference types="node" preserve="true" />
// State that is built from a log: `tidemark/machine`.
export { DurableMap, type MapChange, type MapOptions, type SetOptions } from './durable-map.ts'
export type {
  Context,
  MachineOptions,
  SnapshotPolicy,
} from './options.ts'
export type { Range } from './ordered-keys.ts'
export { partitionFor } from './partition-for.ts'
export {
  PartitionedLog,
  type PartitionedLogOptions,
  type PartitionOffset,
  type PartitionRange,
} from './partitioned-log.ts'
export type { MachineEvent } from './pending-events.ts'
export type { Session } from './session.ts'
export type { SessionLimits } from './sessions.ts'
export { jsonState, type StateCodec } from './state-codec.ts'
export { type ExecuteOptions, type MachineLog, StateMachine } from './state-machine.ts'
