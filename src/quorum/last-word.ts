import { type HardState, NO_MEMBERS, NOBODY, type Point, reaches } from './core/index.ts'

/**
 * What stays of a replica whose entries go: its term and vote, and the point that its log had reached. Without them it
 * could come back with nothing, and elect somebody who was away while the members changed: the majority that committed
 * the change may have had this replica in it. So it votes by that point until its new log has got there
 * ({@link HardState.promised}).
 *
 * `last`: undefined if nobody can say any more.
 */
export function lastWord(hard: HardState | undefined, last: Point | undefined): HardState {
  const { term = 0, vote = NOBODY, promised } = hard ?? {}
  const hasReached = last !== undefined && last.mark > 0
  const claim = hasReached && !(promised && reaches(promised, last)) ? last : promised
  const configurations = [{ point: { term: 0, mark: 0 }, members: NO_MEMBERS }]
  return { term, vote, promised: claim, configurations }
}

/** True of a replica that has begun with nothing, and has not learnt yet who its members are. */
export function hasOnlyItsWord({ configurations }: HardState): boolean {
  return configurations.every(({ members }) => members.voters.length === 0)
}
