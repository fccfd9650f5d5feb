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
  const marks = voters.map(markOf).sort((a, b) => b - a)
  return marks[quorumOf(voters.length) - 1]!
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
