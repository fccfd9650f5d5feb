import { leadingOf } from './leading.ts'
import { LATER } from './log-view.ts'
import type { Batch, ReplicaId } from './messages.ts'
import type { Progress } from './progress.ts'
import type { CoreState } from './state.ts'

/** Sends everybody what they have not been sent. */
export function sendToAll(state: CoreState, evenEmpty = false): void {
  for (const id of leadingOf(state).progress.keys()) sendAppends(state, id, evenEmpty)
}

/** Sends a replica all that it has not been sent, as far as there is room. */
export function sendAppends(state: CoreState, to: ReplicaId, evenEmpty = false): void {
  const { settings, log } = state
  const progress = leadingOf(state).progress.get(to)
  if (!progress) return
  let empty = evenEmpty
  while (!progress.isPaused(settings.inflightMax, settings.inflightBytesMax)) {
    if (progress.next < log.low.mark || log.termAt(progress.next) === undefined) {
      sendSnapshot(state, to, progress)
      return
    }
    const batches = log.batches(progress.next, settings.appendBytesMax)
    if (batches === LATER) return
    if (batches.length === 0 && !empty && progress.state !== 'probe') return
    sendAppend(state, to, progress, batches)
    empty = false
    if (batches.length === 0) return
  }
  // It is told of a commit all the same: that costs no room.
  const isThere = log.termAt(progress.next) !== undefined
  if (empty && isThere && progress.state === 'replicate') sendAppend(state, to, progress, [])
}

function sendAppend(
  state: CoreState,
  to: ReplicaId,
  progress: Progress,
  batches: readonly Batch[],
): void {
  const { log } = state
  const bytes = batches.reduce((sum, batch) => sum + batch.bytes, 0)
  state.send(to, {
    kind: 'append',
    term: state.term,
    session: progress.session,
    prev: log.pointAt(progress.next),
    batches,
    commit: log.committed,
    low: log.low.mark,
  })
  // Batches without bytes count too: else nothing would bound how many are under way.
  progress.sent(batches.at(-1)?.end ?? progress.next, batches.length === 0 ? 0 : Math.max(1, bytes))
}

function sendSnapshot(state: CoreState, to: ReplicaId, progress: Progress): void {
  const { log, configurations } = state
  // Nobody who is silent is sent a whole state.
  if (!progress.isActive) return
  const { low } = log
  progress.awaitSnapshot(low.mark)
  state.send(to, {
    kind: 'snapshot',
    term: state.term,
    session: progress.session,
    point: low,
    configuration: configurations.at(low.mark),
    low: low.mark,
  })
}

/** Says to all that there still is a leader, how far they may show, and what it is that they confirm. */
export function sendHeartbeats(state: CoreState): void {
  const leading = leadingOf(state)
  leading.sinceHeartbeat = 0
  const { committed, low } = state.log
  for (const [to, { match }] of leading.progress) {
    const commit = Math.min(match, committed)
    state.send(to, {
      kind: 'heartbeat',
      term: state.term,
      commit,
      round: leading.round,
      low: low.mark,
    })
  }
}
