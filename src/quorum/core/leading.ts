import { invariant } from '../../base/index.ts'
import type { Acks } from './interface.ts'
import { everybody } from './members.ts'
import type { ReplicaId } from './messages.ts'
import { Progress } from './progress.ts'
import type { CoreState } from './state.ts'

/** A proposal that was taken and is not done. */
export interface Pending {
  readonly id: number
  readonly start: number
  readonly end: number
  readonly bytes: number
  readonly acks: Acks
}

/** A read that waits until it is certain that its mark was the highest (ReadIndex; Raft thesis, 6.4). */
export interface PendingRead {
  readonly from: ReplicaId
  readonly id: number
  /** What was committed when the read came; undefined until the leader knows what is. */
  mark: number | undefined
  /** The heartbeat that a quorum must answer. Rounds are never used twice. */
  round: number
}

/** What a leader knows and nobody else needs. It begins with the term and ends with it. */
export interface Leading {
  /** Everybody but this replica, in order of number. */
  progress: Map<ReplicaId, Progress>
  /** The mark behind the empty batch of this term. Nothing below is known to be committed before it is. */
  readonly ownMark: number
  /** In order of their marks. */
  pending: Pending[]
  uncommittedBytes: number
  /** Reads in order of their rounds; those that came before {@link ownMark} was committed have none. */
  reads: PendingRead[]
  round: number
  sinceHeartbeat: number
  /** Whom the lead is handed over to, and since how many ticks. */
  transfer: { readonly to: ReplicaId; ticks: number } | undefined
  sessions: number
}

/** The role of a leader; see {@link Leading}. */
export function leadingOf(state: CoreState): Leading {
  invariant(state.leading && state.role === 'leader', `replica ${state.id} leads`)
  return state.leading
}

/** Takes the lead of the term. Nobody has been sent anything yet. */
export function newLeading(state: CoreState): Leading {
  return {
    progress: new Map(),
    ownMark: state.log.last.mark + 1,
    pending: [],
    uncommittedBytes: 0,
    reads: [],
    round: 0,
    sinceHeartbeat: 0,
    transfer: undefined,
    sessions: 0,
  }
}

/** Keeps a progress for exactly those who are members now. */
export function followMembers(state: CoreState): void {
  const leading = leadingOf(state)
  const { progress } = leading
  const ids = everybody(state.configurations.members).filter((id) => id !== state.id)
  leading.progress = new Map(
    ids.map((id) => [id, progress.get(id) ?? newProgress(state, leading)] as const),
  )
  if (leading.transfer && !leading.progress.has(leading.transfer.to)) leading.transfer = undefined
}

function newProgress(state: CoreState, leading: Leading): Progress {
  return new Progress(state.log.last.mark, ++leading.sessions)
}

/** How far a replica has got, this one included: it counts itself for what is on its own disk. */
export function markOf(state: CoreState, id: ReplicaId): number {
  if (id === state.id) return state.log.sound
  return leadingOf(state).progress.get(id)?.match ?? 0
}
