import {
  type CatalogState,
  catalogVoters,
  isPlaced,
  type Placement,
  stayingMembers,
} from './catalog-state.ts'
import type { ReplicaId } from './core/index.ts'
import type { HostedLog } from './hosted-log.ts'
import type { MemberContext } from './member-context.ts'

/**
 * Where the catalog itself is to be: on all members, the longest on those that are leaving, since it tells them what to
 * do. Undefined while nobody has said who the members are.
 */
export function catalogPlacement(state: CatalogState): Placement | undefined {
  if (state.members.length === 0) return undefined
  const staying = stayingMembers(state)
  const voters = catalogVoters(state)
  const learning = state.members.filter(({ state: its }) => its === 'joining').map(({ id }) => id)
  return {
    replicas: voters,
    learners: [...staying.filter((id) => !voters.includes(id)), ...learning],
    // Who is out of it is written down as removed, not as having left.
    leaving: [],
    preferred: state.preferred,
    version: 0,
  }
}

/** What the leader of the catalog writes down about the members. */
export async function keepCatalog(
  context: MemberContext,
  hosted: HostedLog,
  isCaughtUp: (id: ReplicaId) => boolean,
): Promise<void> {
  const catalog = context.catalog()
  const { state } = catalog
  if (state.members.length === 0) return catalog.begin(context.founders)
  const { members, isSettled } = hosted.status!
  for (const member of state.members) {
    const { id } = member
    const incarnation = context.incarnationOf(id)
    if (member.incarnation === undefined && incarnation !== undefined) {
      await catalog.execute({ kind: 'met', id, incarnation })
    }
    if (member.state === 'joining' && members.learners.includes(id) && isCaughtUp(id)) {
      await catalog.execute({ kind: 'joined', id })
    }
    const takesPart = [...members.voters, ...members.outgoing, ...members.learners].includes(id)
    if (member.state === 'leaving' && isSettled && !takesPart && !isPlaced(catalog.state, id)) {
      await catalog.execute({ kind: 'removed', id })
    }
  }
}
