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
  /** They follow one another from the start of the hole. */
  readonly batches: Batch[]
}

/** What to do with a leader's batch that touches the first hole. */
export type Touch = 'taken' | 'filled' | 'conflict'

export function mendingOf(state: CoreState): Mending | undefined {
  const hole = state.log.holes[0]
  if (!hole) return undefined
  if (state.mending?.hole !== hole) state.mending = { hole, batches: [] }
  return state.mending
}

/** The end of what has come for the hole so far. */
export function mendedTo({ hole, batches }: Mending): number {
  return batches.at(-1)?.end ?? hole.from
}

/** True if `prev` is a place of the hole that is known again. */
export function isMended(state: CoreState, prev: { term: number; mark: number }): boolean {
  const mending = mendingOf(state)
  return mending?.batches.some(({ end, term }) => end === prev.mark && term === prev.term) ?? false
}

/**
 * A batch of the leader's log behind the start of the first hole, in order. `filled`: the hole ends where
 * the leader has the same place, so what came was what was lost. `conflict`: the leader's log has never
 * had it.
 */
export function touch(state: CoreState, mending: Mending, batch: Batch): Touch {
  const { hole, batches } = mending
  if (batches.some((known) => known.end === batch.end && known.term === batch.term)) return 'taken'
  // What came from an earlier leader may be another log's.
  while (batches.length > 0 && batches.at(-1)!.end > batch.start) batches.pop()
  const end = mendedTo(mending)
  const fits = batch.start === end && batch.end <= hole.to
  if (!fits || (batch.end === hole.to && batch.term !== hole.term)) return 'conflict'
  batches.push(batch)
  if (batch.end < hole.to) return 'taken'
  state.fill(hole, batches)
  return 'filled'
}

/** Without a leader: asks everybody for what is missing in the first hole. */
export function askForRepair(state: CoreState): void {
  const mending = mendingOf(state)
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
  if (
    !log.has({ term: asked.last, mark: asked.to }) ||
    asked.from < log.low.mark ||
    asked.to > log.stable
  )
    return
  if (log.holes.some((hole) => hole.from < asked.to && hole.to > asked.from)) return
  const found = log.batches(asked.from, state.settings.appendBytesMax)
  if (found === LATER) return
  const batches = found.filter((batch) => batch.end <= asked.to)
  state.send(from, { kind: 'repair-reply', term: state.term, from: asked.from, batches })
}

export function onRepairReply(state: CoreState, reply: MessageOf<'repair-reply'>): void {
  const mending = mendingOf(state)
  if (!mending || reply.from !== mendedTo(mending)) return
  for (const batch of reply.batches) {
    if (batch.start === mendedTo(mending) && batch.end <= mending.hole.to)
      mending.batches.push(batch)
  }
  if (mendedTo(mending) === mending.hole.to) state.fill(mending.hole, mending.batches)
  else if (reply.batches.length > 0) askForRepair(state)
}

/**
 * What came for the hole cannot all have been in it: the leader's log is another from some place on. What is
 * committed was there, so it is filled in; the rest is cut off, and then appended as it is in the leader's log.
 */
export function giveUpHole(state: CoreState, { hole, batches }: Mending): void {
  const { committed } = state.log
  const kept = batches.filter(({ end }) => end <= committed)
  if (kept.length > 0) state.fill(hole, kept)
  state.truncate(kept.at(-1)?.end ?? hole.from)
  state.append(batches.slice(kept.length))
}
