import {
  type CatalogState,
  catalogVoters,
  hostsOf,
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
  const gone = state.members.map(({ id }) => id).filter((id) => !staying.includes(id))
  return {
    replicas: voters,
    learners: [...staying.filter((id) => !voters.includes(id)), ...learning],
    leaving: gone.filter((id) => !learning.includes(id)),
    preferred: state.preferred,
    version: 0,
  }
}

/** True if a log is on the member, or is to be, or is not known to have left it. */
function isPlaced({ logs }: CatalogState, id: ReplicaId): boolean {
  return logs.some(({ placement }) => hostsOf(placement).includes(id))
}

/** What the leader of the catalog writes down about the members. */
export async function keepCatalog(
  context: MemberContext,
  hosted: HostedLog,
  isCaughtUp: (id: ReplicaId) => boolean,
): Promise<void> {
  const catalog = context.catalog()
  const { state } = catalog
  if (state.members.length === 0) {
    await catalog.execute({ kind: 'begin', members: context.founders() })
    return
  }
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
