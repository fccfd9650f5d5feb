import type { Clock, Files, Random } from '../io/index.ts'
import type { FolderLock, Retention } from '../log/index.ts'
import type { PipelineSettings } from './append-pipeline.ts'
import type { Catalog } from './catalog.ts'
import type { CatchUp } from './catch-up.ts'
import type { Members, ReplicaId } from './core/index.ts'
import type { HardStates } from './hard-states.ts'
import type { MemberEvents } from './member-events.ts'
import type { Outbox } from './outbox.ts'
import type { HostSettings } from './replica-host.ts'
import type { Requests } from './requests.ts'
import type { Ticker } from './ticker.ts'

/** What a log is, the same on every member. */
export interface LogDefinition {
  /** Never used for another log. */
  readonly id: number
  readonly name: string
  /** Who had a replica of it at first; nobody, for a replica that came later and learns from others. */
  readonly members: Members
  /** Who leads it first. */
  readonly first: ReplicaId
  readonly segmentBytes: number
  readonly maxEntryBytes: number
  readonly retention: Retention | undefined
}

export interface MemberSettings {
  readonly host: Omit<HostSettings, 'id'>
  readonly pipeline: PipelineSettings
  /** How long a call waits for a leader, or for a mark, in ms. */
  readonly timeoutMs: number
  /** How often a leader looks whether something has to go, in ms. */
  readonly retentionMs: number
}

/** What all replicas of a member share. */
export interface MemberContext {
  readonly id: ReplicaId
  readonly dir: string
  readonly lock: FolderLock
  readonly files: Files
  readonly clock: Clock
  readonly random: Random
  readonly hardStates: HardStates
  readonly ticker: Ticker
  readonly outbox: Outbox
  readonly requests: Requests
  readonly catchUp: CatchUp
  readonly settings: MemberSettings
  /** Which logs there are, as far as is known here. */
  readonly catalog: () => Catalog
  /** The members that this one was made with, itself included. */
  readonly founders: () => readonly { readonly id: ReplicaId; readonly address: string }[]
  /** Of the folder of a member, if it was ever met. */
  readonly incarnationOf: (id: ReplicaId) => string | undefined
  /** Members that there is a connection to. */
  readonly connected: () => readonly ReplicaId[]
  readonly tell: <K extends keyof MemberEvents>(kind: K, event: MemberEvents[K]) => void
}
