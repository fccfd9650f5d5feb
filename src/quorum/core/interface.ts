import type { Persist } from './io-queue.ts'
import type { HardState, LogView, StoredLog } from './log-view.ts'
import type { Members } from './members.ts'
import type { Envelope, Message, Point, ReplicaId } from './messages.ts'

// What goes into the core and what comes out of it. Nothing else: no clock, no disk, no socket, no chance
// but the one that it is given.

/** When an append is reported as done: safe on a majority, safe on the leader's disk, or only taken. */
export type Acks = 'quorum' | 'leader' | 'none'

export interface CoreSettings {
  readonly id: ReplicaId
  /** Ticks without a word from a leader before an election; a random number up to as many is added. */
  readonly electionTicks: number
  /** Ticks between heartbeats. */
  readonly heartbeatTicks: number
  /** The most bytes of batches in one message, if one batch alone is not larger. */
  readonly appendBytesMax: number
  /** The most appends, and bytes of them, under way to one replica. */
  readonly inflightMax: number
  readonly inflightBytesMax: number
  /** The most bytes that may be taken and not committed; further proposals are refused. */
  readonly uncommittedBytesMax: number
  /** Makes the entries that the core itself appends: the first of a term, and changes of members. */
  readonly makeOwn: (kind: 'leader' | 'members', members: Members) => OwnEntries
  /** Spreads the elections. */
  readonly random: { uint32(): number }
}

/** All that a replica has when it starts. */
export interface CoreStart {
  readonly hard: HardState
  readonly log: StoredLog
  readonly view: LogView
}

export interface OwnEntries {
  readonly bytes: number
  readonly payload: unknown
}

export type Input =
  | { readonly kind: 'tick' }
  | { readonly kind: 'message'; readonly from: ReplicaId; readonly message: Message }
  | Proposal
  /** Changes who takes part: through a joint configuration if voters change. */
  | { readonly kind: 'change'; readonly id: number; readonly target: Members }
  /**
   * Asks for a mark below which everything is that anyone was told of before. The id goes to the leader and comes
   * back, so it must differ from those of all reads before, those of earlier lives of the replica included.
   */
  | { readonly kind: 'read'; readonly id: number }
  | { readonly kind: 'transfer'; readonly to: ReplicaId }
  /** The batch that ends there is committed, says its leader: so is all below, where this log has that place. */
  | { readonly kind: 'committed'; readonly point: Point }
  /** Nobody listens where the replica was: if it is the leader, another is elected without waiting for its silence. */
  | { readonly kind: 'unreachable'; readonly id: ReplicaId }
  /** Stands for election at once. */
  | { readonly kind: 'campaign' }
  /** A piece of work is on the disk. */
  | { readonly kind: 'persisted'; readonly number: number }
  /** The disk has failed: nothing that is said from now on could be kept, so nothing is said. */
  | { readonly kind: 'io-error' }
  /** Batches that were answered with LATER are in memory. */
  | { readonly kind: 'fetched' }
  /** A snapshot has got to the replica, or has not. */
  | { readonly kind: 'snapshot-sent'; readonly to: ReplicaId; readonly ok: boolean }
  /**
   * Everything below the mark, the end of a batch, may go: only a leader's word counts, and only below what is
   * committed.
   */
  | { readonly kind: 'trim'; readonly mark: number }

export interface Proposal {
  readonly kind: 'propose'
  /** Comes back in {@link Output.done} or {@link Output.refused}; unique among those under way. */
  readonly id: number
  /** How many offsets the batch takes. */
  readonly offsets: number
  readonly bytes: number
  readonly payload: unknown
  readonly acks: Acks
}

export type Role = 'follower' | 'pre-candidate' | 'candidate' | 'leader'

/** Why an input has no effect. Only `lost` leaves it open whether the proposal will be committed. */
export type Refusal =
  | 'not-leader'
  | 'overloaded'
  | 'transferring'
  /** A change while another is under way, or before the leader has committed in its own term. */
  | 'changing'
  /** It was taken, and then the replica was no longer leader, or its disk failed. */
  | 'lost'
  | 'failed'

export interface Done {
  readonly id: number
  readonly start: number
  readonly end: number
}

/** What the host does after a step: the disk first, or at the same time; never a message after the next step. */
export interface Output {
  readonly persist: Persist | undefined
  readonly messages: readonly Envelope[]
  /**
   * Everything below is committed and on this disk: to be shown. Undefined: as before. It rises, but for a reset
   * that leaves damage behind.
   */
  readonly commit: number | undefined
  readonly done: readonly Done[]
  readonly reads: readonly { readonly id: number; readonly mark: number }[]
  readonly refused: readonly { readonly id: number; readonly why: Refusal }[]
}
