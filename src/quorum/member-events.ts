import type { CatalogMember } from './catalog-state.ts'
import type { ReplicaId } from './core/index.ts'
import type { RefusedEvent } from './transport/index.ts'

/** A peer has come or gone. */
export interface PeerEvent {
  readonly id: ReplicaId
  /** Why it has gone, in words. */
  readonly why?: string | undefined
}

/** Another member leads a log, or nobody. */
export interface LeaderEvent {
  readonly log: string
  readonly term: number
  readonly leader: ReplicaId | undefined
}

/**
 * A replica on this member has stopped, and is opened again, unless that could not help; or it could not be scrubbed, or
 * not be looked after.
 */
export interface FailedEvent {
  readonly log: string
  readonly error: unknown
  /** In how many ms it is opened again; undefined: it is not. */
  readonly retryMs: number | undefined
}

/** Entries of a log are damaged on this member; they are got back from others. */
export interface DamagedEvent {
  readonly log: string
  /** First offset that is damaged. */
  readonly from: number
  /** The offset behind the last. */
  readonly to: number
  /** Name of the file in the log's folder. */
  readonly file: string
}

/** Damaged entries of a log are whole again on this member. */
export interface RepairedEvent {
  readonly log: string
  readonly from: number
  readonly to: number
}

/** A replica of a log was made or deleted on this member, by a command of the cluster. */
export interface LogEvent {
  readonly log: string
}

/** Who belongs to the cluster, or where somebody is, has changed. */
export interface MembersEvent {
  readonly members: readonly CatalogMember[]
}

/** What a member tells, by name. */
export interface MemberEvents {
  /** A connection was refused, by this member or by the other, and why. Nothing else has changed. */
  readonly refused: RefusedEvent
  readonly 'peer-up': PeerEvent
  readonly 'peer-down': PeerEvent
  readonly leader: LeaderEvent
  readonly failed: FailedEvent
  readonly damaged: DamagedEvent
  readonly repaired: RepairedEvent
  /** A replica on this member was beyond repair: it begins anew, and gets everything from the others. */
  readonly lost: LogEvent
  readonly created: LogEvent
  readonly deleted: LogEvent
  readonly members: MembersEvent
}
