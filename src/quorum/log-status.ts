import { TidemarkError } from '../base/index.ts'
import type { Hole, Members, ReplicaId, Role } from './core/index.ts'
import { NOBODY } from './core/index.ts'
import type { HostedLog } from './hosted-log.ts'

/** How far another replica is, as the leader knows. */
export interface FollowerStatus {
  readonly id: ReplicaId
  /** Everything below is on its disk. */
  readonly synced: number
  /** `replicate` if it takes what comes, `probe` while it is not known where it stands, `snapshot` while it begins anew. */
  readonly state: string
}

/** What the replica of a log on one member is like. */
export interface LogStatus {
  readonly name: string
  readonly id: number
  readonly role: Role | 'failed'
  readonly term: number
  readonly leader: ReplicaId | undefined
  readonly lowWaterMark: number
  readonly highWaterMark: number
  /** Behind the last entry, safe or not. */
  readonly endOffset: number
  /** Everything below is on this disk. */
  readonly synced: number
  readonly members: Members
  /** Entries that were here once and are damaged: they are got back from others. */
  readonly holes: readonly Hole[]
  /** How many damaged offsets were got back since the member started. */
  readonly repaired: number
  /** Of a leader only: all others. */
  readonly followers: readonly FollowerStatus[]
  /** Why the replica does not run: a code, or the name of the error. */
  readonly failure: string | undefined
}

export function statusOf(hosted: HostedLog): LogStatus {
  const { status, host, name, id, definition, failure } = hosted
  const log = hosted.hasOpened ? hosted.log : undefined
  const highWaterMark = log?.highWaterMark ?? 0
  const followers = [...(host?.progress ?? [])].map(([follower, { match, state }]) => {
    return { id: follower, synced: match, state }
  })
  return {
    name,
    id,
    role: status?.role ?? 'failed',
    term: status?.term ?? 0,
    leader: status && status.leader !== NOBODY ? status.leader : undefined,
    lowWaterMark: log?.lowWaterMark ?? 0,
    highWaterMark,
    endOffset: status?.last.mark ?? highWaterMark,
    synced: status?.stable ?? highWaterMark,
    members: status?.members ?? definition.members,
    holes: status?.holes ?? [],
    repaired: hosted.repaired,
    followers,
    failure: failure === undefined ? undefined : nameOf(failure),
  }
}

function nameOf(error: unknown): string {
  if (error instanceof TidemarkError) return error.code
  return error instanceof Error ? error.name : String(error)
}
