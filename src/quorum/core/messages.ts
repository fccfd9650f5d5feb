import type { Members } from './members.ts'

/** A replica of one log, by number: from 1, never used for another once it was. */
export type ReplicaId = number

/** The place of {@link ReplicaId} where there is none. */
export const NOBODY: ReplicaId = 0

/**
 * A place between two batches: the mark, and the term of the batch that ends there. Marks are those of
 * the log: the offset of what comes next. Index i of the Raft paper, whose entries count from 1, is the
 * mark i; the empty log ends at mark 0, with term 0.
 */
export interface Point {
  readonly term: number
  readonly mark: number
}

/** True if a log that ends at `a` is at least as up to date as one that ends at `b` (Raft 5.4.1). */
export function reaches(a: Point, b: Point): boolean {
  return a.term !== b.term ? a.term > b.term : a.mark >= b.mark
}

/**
 * What is appended, replicated, committed and cut as a whole. A batch never spans messages, and marks
 * are always at its ends.
 */
export interface Batch {
  readonly term: number
  /** The offset of its first entry. */
  readonly start: number
  /** The offset behind its last entry. */
  readonly end: number
  /** What it takes in a message; for flow control alone. */
  readonly bytes: number
  /** `leader`: the empty entry with which a term begins. `members`: a change of {@link Members}. */
  readonly kind: 'data' | 'leader' | 'members'
  /** Of `members` only: in force from the moment that the batch is in the log. */
  readonly members?: Members
  /** The entries themselves. The core passes them on and never looks. */
  readonly payload: unknown
}

/** Members that are in force from a point of the log on. */
export interface Configuration {
  readonly point: Point
  readonly members: Members
}

interface VoteRequest {
  /** `pre-vote`: asks whether a vote would be granted, and binds nobody. */
  readonly kind: 'pre-vote' | 'vote'
  /** The term that the candidate would lead. */
  readonly term: number
  readonly last: Point
  /** The leader itself asked for this election, so its lease does not stand against it. */
  readonly transfer: boolean
}

interface VoteReply {
  readonly kind: 'pre-vote-reply' | 'vote-reply'
  /** Granted pre-votes: the term asked for. Otherwise the term of who replies. */
  readonly term: number
  readonly granted: boolean
}

export interface Append {
  readonly kind: 'append'
  readonly term: number
  /** Names one stretch of sending from a known place; replies to an earlier one say nothing. */
  readonly session: number
  /** Where the batches begin. */
  readonly prev: Point
  readonly batches: readonly Batch[]
  readonly commit: number
  /** The leader's low-water mark, which is everybody's. */
  readonly low: number
}

export interface AppendReply {
  readonly kind: 'append-reply'
  readonly term: number
  readonly session: number
  readonly matched: boolean
  /** Matched: everything below is synced here and the same as the leader's. Otherwise the mark of `prev`. */
  readonly mark: number
  /** Not matched: the last place at which the logs may still agree. */
  readonly hint: Point
  /** Not matched: what was acknowledged above the hint is not there any more. */
  readonly damaged: boolean
}

export interface Heartbeat {
  readonly kind: 'heartbeat'
  readonly term: number
  /** Never above what the receiver has acknowledged. */
  readonly commit: number
  /** Counts up with every question whether this is still the leader. */
  readonly round: number
  readonly low: number
}

export interface HeartbeatReply {
  readonly kind: 'heartbeat-reply'
  readonly term: number
  readonly round: number
  /** False if something is missing that was acknowledged once. */
  readonly isWhole: boolean
}

/** The log begins anew at a point: for a replica that needs what is below the low-water mark. */
export interface Snapshot {
  readonly kind: 'snapshot'
  readonly term: number
  readonly session: number
  readonly point: Point
  readonly configuration: Configuration
  readonly low: number
}

interface Transfer {
  /** The leader asks the receiver to become leader at once. */
  readonly kind: 'transfer'
  readonly term: number
}

interface Read {
  readonly kind: 'read'
  readonly term: number
  readonly id: number
}

interface ReadReply {
  readonly kind: 'read-reply'
  readonly term: number
  readonly id: number
  readonly mark: number
}

/** Asks any replica for batches that are damaged here. */
export interface Repair {
  readonly kind: 'repair'
  readonly term: number
  readonly from: number
  readonly to: number
  /** The term of the last of them. Who has the place (last, to) has the same log below (Log Matching). */
  readonly last: number
}

interface RepairReply {
  readonly kind: 'repair-reply'
  readonly term: number
  readonly from: number
  readonly batches: readonly Batch[]
}

export type Message =
  | VoteRequest
  | VoteReply
  | Append
  | AppendReply
  | Heartbeat
  | HeartbeatReply
  | Snapshot
  | Transfer
  | Read
  | ReadReply
  | Repair
  | RepairReply

export type MessageKind = Message['kind']

/** One kind of {@link Message}. */
export type MessageOf<K extends MessageKind> = Extract<Message, { readonly kind: K }>

export interface Envelope {
  readonly to: ReplicaId
  readonly message: Message
}
