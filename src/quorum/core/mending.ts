import { type Hole, LATER } from './log-view.ts'
import { everybody } from './members.ts'
import type { Batch, MessageOf, ReplicaId } from './messages.ts'
import type { CoreState } from './state.ts'

// A replica whose log was damaged below its end. It says so to whoever leads, by refusing what lies behind
// the first hole, and gets the batches again; without a leader it asks everybody. What comes is believed
// only if it comes from a log that also has the place where the hole ends.

/** Batches that were lost to damage here and have come from others, until they are all there. */
export interface Mending {
  readonly hole: Hole
  /** Whose log they are from: that of the leader of this term, or one that has the end of the hole. */
  readonly source: number | typeof SAME_LOG
  /** They follow one another from the start of the hole. */
  readonly batches: Batch[]
}

/** A log that has the place where the hole ends, and so all that was in it. */
const SAME_LOG = 'same'

/** What to do with a leader's batch that touches the first hole. */
export type Touch = 'taken' | 'filled' | 'conflict'

/** The repair of the first hole. What comes from one log is never mixed with what comes from another. */
export function mendingOf(state: CoreState, source: Mending['source']): Mending | undefined {
  const hole = state.log.holes[0]
  if (!hole) return undefined
  const { mending } = state
  if (mending?.hole === hole && mending.source === source) return mending
  state.mending = { hole, source, batches: [] }
  return state.mending
}

/** The end of what has come for the hole so far. */
export function mendedTo({ hole, batches }: Mending): number {
  return batches.at(-1)?.end ?? hole.from
}

/** True if `prev` is a place of the hole that is known again. */
export function isMended(state: CoreState, prev: { term: number; mark: number }): boolean {
  const mending = mendingOf(state, state.term)
  return mending?.batches.some(({ end, term }) => end === prev.mark && term === prev.term) ?? false
}

/**
 * A batch of the leader's log behind the start of the first hole, in order. `filled`: the hole ends where
 * the leader has the same place, so what came was what was lost. `conflict`: the leader's log has never
 * had it.
 */
export function touch(state: CoreState, mending: Mending, batch: Batch): Touch {
  const { hole, batches } = mending
  const end = mendedTo(mending)
  if (batch.end <= end) return 'taken'
  // Terms never decrease in a log, so none within the hole is above that at its end.
  const fits = batch.start === end && batch.end <= hole.to && batch.term <= hole.term
  if (!fits || (batch.end === hole.to && batch.term !== hole.term)) return 'conflict'
  batches.push(batch)
  if (batch.end < hole.to) return 'taken'
  state.fill(hole, batches)
  return 'filled'
}

/** Without a leader: asks everybody for what is missing in the first hole. */
export function askForRepair(state: CoreState): void {
  const mending = mendingOf(state, SAME_LOG)
  if (!mending) return
  const { to, term: last } = mending.hole
  const from = mendedTo(mending)
  for (const id of everybody(state.configurations.members)) {
    if (id === state.id) continue
    state.send(id, { kind: 'repair', term: state.term, from, to, last })
  }
}

/** Answers with what is asked for, as far as it is whole here and in memory; otherwise with nothing. */
export function onRepair(state: CoreState, from: ReplicaId, asked: MessageOf<'repair'>): void {
  const { log } = state
  if (!log.has({ term: asked.last, mark: asked.to }) || !log.isSound(asked.from, asked.to)) return
  const found = log.batches(asked.from, state.settings.appendBytesMax)
  if (found === LATER) return
  const batches = found.filter((batch) => batch.end <= asked.to)
  state.send(from, { kind: 'repair-reply', term: state.term, from: asked.from, batches })
}

export function onRepairReply(state: CoreState, reply: MessageOf<'repair-reply'>): void {
  if (state.mending?.source !== SAME_LOG) return
  const mending = mendingOf(state, SAME_LOG)
  if (!mending || reply.from !== mendedTo(mending)) return
  for (const batch of reply.batches) {
    if (batch.start === mendedTo(mending) && batch.end <= mending.hole.to)
      mending.batches.push(batch)
  }
  const last = mending.batches.at(-1)
  if (last?.end === mending.hole.to) {
    // A reply that was under way for long may be about another hole at the same place.
    if (last.term === mending.hole.term) state.fill(mending.hole, mending.batches)
    else state.mending = undefined
  } else if (reply.batches.length > 0) askForRepair(state)
}

/**
 * What came for the hole cannot all have been in it: the leader's log is another from some place on. What is
 * committed was there, so it is filled in; the rest is cut off, and then appended as it is in the leader's log.
 */
export function giveUpHole(state: CoreState, { hole, batches }: Mending): void {
  const { committed } = state.log
  const kept = batches.filter(({ end }) => end <= committed)
  state.giveUp(hole, kept)
  state.append(batches.slice(kept.length))
}
