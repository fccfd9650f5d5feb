import { invariant } from '../../base/index.ts'
import { majorityMark, majorityVerdict, type Verdict } from './majority.ts'
import type { ReplicaId } from './messages.ts'

/**
 * Who takes part. While `outgoing` holds anybody the configuration is joint: every decision needs a
 * majority of the voters and one of those who were voters before (Raft, section 6).
 *
 * Invariant: each list is sorted and has nobody twice; learners are not among the voters.
 */
export interface Members {
  readonly voters: readonly ReplicaId[]
  readonly outgoing: readonly ReplicaId[]
  /** They get the log, and are never counted. */
  readonly learners: readonly ReplicaId[]
}

export const NO_MEMBERS: Members = { voters: [], outgoing: [], learners: [] }

/** Members in the form that the core keeps: sorted. Throws InvariantError for lists that cannot be. */
export function membersOf(
  voters: readonly ReplicaId[],
  learners: readonly ReplicaId[] = [],
): Members {
  const members = { voters: sorted(voters), outgoing: [], learners: sorted(learners) }
  for (const id of learners) invariant(!voters.includes(id), `${id} is both voter and learner`)
  return members
}

function sorted(ids: readonly ReplicaId[]): ReplicaId[] {
  const list = [...new Set(ids)].sort((a, b) => a - b)
  invariant(list.length === ids.length, `a replica is there twice in ${ids}`)
  for (const id of list) invariant(Number.isSafeInteger(id) && id > 0, `${id} is no replica`)
  return list
}

export function isJoint(members: Members): boolean {
  return members.outgoing.length > 0
}

export function isVoter(members: Members, id: ReplicaId): boolean {
  return members.voters.includes(id) || members.outgoing.includes(id)
}

/** Everybody who gets the log, in order. */
export function everybody({ voters, outgoing, learners }: Members): ReplicaId[] {
  return [...new Set([...voters, ...outgoing, ...learners])].sort((a, b) => a - b)
}

/** The first step of a change: joint if it is about voters. */
export function towards(now: Members, target: Members): Members {
  invariant(
    !isJoint(now) && !isJoint(target),
    'a change begins and ends outside a joint configuration',
  )
  invariant(target.voters.length > 0, 'somebody has a vote')
  const same = `${now.voters}` === `${target.voters}`
  return { ...target, outgoing: same ? [] : now.voters }
}

/** The second step: the voters of before have no say any more. */
export function settled(joint: Members): Members {
  return { ...joint, outgoing: [] }
}

/** The highest mark that a quorum has reached. */
export function quorumMark(members: Members, markOf: (id: ReplicaId) => number): number {
  const { voters, outgoing } = members
  return Math.min(majorityMark(voters, markOf), majorityMark(outgoing, markOf))
}

/** What the votes given so far decide. */
export function quorumVerdict(
  members: Members,
  voteOf: (id: ReplicaId) => boolean | undefined,
): Verdict {
  const one = majorityVerdict(members.voters, voteOf)
  const other = majorityVerdict(members.outgoing, voteOf)
  if (one === 'lost' || other === 'lost') return 'lost'
  return one === 'won' && other === 'won' ? 'won' : 'open'
}
