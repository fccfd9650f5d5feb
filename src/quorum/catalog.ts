import { TidemarkError } from '../base/index.ts'
import type { CommitLog, Retention } from '../log/index.ts'
import { StateMachine } from '../machine/index.ts'
import { membersOf, type ReplicaId } from './core/index.ts'
import type { LogDefinition } from './member-context.ts'

/** The catalog's own log. Others have the offset of the command that made them, which is above. */
export const CATALOG_ID = 0
export const CATALOG_NAME = '$catalog'

/** What a log is made with. */
export interface LogDesign {
  readonly segmentBytes: number
  readonly maxEntryBytes: number
  readonly retention?: Retention | undefined
}

export interface CatalogLog extends LogDesign {
  readonly id: number
  readonly name: string
  readonly voters: readonly ReplicaId[]
}

/** Where a cursor stands. */
export interface CursorPlace {
  readonly log: number
  readonly cursor: string
}

/** `commit` moves a cursor that there is, and never back; `make` makes one if there is none. */
export type CursorMove = 'make' | 'commit' | 'reset' | 'delete'

type Command =
  | {
      readonly kind: 'create'
      readonly name: string
      readonly voters: readonly ReplicaId[]
      readonly design: LogDesign
    }
  | { readonly kind: 'delete'; readonly id: number }
  | ({ readonly kind: 'move'; readonly how: CursorMove; readonly position: number } & CursorPlace)

interface State {
  readonly logs: CatalogLog[]
  /** Every log that a command has deleted: only what is in here may be removed from a disk. */
  readonly deleted: number[]
  /** Positions by `log/cursor`. */
  readonly cursors: Record<string, number>
}

/**
 * Which logs there are: a state machine on a log of its own, which every member has. A member does what the catalog
 * says and nothing because the catalog is silent: what it does not know of it leaves alone.
 */
export class Catalog {
  readonly #machine: StateMachine<State, Command, unknown>

  private constructor(machine: StateMachine<State, Command, unknown>) {
    this.#machine = machine
  }

  /** Builds the state of what has come to this member, without asking others. It follows what comes. */
  static async open(log: CommitLog<Buffer, Uint8Array | string>): Promise<Catalog> {
    const machine = await StateMachine.open<State, Command, unknown>(log, {
      initial: () => ({ logs: [], deleted: [], cursors: {} }),
      apply: (state, command, { offset }) => apply(state, command, offset),
      snapshot: { entries: 4096 },
    })
    return new Catalog(machine)
  }

  /** The logs there are, as far as is known here. */
  get logs(): readonly CatalogLog[] {
    return this.#machine.query(({ logs }) => logs)
  }

  isDeleted(id: number): boolean {
    return this.#machine.query(({ deleted }) => deleted.includes(id))
  }

  /** Resolves when something was applied since this was looked at, or the catalog is closed. */
  changed(from: number, signal: AbortSignal): Promise<void> {
    return this.#machine.nextApplied(from, signal)
  }

  /** Changes with everything that is applied. */
  get offset(): number {
    return this.#machine.offset
  }

  /** Resolves when everything is known here that anyone was told. */
  async latest(): Promise<void> {
    await this.#machine.read(() => undefined)
  }

  /** Makes a log, unless there is one of that name. Resolves with the one that there is then. */
  create(name: string, voters: readonly ReplicaId[], design: LogDesign): Promise<CatalogLog> {
    return this.#machine.execute({ kind: 'create', name, voters, design }) as Promise<CatalogLog>
  }

  async delete(id: number): Promise<void> {
    await this.#machine.execute({ kind: 'delete', id })
  }

  /** Where a cursor stands; undefined if there is none of that name. */
  position({ log, cursor }: CursorPlace): number | undefined {
    return this.#machine.query(({ cursors }) => cursors[`${log}/${cursor}`])
  }

  /** Resolves with where the cursor is then; undefined if there is none. */
  async move(place: CursorPlace, how: CursorMove, position: number): Promise<number | undefined> {
    const at = await this.#machine.execute({ kind: 'move', ...place, how, position })
    return (at as number | null | undefined) ?? undefined
  }

  close(): Promise<void> {
    return this.#machine.close()
  }
}

/** Two who make a log of one name at the same time get one log. */
function apply(state: State, command: Command, offset: number): unknown {
  switch (command.kind) {
    case 'create': {
      const known = state.logs.find(({ name }) => name === command.name)
      if (known) return known
      const { name, voters, design } = command
      // Offset 0 is the catalog's own id; a leader's first entry is there, so no command is.
      const log: CatalogLog = { id: offset, name, voters, ...design }
      state.logs.push(log)
      return log
    }
    case 'delete': {
      const at = state.logs.findIndex(({ id }) => id === command.id)
      if (at < 0) return undefined
      state.logs.splice(at, 1)
      state.deleted.push(command.id)
      for (const key of Object.keys(state.cursors)) {
        if (key.startsWith(`${command.id}/`)) delete state.cursors[key]
      }
      return undefined
    }
    case 'move':
      return move(state, command)
    default:
      throw new TidemarkError('UNSUPPORTED_VERSION', 'a command of a later version of the catalog')
  }
}

function move(
  { cursors, logs }: State,
  { log, cursor, how, position }: Extract<Command, { kind: 'move' }>,
): number | undefined {
  const key = `${log}/${cursor}`
  const known = cursors[key]
  if (how === 'delete') {
    delete cursors[key]
    return undefined
  }
  if (how === 'make' && known !== undefined) return known
  const isThere = known !== undefined || (how === 'make' && logs.some(({ id }) => id === log))
  if (!isThere) return undefined
  cursors[key] = how === 'commit' ? Math.max(known!, position) : position
  return cursors[key]
}

/** What a member hosts of a log of the catalog. */
export function definitionOf({ id, name, voters, ...design }: CatalogLog): LogDefinition {
  const { segmentBytes, maxEntryBytes, retention } = design
  return { id, name, members: membersOf(voters), segmentBytes, maxEntryBytes, retention }
}
