import { TidemarkError } from '../base/index.ts'
import {
  activeMembers,
  type CatalogLog,
  type CatalogMember,
  type CatalogState,
  catalogVoters,
  hostsOf,
  isPlaced,
  type LogDesign,
  logWithId,
} from './catalog-state.ts'
import type { ReplicaId } from './core/index.ts'
import { move, placeAll, placeNew, setPlacement } from './placements.ts'

/** Where a cursor stands. */
export interface CursorPlace {
  readonly log: number
  readonly cursor: string
}

/** `commit` moves a cursor that there is, and never back; `make` makes one if there is none. */
export type CursorMove = 'make' | 'commit' | 'reset' | 'delete'

export type CatalogCommand =
  /** Who the cluster was made with: the first that says so counts. */
  | { readonly kind: 'begin'; readonly members: readonly Omit<CatalogMember, 'state'>[] }
  | {
      readonly kind: 'create'
      readonly name: string
      readonly voters: readonly ReplicaId[]
      readonly design: LogDesign
      readonly by: ReplicaId
    }
  | { readonly kind: 'delete'; readonly id: number }
  /** The configuration of a log, committed, is without those who were to leave it. */
  | {
      readonly kind: 'left'
      readonly id: number
      readonly members: readonly ReplicaId[]
      readonly version: number
    }
  /** A member has deleted what it was to delete. */
  | { readonly kind: 'gone'; readonly member: ReplicaId; readonly logs: readonly number[] }
  /** A member wants to read a log that it has no replica of; `keeps`: or was to delete one, and has not. */
  | {
      readonly kind: 'follow'
      readonly id: number
      readonly member: ReplicaId
      readonly keeps?: boolean
    }
  /** Who is to lead a log, or, with id 0, the catalog. */
  | { readonly kind: 'prefer'; readonly id: number; readonly member: ReplicaId }
  | { readonly kind: 'add-member'; readonly id: ReplicaId; readonly address: string }
  | { readonly kind: 'remove-member'; readonly id: ReplicaId }
  /** It has the catalog now, and a vote on it if it is to have one. */
  | { readonly kind: 'joined'; readonly id: ReplicaId }
  /** It has no part in anything any more. */
  | { readonly kind: 'removed'; readonly id: ReplicaId }
  | { readonly kind: 'met'; readonly id: ReplicaId; readonly incarnation: string }
  | { readonly kind: 'moved'; readonly id: ReplicaId; readonly address: string }
  | ({ readonly kind: 'move'; readonly how: CursorMove; readonly position: number } & CursorPlace)

type CommandOf<K extends CatalogCommand['kind']> = Extract<CatalogCommand, { readonly kind: K }>

const APPLY: {
  readonly [K in CatalogCommand['kind']]: (
    state: CatalogState,
    command: CommandOf<K>,
    offset: number,
  ) => unknown
} = {
  begin,
  create,
  delete: deleteOne,
  left,
  gone,
  follow,
  prefer,
  'add-member': addMember,
  'remove-member': removeMember,
  joined,
  removed,
  met,
  moved,
  move: moveCursor,
}

/** Executes a command. Throws what whoever asked for it is told, having changed nothing. */
export function applyCatalog(
  state: CatalogState,
  command: CatalogCommand,
  offset: number,
): unknown {
  if (!Object.hasOwn(APPLY, command.kind)) {
    throw new TidemarkError('UNSUPPORTED_VERSION', 'a command of a later version of the catalog')
  }
  const apply = APPLY[command.kind] as (
    state: CatalogState,
    command: CatalogCommand,
    offset: number,
  ) => unknown
  return apply(state, command, offset)
}

function begin(state: CatalogState, { members }: CommandOf<'begin'>): void {
  if (state.members.length > 0) return
  state.members = members.map((member) => ({ ...member, state: 'member' }))
}

/** Two who make a log of one name at the same time get one log. */
function create(
  state: CatalogState,
  { name, voters, design, by }: CommandOf<'create'>,
  offset: number,
): CatalogLog {
  const known = state.logs.find((log) => log.name === name)
  if (known) return known
  const active = activeMembers(state)
  const placement = placeNew(state, active.length > 0 ? active : voters, by, design.replicas)
  // Offset 0 is the catalog's own id; a leader's first entry is there, so no command is.
  const first = { id: offset, name, voters: placement.replicas, strangers: [], placement }
  const log: CatalogLog = { ...design, ...first }
  state.logs.push(log)
  return log
}

function deleteOne(state: CatalogState, { id }: CommandOf<'delete'>): void {
  const at = state.logs.findIndex((log) => log.id === id)
  if (at < 0) return
  const [log] = state.logs.splice(at, 1)
  // Who was without it before has kept its last word on it, which nobody will ask for any more.
  const before = log!.strangers.filter((id) => state.members.some((member) => member.id === id))
  for (const member of new Set([...hostsOf(log!.placement), ...before])) {
    mustDelete(state, member, id)
  }
  for (const key of Object.keys(state.cursors)) {
    if (key.startsWith(`${id}/`)) delete state.cursors[key]
  }
}

function mustDelete({ toDelete }: CatalogState, member: ReplicaId, log: number): void {
  const logs = toDelete[member] ?? []
  if (!logs.includes(log)) toDelete[member] = [...logs, log]
}

function left(state: CatalogState, { id, members, version }: CommandOf<'left'>): void {
  const log = logWithId(state, id)
  // Of another placement: who was out of that may be in this.
  if (log?.placement.version !== version) return
  const { leaving } = log.placement
  const gone = leaving.filter((member) => members.includes(member))
  const rest = leaving.filter((member) => !members.includes(member))
  const strangers = [...new Set([...log.strangers, ...gone])]
  setPlacement(state, { ...log, strangers }, { ...log.placement, leaving: rest })
  for (const member of gone) mustDelete(state, member, id)
  placeAll(state)
}

function gone(state: CatalogState, { member, logs }: CommandOf<'gone'>): void {
  hasDeleted(state, member, logs)
  placeAll(state)
}

function hasDeleted({ toDelete }: CatalogState, member: ReplicaId, logs: readonly number[]): void {
  const rest = (toDelete[member] ?? []).filter((id) => !logs.includes(id))
  if (rest.length > 0) toDelete[member] = rest
  else delete toDelete[member]
}

/** True if the member has a replica from now on, or had one. */
function follow(state: CatalogState, { id, member, keeps }: CommandOf<'follow'>): boolean {
  const log = logWithId(state, id)
  if (!log || !activeMembers(state).includes(member)) return false
  const { replicas, learners } = log.placement
  if (replicas.includes(member) || learners.includes(member)) return true
  if (state.toDelete[member]?.includes(id)) {
    // Whoever is to delete one says itself that it does not: nobody else knows.
    if (!keeps) return false
    hasDeleted(state, member, [id])
  }
  move(state, log, replicas, [...learners, member])
  return true
}

function prefer(state: CatalogState, { id, member }: CommandOf<'prefer'>): void {
  if (id === 0) {
    const votes = catalogVoters(state)
    if (!votes.includes(known(state, member).id)) {
      throw invalid(`member ${member} has no vote on the catalog; members ${votes.join(', ')} have`)
    }
    state.preferred = member
    return
  }
  const log = logWithId(state, id)
  if (!log) throw new TidemarkError('NOT_FOUND', 'there is no such log any more')
  if (!log.placement.replicas.includes(member)) {
    const { replicas } = log.placement
    throw invalid(
      `member ${member} has no vote in ${log.name}; members ${replicas.join(', ')} have`,
    )
  }
  setPlacement(state, log, { ...log.placement, preferred: member })
}

function known({ members, removed }: CatalogState, id: ReplicaId): CatalogMember {
  const member = members.find((each) => each.id === id)
  if (member) return member
  const why = removed.includes(id) ? `member ${id} was removed` : `there is no member ${id}`
  throw new TidemarkError('NOT_FOUND', why)
}

function addMember(state: CatalogState, { id, address }: CommandOf<'add-member'>): void {
  if (state.removed.includes(id)) {
    throw invalid(`member ${id} was removed; a new member needs an id that none had`)
  }
  // Nobody else could be a member any more.
  if (state.members.length === 0) throw invalid('nobody has said who the members are')
  const there = state.members.find((member) => member.id === id)
  if (there?.state === 'leaving') throw invalid(`member ${id} is being removed`)
  if (there) {
    // One that has said itself where it is may have spelled it otherwise.
    if (there.address !== address && !there.isOwnWord) {
      throw invalid(`there is a member ${id} already, at ${there.address}`)
    }
    return
  }
  const same = state.members.find((member) => member.address === address)
  if (same) throw invalid(`member ${same.id} is at ${address} already`)
  const members: CatalogMember[] = [...state.members, { id, address, state: 'joining' }]
  state.members = members.sort((a, b) => a.id - b.id)
}

function removeMember(state: CatalogState, { id }: CommandOf<'remove-member'>): void {
  if (state.removed.includes(id)) return
  known(state, id)
  if (!activeMembers(state).some((other) => other !== id)) {
    throw invalid(`member ${id} cannot be removed: no other is left that could have the logs`)
  }
  change(state, id, { state: 'leaving' })
  placeAll(state, true)
}

function joined(state: CatalogState, { id }: CommandOf<'joined'>): void {
  if (state.members.find((member) => member.id === id)?.state !== 'joining') return
  change(state, id, { state: 'member' })
  placeAll(state, true)
}

function removed(state: CatalogState, { id }: CommandOf<'removed'>): void {
  const member = state.members.find((each) => each.id === id)
  if (member?.state !== 'leaving') return
  if (isPlaced(state, id)) return
  state.members = state.members.filter((each) => each.id !== id)
  state.removed.push(id)
  delete state.toDelete[id]
  if (state.preferred === id) state.preferred = 0
}

function met(state: CatalogState, { id, incarnation }: CommandOf<'met'>): void {
  const member = state.members.find((each) => each.id === id)
  if (member?.incarnation === undefined) change(state, id, { incarnation })
}

function moved(state: CatalogState, { id, address }: CommandOf<'moved'>): void {
  change(state, id, { address, isOwnWord: true })
}

function change(state: CatalogState, id: ReplicaId, to: Partial<CatalogMember>): void {
  state.members = state.members.map((each) => (each.id === id ? { ...each, ...to } : each))
}

function moveCursor(
  state: CatalogState,
  { log, cursor, how, position }: CommandOf<'move'>,
): number | undefined {
  const { cursors } = state
  const key = `${log}/${cursor}`
  const at = cursors[key]
  if (how === 'delete') {
    delete cursors[key]
    return undefined
  }
  if (how === 'make' && at !== undefined) return at
  const isThere = at !== undefined || (how === 'make' && logWithId(state, log) !== undefined)
  if (!isThere) return undefined
  cursors[key] = how === 'commit' ? Math.max(at!, position) : position
  return cursors[key]
}

function invalid(text: string): TidemarkError {
  return new TidemarkError('INVALID_ARGUMENT', text)
}
