import { invalid } from './arguments.ts'
import type { Draws } from './draws.ts'

/** Whether what `from` sends does not reach `to`. */
export type Cut = (from: number, to: number) => boolean

/** In which way members are cut off from each other. */
export type PartitionShape =
  /** Two groups, of which every size is as likely. */
  | 'sizes'
  /** Two groups; each member tosses a coin. */
  | 'halves'
  /** One member against all others. */
  | 'isolated'
  /** One member reaches, and is reached by, a single other. */
  | 'stranded'
  /** Each member reaches two others only, and nobody has a quorum of more than three. */
  | 'ring'

export const PARTITION_SHAPES: readonly PartitionShape[] = [
  'sizes',
  'halves',
  'isolated',
  'stranded',
  'ring',
]

/**
 * Cuts between groups; who is in none of them is reached by all. Unless `isSymmetric`, only what a later group sends
 * to an earlier one is lost. INVALID_ARGUMENT if a member is in two groups.
 */
export function cutBetween(groups: readonly (readonly number[])[], isSymmetric: boolean): Cut {
  const groupOf = new Map<number, number>()
  groups.forEach((members, group) => {
    for (const id of members) {
      if (groupOf.has(id)) throw invalid(`${id} cannot be in two groups of a partition`)
      groupOf.set(id, group)
    }
  })
  return (from, to) => {
    const sender = groupOf.get(from)
    const receiver = groupOf.get(to)
    if (sender === undefined || receiver === undefined) return false
    return isSymmetric ? sender !== receiver : sender > receiver
  }
}

/** Cuts `id` off from all members but `via`, in both directions. INVALID_ARGUMENT if one of them is no member. */
export function cutButOne(id: number, via: number, members: readonly number[]): Cut {
  if (id === via) throw invalid(`${id} cannot be stranded on itself`)
  const known = new Set(members)
  if (!known.has(id) || !known.has(via)) throw invalid(`${id} and ${via} must both be members`)
  return (from, to) => {
    if (from === id) return to !== id && to !== via && known.has(to)
    return to === id && from !== via && known.has(from)
  }
}

/** Cuts all paths but those between neighbours in `ring`, of which the last is a neighbour of the first. */
export function cutButRing(ring: readonly number[]): Cut {
  const placeOf = new Map(ring.map((id, place) => [id, place]))
  if (placeOf.size < ring.length) throw invalid('a member cannot be in a ring twice')
  return (from, to) => {
    const sender = placeOf.get(from)
    const receiver = placeOf.get(to)
    if (sender === undefined || receiver === undefined) return false
    const apart = Math.abs(sender - receiver)
    return apart > 1 && apart < ring.length - 1
  }
}

/** Draws a partition of `members`, at least two of them, in the given shape. */
export function drawCut(
  draws: Draws,
  members: readonly number[],
  shape: PartitionShape,
  isSymmetric: boolean,
): Cut {
  const shuffled = draws.shuffle(members)
  const [first, second] = shuffled
  if (first === undefined || second === undefined) throw invalid('a partition needs two members')
  switch (shape) {
    case 'sizes':
      return splitAt(draws, shuffled, draws.integer(1, shuffled.length - 1), isSymmetric)
    case 'halves': {
      const tossed = members.filter(() => draws.chance(0.5))
      // All on one side would be no partition.
      const isWhole = tossed.length === 0 || tossed.length === members.length
      const group = new Set(isWhole ? [first] : tossed)
      const others = members.filter((id) => !group.has(id))
      return cutBetween(draws.shuffle([[...group], others]), isSymmetric)
    }
    case 'isolated':
      return splitAt(draws, shuffled, 1, isSymmetric)
    case 'stranded':
      return cutButOne(first, second, members)
    case 'ring':
      return cutButRing(shuffled)
  }
}

function splitAt(draws: Draws, members: readonly number[], at: number, isSymmetric: boolean): Cut {
  const groups = [members.slice(0, at), members.slice(at)]
  // Which comes first decides which way an asymmetric cut lets through.
  return cutBetween(draws.shuffle(groups), isSymmetric)
}
