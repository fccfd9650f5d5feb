import { invariant } from '../../base/index.ts'
import { leadingOf } from './leading.ts'
import type { AppendReply, HeartbeatReply, ReplicaId } from './messages.ts'
import { answerReads } from './reading.ts'
import { sendAppends } from './replication.ts'
import type { CoreState } from './state.ts'
import { afterProgress } from './tenure.ts'

export function onAppendReply(state: CoreState, from: ReplicaId, reply: AppendReply): void {
  const leading = leadingOf(state)
  const progress = leading.progress.get(from)
  if (!progress) return
  progress.isActive = true
  if (reply.session !== progress.session) return
  if (reply.matched) {
    // What it acknowledges was sent in this session, so it lies in this log.
    invariant(reply.mark <= state.log.last.mark, `replica ${from} acknowledges ${reply.mark}`)
    progress.acknowledged(reply.mark)
    if (progress.state === 'probe') progress.isProbing = false
    sendAppends(state, from)
    afterProgress(state)
    return
  }
  const next = state.log.floor(reply.hint).mark
  if (reply.damaged) progress.forget(Math.min(next, reply.hint.mark), ++leading.sessions)
  else if (progress.state === 'replicate') {
    if (reply.mark <= progress.match) return
    progress.probe(progress.match)
  } else if (progress.state === 'probe') {
    // An answer to an older probe says nothing about this one.
    if (reply.mark !== progress.next) return
    progress.probe(next < reply.mark ? next : progress.match)
  } else return
  sendAppends(state, from)
}

export function onHeartbeatReply(state: CoreState, from: ReplicaId, reply: HeartbeatReply): void {
  const { progress } = leadingOf(state)
  const its = progress.get(from)
  if (!its) return
  its.isActive = true
  its.isProbing = false
  its.round = Math.max(its.round, reply.round)
  const { inflightMax, inflightBytesMax } = state.settings
  if (its.state === 'replicate' && its.isPaused(inflightMax, inflightBytesMax)) its.freeOne()
  // Something was lost if it is not there by now; an empty append finds out.
  const isBehind = its.match < state.log.last.mark || its.state === 'probe' || !reply.isWhole
  if (isBehind) sendAppends(state, from, true)
  answerReads(state)
}

/** A snapshot has got to a replica, or has not. */
export function onSnapshotSent(state: CoreState, to: ReplicaId, ok: boolean): void {
  const progress = state.leading?.progress.get(to)
  if (progress?.state !== 'snapshot') return
  progress.probe(ok ? progress.pending : progress.match)
  sendAppends(state, to)
}
