import {
  activeMembers,
  type CatalogLog,
  type CatalogState,
  hostsOf,
  type Placement,
} from './catalog-state.ts'
import type { ReplicaId } from './core/index.ts'

// Where the replicas of logs go: functions of the catalog's state, so that every member comes to the same.

/** How many logs may be on their way at once to even out who has how many. */
const MOVES_MAX = 8

type Counts = ReadonlyMap<ReplicaId, number>

/** The fewest first, then the lowest id. */
function fewest(ids: readonly ReplicaId[], counts: Counts): ReplicaId[] {
  return [...ids].sort((a, b) => countOf(counts, a) - countOf(counts, b) || a - b)
}

function countOf(counts: Counts, id: ReplicaId): number {
  return counts.get(id) ?? 0
}

/** How many replicas each member has. */
function replicaCounts({ logs }: CatalogState): Counts {
  return counted(logs.flatMap(({ placement }) => placement.replicas))
}

/** How many logs each member is to lead. */
function leadCounts({ logs }: CatalogState): Counts {
  return counted(logs.map(({ placement }) => placement.preferred))
}

function counted(ids: readonly ReplicaId[]): Counts {
  const counts = new Map<ReplicaId, number>()
  for (const id of ids) counts.set(id, countOf(counts, id) + 1)
  return counts
}

/** Where a new log goes, of those who may have it: of equals rather to who has asked for it. */
export function placeNew(
  state: CatalogState,
  candidates: readonly ReplicaId[],
  by: ReplicaId,
  wanted: number,
): Placement {
  const counts = replicaCounts(state)
  const rank = (id: ReplicaId) => countOf(counts, id) - (id === by ? 0.5 : 0)
  const order = [...candidates].sort((a, b) => rank(a) - rank(b) || a - b)
  const replicas = order.slice(0, wanted)
  const [preferred] = fewest(replicas, leadCounts(state))
  return {
    replicas: sorted(replicas),
    learners: [],
    leaving: [],
    preferred: preferred!,
    version: 0,
  }
}

/**
 * Gives every log as many replicas as it wants, on members that stay, and evens out who has how many. To be called
 * after whatever may have changed that. Who leads how many is evened out where `membersChanged` or replicas have moved:
 * otherwise it stays as somebody may have wanted it.
 */
export function placeAll(state: CatalogState, membersChanged = false): void {
  const active = activeMembers(state)
  for (const log of state.logs) placeAgain(state, log, active)
  const hasMoved = evenOutReplicas(state, active)
  if (membersChanged || hasMoved) evenOutLeads(state, active)
}

function placeAgain(state: CatalogState, log: CatalogLog, active: readonly ReplicaId[]): void {
  const { placement } = log
  const kept = placement.replicas.filter((id) => active.includes(id))
  const learners = placement.learners.filter((id) => active.includes(id))
  const wanted = Math.min(log.replicas, active.length)
  const isKept = [...kept, ...learners].length === hostsOf({ ...placement, leaving: [] }).length
  if (isKept && kept.length >= wanted) return
  const free = active.filter((id) => !kept.includes(id) && mayHave(state, log, id))
  const added = fewest(free, replicaCounts(state)).slice(0, Math.max(0, wanted - kept.length))
  const replicas = [...kept, ...added]
  // Where nobody is left who could have it, it stays where it is.
  if (replicas.length === 0) return
  const isSame = isKept && added.length === 0
  if (!isSame) move(state, log, replicas, learners)
}

/** One that is to delete a replica may have another when it has done so. */
function mayHave({ toDelete }: CatalogState, { id }: CatalogLog, member: ReplicaId): boolean {
  return !toDelete[member]?.includes(id)
}

/** Says where a log is to be from now on: who has it besides is to be without it. */
export function move(
  state: CatalogState,
  log: CatalogLog,
  replicas: readonly ReplicaId[],
  learners: readonly ReplicaId[],
): void {
  const { placement } = log
  const others = learners.filter((id) => !replicas.includes(id))
  const hosts = [...replicas, ...others]
  const leaving = hostsOf(placement).filter((id) => !hosts.includes(id))
  const isLed = replicas.includes(placement.preferred)
  const preferred = isLed ? placement.preferred : fewest(replicas, leadCounts(state))[0]!
  setPlacement(state, log, {
    replicas: sorted(replicas),
    learners: sorted(others),
    leaving: sorted(leaving),
    preferred,
    version: placement.version + 1,
  })
}

export function setPlacement(state: CatalogState, log: CatalogLog, placement: Placement): void {
  const at = state.logs.findIndex(({ id }) => id === log.id)
  state.logs[at] = { ...log, placement }
}

/** Moves one replica at a time from who has most to who has fewest, a few logs at once. True if any was moved. */
function evenOutReplicas(state: CatalogState, active: readonly ReplicaId[]): boolean {
  const before = state.logs.filter(({ placement }) => placement.leaving.length > 0).length
  let moving = before
  for (; moving < MOVES_MAX; moving++) {
    const counts = replicaCounts(state)
    const order = fewest(active, counts)
    const least = order[0]
    const most = order.at(-1)
    if (least === undefined || countOf(counts, most!) - countOf(counts, least) < 2) break
    const log = state.logs.find((each) => {
      const { replicas, learners, leaving } = each.placement
      const isThere = replicas.includes(most!) && !hostsOf(each.placement).includes(least)
      return isThere && leaving.length === 0 && !learners.length && mayHave(state, each, least)
    })
    if (!log) break
    const { replicas, learners } = log.placement
    move(state, log, [...replicas.filter((id) => id !== most), least], learners)
  }
  return moving > before
}

/** Leads are handed over at no cost, so all at once. */
function evenOutLeads(state: CatalogState, active: readonly ReplicaId[]): void {
  for (;;) {
    const counts = leadCounts(state)
    const order = fewest(active, counts)
    const least = order[0]
    const most = order.at(-1)
    if (least === undefined || countOf(counts, most!) - countOf(counts, least) < 2) return
    const log = state.logs.find(({ placement }) => {
      return placement.preferred === most && placement.replicas.includes(least)
    })
    if (!log) return
    setPlacement(state, log, { ...log.placement, preferred: least })
  }
}

function sorted(ids: readonly ReplicaId[]): ReplicaId[] {
  return [...ids].sort((a, b) => a - b)
}
