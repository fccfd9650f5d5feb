import { invariant } from '../../base/index.ts'
import { isVoter, quorumVerdict } from './members.ts'
import { askForRepair } from './mending.ts'
import { type MessageOf, NOBODY, type ReplicaId, reaches } from './messages.ts'
import { forgetReads } from './reading.ts'
import type { CoreState } from './state.ts'
import { startLeading, stopLeading } from './tenure.ts'

// Who leads. An election has two rounds: the first asks whether the second would be won, and changes
// nothing for anybody, so that a replica that was cut off does not disturb those who were not
// (Raft thesis, 9.6). While a replica hears of a leader it helps nobody else (4.2.3).

/** Draws how long this replica waits for a leader. */
export function rest(state: CoreState): void {
  const { electionTicks, random } = state.settings
  state.elapsed = 0
  state.patience = electionTicks + (random.uint32() % electionTicks)
}

/** Follows `leader` in the term that is. */
export function follow(state: CoreState, leader: ReplicaId): void {
  invariant(state.role !== 'leader', `replicas ${state.id} and ${leader} lead term ${state.term}`)
  invariant(
    state.leader === NOBODY || state.leader === leader,
    `replicas ${state.leader} and ${leader} lead term ${state.term}`,
  )
  state.role = 'follower'
  state.leader = leader
  state.elapsed = 0
}

/** Goes on as a follower: of nobody, until somebody says that it leads. */
export function stepDown(state: CoreState): void {
  stopLeading(state)
  forgetReads(state)
  state.role = 'follower'
  state.leader = NOBODY
  state.votes.clear()
  rest(state)
}

/** A message of a later term: whatever this replica was, it is that no more. */
export function enterLaterTerm(state: CoreState, term: number): void {
  stepDown(state)
  state.enterTerm(term, NOBODY)
}

/** True while this replica has heard of its leader lately enough to help nobody against it. */
export function isLeased(state: CoreState): boolean {
  return state.leader !== NOBODY && state.elapsed < state.settings.electionTicks
}

/**
 * The process of a member is gone, as far as its machine can tell. Its lease ends: this only says when an election is
 * held, never who may win it.
 */
export function onUnreachable(state: CoreState, id: ReplicaId): void {
  if (state.role !== 'follower' || state.leader !== id) return
  forgetReads(state)
  state.leader = NOBODY
  const { electionTicks, random } = state.settings
  // Others have seen it too: one of them comes first, mostly.
  const soon = 1 + (random.uint32() % Math.max(1, electionTicks >> 1))
  state.elapsed = Math.max(state.elapsed, state.patience - soon)
}

/** No leader was heard of for too long. */
export function onPatienceLost(state: CoreState): void {
  forgetReads(state)
  state.leader = NOBODY
  rest(state)
  if (state.isWhole) campaign(state, false)
  else askForRepair(state)
}

/**
 * True for a voter, and for one that is none any more by a change that is not known to be committed: it may
 * be the only one that has the change, and be needed to complete it (Raft thesis, 4.2.2).
 */
function maySucceed({ configurations, log, id }: CoreState): boolean {
  const { latest, members } = configurations
  if (isVoter(members, id)) return true
  const isOpen = latest.point.mark > log.committed
  return isOpen && isVoter(configurations.at(latest.point.mark - 1).members, id)
}

/** Stands for election, if this replica may lead and its log is whole. */
export function campaign(state: CoreState, transfer: boolean): void {
  if (state.role === 'leader' || !state.isWhole) return
  if (!maySucceed(state)) return
  forgetReads(state)
  if (transfer) askForVotes(state, true)
  else askForPreVotes(state)
}

function askForPreVotes(state: CoreState): void {
  state.role = 'pre-candidate'
  state.leader = NOBODY
  state.votes = new Map([[state.id, true]])
  rest(state)
  ask(state, 'pre-vote', state.term + 1, false)
  decide(state)
}

/** The vote for itself counts once it is on the disk, like any other. */
function askForVotes(state: CoreState, transfer: boolean): void {
  state.role = 'candidate'
  state.leader = NOBODY
  state.votes = new Map()
  rest(state)
  state.enterTerm(state.term + 1, state.id)
  ask(state, 'vote', state.term, transfer)
}

function ask(state: CoreState, kind: 'vote' | 'pre-vote', term: number, transfer: boolean): void {
  const { voters, outgoing } = state.configurations.members
  for (const id of new Set([...voters, ...outgoing])) {
    if (id !== state.id) state.send(id, { kind, term, last: state.log.last, transfer })
  }
}

/** Answers who asks for a vote in this term, or, as a question only, in a later one. */
export function onVoteRequest(
  state: CoreState,
  from: ReplicaId,
  request: MessageOf<'vote' | 'pre-vote'>,
): void {
  const isFree = state.vote === from || (state.vote === NOBODY && state.leader === NOBODY)
  const mayGrant = isFree || (request.kind === 'pre-vote' && request.term > state.term)
  // A log that lacks what this one has, or once had, may lack what is committed (Raft 5.4.1).
  const granted = mayGrant && reaches(request.last, state.claim)
  if (request.kind === 'pre-vote') {
    const term = granted ? request.term : state.term
    state.send(from, { kind: 'pre-vote-reply', term, granted })
    return
  }
  if (granted) {
    state.voteFor(from)
    state.elapsed = 0
  }
  state.send(from, { kind: 'vote-reply', term: state.term, granted })
}

export function onVoteReply(
  state: CoreState,
  from: ReplicaId,
  reply: MessageOf<'vote-reply' | 'pre-vote-reply'>,
): void {
  const expected = reply.kind === 'vote-reply' ? 'candidate' : 'pre-candidate'
  if (state.role !== expected || state.votes.has(from)) return
  state.votes.set(from, reply.granted)
  decide(state)
}

/** The vote for itself is on the disk. */
export function onOwnVote(state: CoreState, term: number, vote: ReplicaId): void {
  if (state.role !== 'candidate' || term !== state.term || vote !== state.id) return
  state.votes.set(state.id, true)
  decide(state)
}

function decide(state: CoreState): void {
  const verdict = quorumVerdict(state.configurations.members, (id) => state.votes.get(id))
  if (verdict === 'open') return
  if (verdict === 'lost') stepDown(state)
  else if (state.role === 'pre-candidate') askForVotes(state, false)
  else startLeading(state)
}
