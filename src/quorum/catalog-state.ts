import type { Retention } from '../log/index.ts'
import type { ReplicaId } from './core/index.ts'

// What the catalog knows: it is the same on every member, at the same offset of the catalog's log.

/** As many as keep a log through the loss of one. */
export const REPLICAS_DEFAULT = 3

/** What a log is made with. */
export interface LogDesign {
  readonly segmentBytes: number
  readonly maxEntryBytes: number
  readonly retention?: Retention | undefined
  /** How many members are to vote on it, as far as there are as many. */
  readonly replicas: number
}

/** Where the replicas of a log are to be. What is so, the log itself says: by its configuration. */
export interface Placement {
  /** Who votes on it. */
  readonly replicas: readonly ReplicaId[]
  /** Who has it to read from, and does not count. */
  readonly learners: readonly ReplicaId[]
  /** Who has it still, and is to be without it. */
  readonly leaving: readonly ReplicaId[]
  /** Who leads it when nothing speaks against it. */
  readonly preferred: ReplicaId
  /** Counts the placements: what was seen of an earlier one says nothing of this. */
  readonly version: number
}

export interface CatalogLog extends LogDesign {
  readonly id: number
  readonly name: string
  /** Who had it at first. */
  readonly voters: readonly ReplicaId[]
  /** Who has been without it since: a replica of theirs begins with nothing. */
  readonly strangers: readonly ReplicaId[]
  readonly placement: Placement
}

/**
 * - `joining`: it gets the catalog, and has no say yet.
 * - `member`: logs may be placed on it.
 * - `leaving`: its logs go elsewhere, and then it goes.
 */
export type MemberState = 'joining' | 'member' | 'leaving'

export interface CatalogMember {
  readonly id: ReplicaId
  /** `host:port`. */
  readonly address: string
  /** It says so itself; before, somebody else does. */
  readonly isOwnWord?: boolean | undefined
  readonly state: MemberState
  /** Of its folder, once it was met. One that comes back with another has lost its folder. */
  readonly incarnation?: string | undefined
}

export interface CatalogState {
  /** In order of their ids. Empty until the first leader has said who they are. */
  members: CatalogMember[]
  /** Who was removed. Their ids are never used again. */
  removed: ReplicaId[]
  logs: CatalogLog[]
  /** By member, logs that are to go from its disk, and may: only what is in here. */
  toDelete: Record<ReplicaId, number[]>
  /** Positions by `log/cursor`. */
  cursors: Record<string, number>
  /** Who is to lead the catalog; 0: whoever does. */
  preferred: ReplicaId
}

export function initialCatalog(): CatalogState {
  return { members: [], removed: [], logs: [], toDelete: {}, cursors: {}, preferred: 0 }
}

/** The log of that number; undefined if there is none, or none any more. */
export function logWithId({ logs }: Readonly<CatalogState>, id: number): CatalogLog | undefined {
  return logs.find((log) => log.id === id)
}

/** Who may have new replicas, in order. */
export function activeMembers({ members }: CatalogState): ReplicaId[] {
  return members.filter(({ state }) => state === 'member').map(({ id }) => id)
}

/** Everybody who is to have a replica of a log, or has one still. */
export function hostsOf({ replicas, learners, leaving }: Placement): ReplicaId[] {
  return [...replicas, ...learners, ...leaving]
}

/** More votes would make every command of the catalog slower, and save nothing that seven do not. */
const CATALOG_VOTERS_MAX = 7

/** Who votes on the catalog: who is to leave as long as a log is on it, since the catalog tells it what to do. */
export function catalogVoters(state: CatalogState): ReplicaId[] {
  return stayingMembers(state).slice(0, CATALOG_VOTERS_MAX)
}

/** Who has a part in anything, or is to have, in order. */
export function stayingMembers(state: CatalogState): ReplicaId[] {
  const stays = ({ id, state: its }: CatalogMember) => its === 'member' || isPlaced(state, id)
  return state.members.filter(stays).map(({ id }) => id)
}

/** True if a log is on the member, or is to be, or is not known to have left it. */
export function isPlaced({ logs }: CatalogState, member: ReplicaId): boolean {
  return logs.some(({ placement }) => hostsOf(placement).includes(member))
}
