import { TidemarkError } from '../../base/index.ts'
import type { FollowerStatus, LogStatus, MemberStatus } from '../../quorum/index.ts'
import type { Asking } from './asking.ts'

/** A member of a cluster, as another sees it. */
export interface MemberView {
  readonly id: number
  readonly address: string
  readonly state: string
}

/** What a member says of itself, and of each log what its leader knows of the others. */
export interface ClusterView extends Omit<MemberStatus, 'logs' | 'members'> {
  readonly members: readonly MemberView[]
  /** Of each log, `followers` is undefined where its leader was not reached. */
  readonly logs: readonly LogView[]
}

export interface LogView extends Omit<LogStatus, 'followers'> {
  readonly followers: readonly FollowerStatus[] | undefined
}

/** Asks a member, or that at an address, and the leaders of the logs that it does not lead. Rejects as a request does. */
export async function look(asking: Asking, address?: string): Promise<ClusterView> {
  const command = { do: 'status' } as const
  const own = statusOf(await (address ? asking.at(address, command) : asking.any(command)))
  const { members } = own
  const leaders = new Set(own.logs.map(({ leader }) => leader))
  const statuses = new Map<number, MemberStatus>([[own.id, own]])
  await Promise.all(
    members.map(async ({ id, address }) => {
      if (id === own.id || !leaders.has(id)) return
      const answer = await asking.at(address, { do: 'status' }).catch(() => undefined)
      if (answer !== undefined) statuses.set(id, statusOf(answer))
    }),
  )
  const logs = own.logs.map((log) => {
    const led = statuses.get(log.leader ?? 0)?.logs.find(({ id }) => id === log.id)
    return { ...log, followers: led?.role === 'leader' ? led.followers : undefined }
  })
  return { ...own, members, logs }
}

/** Throws UNAVAILABLE for what is no status. */
export function statusOf(answer: unknown): MemberStatus {
  const status = answer as Partial<MemberStatus> | null
  if (Array.isArray(status?.logs) && Array.isArray(status.peers)) return status as MemberStatus
  throw new TidemarkError('UNAVAILABLE', 'the member has answered something else than its status')
}
