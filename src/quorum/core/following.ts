import { follow } from './election.ts'
import { giveUpHole, isMended, mendingOf, touch } from './mending.ts'
import type { Append, Batch, Heartbeat, Point, ReplicaId, Snapshot } from './messages.ts'
import type { CoreState } from './state.ts'

/** Takes a leader's batches if the place where they begin is in this log, and says what it has then. */
export function onAppend(state: CoreState, from: ReplicaId, append: Append): void {
  follow(state, from)
  const { log } = state
  const { prev, batches, low } = append
  const agreed = Math.min(log.committed, log.sound)
  if (prev.mark < agreed) {
    // What is committed is in every leader's log: there is nothing to compare below.
    accept(state, from, append, agreed)
  } else if (agrees(state, prev)) {
    for (const batch of batches) if (!takeBatch(state, batch)) break
    const end = batches.at(-1)?.end ?? prev.mark
    accept(state, from, append, Math.min(end, verified(state)))
  } else {
    reject(state, from, append)
  }
  state.trim(low)
}

/** True if the leader's log and this one are the same up to `prev`. */
function agrees(state: CoreState, prev: Point): boolean {
  const [hole] = state.log.holes
  if (hole && prev.mark > hole.from) return isMended(state, prev)
  return state.log.has(prev)
}

/** Below this, what the leader has is here too, or on its way to the disk. */
function verified({ log }: CoreState): number {
  return Math.min(log.last.mark, log.holes[0]?.from ?? Number.POSITIVE_INFINITY)
}

/** One batch that follows what agrees. False if the rest must come once more. */
function takeBatch(state: CoreState, batch: Batch): boolean {
  const { log } = state
  const mending = mendingOf(state, state.term)
  if (mending && batch.end > mending.hole.from) {
    if (state.isFilling) return false
    if (touch(state, mending, batch) !== 'conflict') return true
    giveUpHole(state, mending)
  }
  // Only a batch that differs is reason to cut: a message may be older than what is here (Raft 5.3).
  if (batch.end <= log.last.mark && log.termAt(batch.end) === batch.term) return true
  if (batch.start < log.last.mark) state.truncate(batch.start)
  state.append([batch])
  return true
}

function accept(state: CoreState, from: ReplicaId, append: Append, mark: number): void {
  state.log.commit(Math.min(append.commit, mark))
  state.send(from, {
    kind: 'append-reply',
    term: state.term,
    session: append.session,
    matched: true,
    mark,
    hint: state.log.last,
    damaged: false,
  })
}

function reject(state: CoreState, from: ReplicaId, { session, prev }: Append): void {
  const { log } = state
  const [hole] = log.holes
  state.send(from, {
    kind: 'append-reply',
    term: state.term,
    session,
    matched: false,
    mark: prev.mark,
    hint: hole && prev.mark > hole.from ? log.pointAt(hole.from) : log.hint(prev),
    damaged: hole !== undefined || state.promised !== undefined,
  })
}

export function onHeartbeat(state: CoreState, from: ReplicaId, heartbeat: Heartbeat): void {
  follow(state, from)
  const { term, isWhole, log } = state
  log.commit(Math.min(heartbeat.commit, verified(state)))
  state.trim(heartbeat.low)
  state.send(from, { kind: 'heartbeat-reply', term, round: heartbeat.round, isWhole })
}

/** By Log Matching, who has the place has the same below it, and that is committed. */
export function onCommitted(state: CoreState, point: Point): void {
  const { log } = state
  if (state.role === 'leader' || point.mark > verified(state) || !log.has(point)) return
  log.commit(point.mark)
}

/** The log begins anew where the leader's does, unless it has got there already. */
export function onSnapshot(state: CoreState, from: ReplicaId, snapshot: Snapshot): void {
  follow(state, from)
  const { log } = state
  const { point, session, term } = snapshot
  // Damage below the leader's low-water mark is never repaired, so it is left behind too.
  const isVerified = point.mark <= verified(state)
  if (isVerified && (point.mark <= log.committed || log.has(point))) log.commit(point.mark)
  else state.reset(snapshot)
  const mark = Math.min(log.committed, verified(state))
  const reply = { session, matched: true, mark, hint: log.last, damaged: false }
  state.send(from, { kind: 'append-reply', term, ...reply })
}
