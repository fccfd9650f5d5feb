import type { ReplicaId } from './messages.ts'

// The arithmetic of majorities, alone. A set of nobody agrees to everything: so that one side of a joint
// configuration may be empty.

/** How many of `count` replicas make a quorum: n/2 + 1. */
export function quorumOf(count: number): number {
  return Math.floor(count / 2) + 1
}

/** The highest mark that a majority of these voters has reached. */
export function majorityMark(
  voters: readonly ReplicaId[],
  markOf: (id: ReplicaId) => number,
): number {
  if (voters.length === 0) return Number.POSITIVE_INFINITY
  const quorum = quorumOf(voters.length)
  let best = Number.NEGATIVE_INFINITY
  for (const id of voters) {
    const mark = markOf(id)
    if (mark > best && countReaching(voters, markOf, mark) >= quorum) best = mark
  }
  return best
}

/** Asked for each commit: a few comparisons take less than a sorted copy. */
function countReaching(
  voters: readonly ReplicaId[],
  markOf: (id: ReplicaId) => number,
  mark: number,
): number {
  let count = 0
  for (const id of voters) if (markOf(id) >= mark) count++
  return count
}

export type Verdict = 'won' | 'lost' | 'open'

/** What the votes given so far decide; undefined is a vote not given yet. */
export function majorityVerdict(
  voters: readonly ReplicaId[],
  voteOf: (id: ReplicaId) => boolean | undefined,
): Verdict {
  if (voters.length === 0) return 'won'
  let granted = 0
  let refused = 0
  for (const id of voters) {
    const vote = voteOf(id)
    if (vote === true) granted++
    if (vote === false) refused++
  }
  const quorum = quorumOf(voters.length)
  if (granted >= quorum) return 'won'
  return voters.length - refused < quorum ? 'lost' : 'open'
}
