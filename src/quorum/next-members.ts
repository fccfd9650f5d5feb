import type { Members, ReplicaId } from './core/index.ts'

/** Who is to vote on a log, and who is to have it besides. */
export interface Target {
  readonly replicas: readonly ReplicaId[]
  readonly learners: readonly ReplicaId[]
}

/** Who takes part, as a change is asked for. */
export type NextMembers = Pick<Members, 'voters' | 'learners'>

/**
 * The next change on the way from the members that are to those that are to be: who is new learns first, and votes
 * when all who are new have caught up; only then are the others let go, so that a log has never fewer votes than
 * before it moves. Undefined: nothing is to be done, or something has to be waited for.
 */
export function nextMembers(
  now: Members,
  { replicas, learners }: Target,
  isCaughtUp: (id: ReplicaId) => boolean,
): NextMembers | undefined {
  const known = [...now.voters, ...now.learners]
  const missing = [...replicas, ...learners].filter((id) => !known.includes(id))
  if (missing.length > 0) return { voters: now.voters, learners: [...now.learners, ...missing] }
  const isReady = (id: ReplicaId) => now.voters.includes(id) || isCaughtUp(id)
  if (!replicas.every(isReady)) return undefined
  if (isSame(now.voters, replicas) && isSame(now.learners, learners)) return undefined
  return { voters: replicas, learners }
}

/** True if the members are those that are to be. */
export function hasArrived(now: Members, { replicas, learners }: Target): boolean {
  return now.outgoing.length === 0 && isSame(now.voters, replicas) && isSame(now.learners, learners)
}

function isSame(some: readonly ReplicaId[], others: readonly ReplicaId[]): boolean {
  return some.length === others.length && some.every((id) => others.includes(id))
}
