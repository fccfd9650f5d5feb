/// <reference types="node" preserve="true" />
// The public face of the quorum: its core, and what drives one replica of one log by it.

export * from './core/index.ts'
export { HardStates } from './hard-states.ts'
export { type HostParts, type HostSettings, Refused, ReplicaHost } from './replica-host.ts'
export type { BatchEntry } from './wire/index.ts'
