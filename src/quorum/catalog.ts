import type { CommitLog } from '../log/index.ts'
import { StateMachine } from '../machine/index.ts'
import {
  applyCatalog,
  type CatalogCommand,
  type CursorMove,
  type CursorPlace,
} from './catalog-commands.ts'
import {
  type CatalogLog,
  type CatalogMember,
  type CatalogState,
  initialCatalog,
  type LogDesign,
  logWithId,
} from './catalog-state.ts'
import type { ReplicaId } from './core/index.ts'

/** The catalog's own log. Others have the offset of the command that made them, which is above. */
export const CATALOG_ID = 0
export const CATALOG_NAME = '$catalog'

/**
 * Which members and logs there are, and where the logs are to be: a state machine on a log of its own, which every
 * member has. A member does what the catalog says and nothing because the catalog is silent: what it does not know of
 * it leaves alone.
 */
export class Catalog {
  readonly #machine: StateMachine<CatalogState, CatalogCommand, unknown>
  #state: Readonly<CatalogState> = initialCatalog()

  private constructor(machine: StateMachine<CatalogState, CatalogCommand, unknown>) {
    this.#machine = machine
  }

  /** Builds the state of what has come to this member, without asking others. It follows what comes. */
  static async open(log: CommitLog<Buffer, Uint8Array | string>): Promise<Catalog> {
    const machine = await StateMachine.open<CatalogState, CatalogCommand, unknown>(log, {
      initial: initialCatalog,
      apply: (state, command, { offset }) => applyCatalog(state, command, offset),
      snapshot: { entries: 4096 },
    })
    return new Catalog(machine)
  }

  /** What is known here, or was known last. Not to be changed. */
  get state(): Readonly<CatalogState> {
    try {
      this.#state = this.#machine.query((state) => state)
    } catch {
      // The machine is closed, or its log has failed: whoever asks what is known is told what was.
    }
    return this.#state
  }

  get logs(): readonly CatalogLog[] {
    return this.state.logs
  }

  get members(): readonly CatalogMember[] {
    return this.state.members
  }

  named(name: string): CatalogLog | undefined {
    return this.logs.find((log) => log.name === name)
  }

  withId(id: number): CatalogLog | undefined {
    return logWithId(this.state, id)
  }

  /** Logs that a member is to delete, and may. */
  toDelete(member: ReplicaId): readonly number[] {
    return this.state.toDelete[member] ?? []
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

  /** Resolves with what the command came to once it is executed here; rejects with what it was refused for. */
  execute(command: CatalogCommand): Promise<unknown> {
    return this.#machine.execute(command)
  }

  /** Says who the cluster was made with, unless somebody has: before that nothing can be said of members. */
  async begin(founders: () => readonly Omit<CatalogMember, 'state'>[]): Promise<void> {
    if (this.members.length > 0) return
    await this.execute({ kind: 'begin', members: founders() })
  }

  /** Makes a log, unless there is one of that name. Resolves with the one that there is then. */
  create(
    name: string,
    voters: readonly ReplicaId[],
    design: LogDesign,
    by: ReplicaId,
  ): Promise<CatalogLog> {
    return this.execute({ kind: 'create', name, voters, design, by }) as Promise<CatalogLog>
  }

  /** Where a cursor stands; undefined if there is none of that name. */
  position({ log, cursor }: CursorPlace): number | undefined {
    return this.state.cursors[`${log}/${cursor}`]
  }

  /** Resolves with where the cursor is then; undefined if there is none. */
  async move(place: CursorPlace, how: CursorMove, position: number): Promise<number | undefined> {
    const at = await this.execute({ kind: 'move', ...place, how, position })
    return (at as number | null | undefined) ?? undefined
  }

  close(): Promise<void> {
    return this.#machine.close()
  }
}
