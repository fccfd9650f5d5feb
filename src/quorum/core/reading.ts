import { leadingOf } from './leading.ts'
import { quorumVerdict } from './members.ts'
import type { MessageOf, ReplicaId } from './messages.ts'
import { NOBODY } from './messages.ts'
import { sendHeartbeats } from './replication.ts'
import type { CoreState } from './state.ts'

/** A read of this replica: answered here if it leads, or by the leader. */
export function onRead(state: CoreState, id: number): void {
  if (state.role === 'leader') {
    addRead(state, state.id, id)
  } else if (state.leader === NOBODY) {
    state.refuse(id, 'not-leader')
  } else {
    state.asked.add(id)
    state.send(state.leader, { kind: 'read', term: state.term, id })
  }
}

/** A read that another replica passes on. */
export function onReadMessage(state: CoreState, from: ReplicaId, { id }: MessageOf<'read'>): void {
  if (state.role === 'leader') addRead(state, from, id)
}

export function onReadReply(state: CoreState, { id, mark }: MessageOf<'read-reply'>): void {
  if (state.asked.delete(id)) state.answerRead(id, mark)
}

/** Reads that got no answer are asked again: whichever answer comes is good, it is from after the question. */
export function askAgain(state: CoreState): void {
  state.sinceAsked = 0
  for (const id of state.asked) state.send(state.leader, { kind: 'read', term: state.term, id })
}

/** There is another leader, or none: who asked may ask again. */
export function forgetReads(state: CoreState): void {
  for (const id of state.asked) state.refuse(id, 'not-leader')
  state.asked.clear()
}

function addRead(state: CoreState, from: ReplicaId, id: number): void {
  const leading = leadingOf(state)
  const waiting = leading.reads.findIndex((read) => read.from === from && read.id === id)
  if (waiting >= 0) return
  leading.reads.push({ from, id, mark: undefined, round: 0 })
  startReads(state)
}

/** Gives marks to the reads that have none, once it is known what is committed; and asks who still follows. */
export function startReads(state: CoreState): void {
  const leading = leadingOf(state)
  if (state.log.committed < leading.ownMark) return
  const fresh = leading.reads.filter((read) => read.mark === undefined)
  if (fresh.length === 0) return
  leading.round++
  for (const read of fresh) {
    read.mark = state.log.committed
    read.round = leading.round
  }
  sendHeartbeats(state)
  answerReads(state)
}

/** Answers the reads whose round a quorum has answered. */
export function answerReads(state: CoreState): void {
  const leading = leadingOf(state)
  while (leading.reads.length > 0) {
    const { from, id, mark, round } = leading.reads[0]!
    if (mark === undefined) return
    const confirmed = (who: ReplicaId) =>
      who === state.id || (leading.progress.get(who)?.round ?? 0) >= round
    if (quorumVerdict(state.configurations.members, confirmed) !== 'won') return
    leading.reads.shift()
    if (from === state.id) state.answerRead(id, mark)
    else state.send(from, { kind: 'read-reply', term: state.term, id, mark })
  }
}
