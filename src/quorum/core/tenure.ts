import { followMembers, leadingOf, markOf, newLeading } from './leading.ts'
import { isJoint, isVoter, type Members, quorumMark, quorumVerdict, settled } from './members.ts'
import { NOBODY, type ReplicaId } from './messages.ts'
import { startReads } from './reading.ts'
import { sendToAll } from './replication.ts'
import type { CoreState } from './state.ts'

// A term of office: how it begins, what is committed in it, how its members change, and how it ends.

/** Begins to lead the term: with an empty batch, since only batches of its own term show what is committed. */
export function startLeading(state: CoreState): void {
  const start = state.log.last.mark
  state.role = 'leader'
  state.leader = state.id
  state.elapsed = 0
  state.leading = newLeading(state)
  followMembers(state)
  const { term } = state
  const own = state.settings.makeOwn('leader', state.configurations.members)
  state.append([{ term, start, end: start + 1, kind: 'leader', ...own }])
  sendToAll(state)
}

/** Moves the committed mark to what a quorum has, if that is of this term (Raft 5.4.2). True if it moved. */
function advanceCommit(state: CoreState): boolean {
  const { log, configurations } = state
  const mark = quorumMark(configurations.members, (id) => markOf(state, id))
  if (!Number.isFinite(mark) || mark <= log.committed) return false
  if (log.termAt(mark) !== state.term) return false
  log.commit(mark)
  startReads(state)
  return true
}

/**
 * Reports what is as safe now as it was wanted. What is safe on a majority is reported once it is on this
 * disk too: whoever is told of it finds it below the high-water mark here.
 */
function finishPending(state: CoreState): void {
  const leading = leadingOf(state)
  const { pending } = leading
  const { committed, stable, sound } = state.log
  const shown = Math.min(committed, stable)
  let gone = 0
  // In order of their marks, so that nothing further on is safe once one is behind both.
  for (let i = 0; i < pending.length && pending[i]!.end <= Math.max(shown, sound); i++) {
    const { id, start, end, bytes, acks } = pending[i]!
    const isSafe = acks !== 'none' && end <= (acks === 'leader' ? sound : shown)
    if (isSafe) state.finish({ id, start, end })
    if (end <= shown) {
      gone++
      leading.uncommittedBytes -= bytes
    } else if (isSafe) pending[i] = { id, start, end, bytes, acks: 'none' }
  }
  if (gone > 0) pending.splice(0, gone)
}

/** What follows when a mark was committed or a piece of work has come to the disk. */
export function afterProgress(state: CoreState): void {
  const moved = advanceCommit(state)
  finishPending(state)
  if (moved) {
    if (!settleMembers(state)) return
    sendToAll(state, true)
  }
  continueTransfer(state)
}

/**
 * A committed joint configuration is left at once; a leader that is no voter of a committed one goes.
 * False if it has gone.
 */
function settleMembers(state: CoreState): boolean {
  const { latest, members } = state.configurations
  if (latest.point.mark > state.log.committed) return true
  if (isJoint(members)) {
    appendMembers(state, settled(members))
    return true
  }
  if (isVoter(members, state.id)) return true
  // Its last word: what it has committed, so that those who stay need not find out by themselves.
  sendToAll(state, true)
  const best = bestVoter(state)
  if (best !== NOBODY) state.send(best, { kind: 'transfer', term: state.term })
  state.leading!.transfer = undefined
  stopLeading(state)
  return false
}

function bestVoter(state: CoreState): ReplicaId {
  let best = NOBODY
  for (const id of state.configurations.members.voters) {
    if (best === NOBODY || markOf(state, id) > markOf(state, best)) best = id
  }
  return best
}

/** What was under way gets no answer but this one: nobody knows what becomes of it. */
export function stopLeading(state: CoreState): void {
  const { leading } = state
  if (!leading) return
  for (const { id, acks } of leading.pending) if (acks !== 'none') state.refuse(id, 'lost')
  for (const read of leading.reads) {
    if (read.from === state.id) state.refuse(read.id, 'not-leader')
  }
  state.leading = undefined
  state.role = 'follower'
  state.leader = NOBODY
  state.elapsed = 0
}

/** Appends a change of members, which is in force from here on. */
export function appendMembers(state: CoreState, members: Members): void {
  const start = state.log.last.mark
  const { term } = state
  const own = state.settings.makeOwn('members', members)
  state.append([{ term, start, end: start + 1, kind: 'members', members, ...own }])
  followMembers(state)
  sendToAll(state)
}

/** True if a quorum was heard of since this was asked last. */
export function hearsQuorum(state: CoreState): boolean {
  const { progress } = leadingOf(state)
  const heard = (id: ReplicaId) => id === state.id || (progress.get(id)?.isActive ?? false)
  const verdict = quorumVerdict(state.configurations.members, heard)
  for (const each of progress.values()) each.isActive = false
  return verdict === 'won'
}

/** Asks the successor to stand for election once it has everything. */
export function continueTransfer(state: CoreState): void {
  const leading = leadingOf(state)
  const { transfer } = leading
  if (!transfer) return
  const progress = leading.progress.get(transfer.to)
  if (progress?.match !== state.log.last.mark) return
  state.send(transfer.to, { kind: 'transfer', term: state.term })
}
