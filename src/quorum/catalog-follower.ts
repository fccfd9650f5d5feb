import { join } from 'node:path'
import { TidemarkError } from '../base/index.ts'
import { deleteLog, Log } from '../log/index.ts'
import { Catalog } from './catalog.ts'
import { type CatalogLog, type CatalogState, hostsOf } from './catalog-state.ts'
import { membersOf, NO_MEMBERS, type Point, type ReplicaId } from './core/index.ts'
import { HostedLog } from './hosted-log.ts'
import type { HostedLogs } from './hosted-logs.ts'
import { hasOnlyItsWord, lastWord } from './last-word.ts'
import { localFirst } from './local-first.ts'
import type { LogDefinition, MemberContext } from './member-context.ts'
import { ReplicatedLog } from './replicated-log.ts'
import { endOf } from './stored-log.ts'

const REOPEN_MS = 200
/** Each may wait for the disk. */
const OPENED_AT_ONCE = 32

/** Does on this member what the catalog says: opens the replicas that are to be here, and deletes those that are not. */
export class CatalogFollower {
  readonly #context: MemberContext
  readonly #logs: HostedLogs
  readonly #log: ReplicatedLog<Buffer, Uint8Array | string>
  readonly #stop = new AbortController()
  readonly #onState: (state: Readonly<CatalogState>) => void
  /** What was deleted here, and is not known to be by the cluster; and whether a last word is kept on it. */
  readonly #removed = new Map<number, boolean>()
  #catalog: Catalog
  #turn: Promise<void> = Promise.resolve()
  #following: Promise<void> = Promise.resolve()

  private constructor(
    context: MemberContext,
    logs: HostedLogs,
    log: ReplicatedLog<Buffer, Uint8Array | string>,
    catalog: Catalog,
    onState: (state: Readonly<CatalogState>) => void,
  ) {
    this.#onState = onState
    this.#context = context
    this.#logs = logs
    this.#log = log
    this.#catalog = catalog
  }

  /**
   * Opens what the catalog lists as far as it has come here, and follows it from then on. `onState` is called with
   * what it says whenever that may have changed.
   */
  static async open(
    context: MemberContext,
    logs: HostedLogs,
    hosted: HostedLog,
    onState: (state: Readonly<CatalogState>) => void,
  ): Promise<CatalogFollower> {
    const log = new ReplicatedLog<Buffer, Uint8Array | string>(context, hosted, undefined)
    const catalog = await mendedCatalog(context, log)
    const follower = new CatalogFollower(context, logs, log, catalog, onState)
    await follower.settle()
    follower.#following = follower.#follow()
    return follower
  }

  readonly catalog = (): Catalog => this.#catalog

  /** Resolves when this member has done everything that the catalog says now. Rejects if it could not. */
  readonly settle = (): Promise<void> => {
    const turn = this.#turn.then(() => this.#settle())
    this.#turn = turn.catch(() => {})
    return turn
  }

  async close(): Promise<void> {
    this.#stop.abort()
    await this.#following
    await this.#turn
    // Its end is the machine's: a command that is safe elsewhere may never come here, and is not waited for.
    await this.#log.close()
    await this.#catalog.close().catch(() => {})
  }

  async #follow(): Promise<void> {
    const { signal } = this.#stop
    while (!signal.aborted) {
      try {
        const { offset } = this.#catalog
        await this.settle()
        await this.#catalog.changed(offset, signal)
        // It has failed if nothing was applied: that of the next life goes on.
        if (this.#catalog.offset === offset && !signal.aborted) await this.#reopen()
      } catch {
        // The replica of the catalog has told why it does not run.
        await new Promise<void>((resolve) => this.#context.clock.after(REOPEN_MS, resolve))
        await this.#reopen().catch(() => {})
      }
    }
  }

  /** The replica of the catalog itself has failed, and with it the machine that has read from it. */
  async #reopen(): Promise<void> {
    if (this.#stop.signal.aborted) return
    const next = await Catalog.open(localFirst(this.#log))
    const before = this.#catalog
    this.#catalog = next
    await before.close().catch(() => {})
  }

  async #settle(): Promise<void> {
    if (this.#stop.signal.aborted) return
    const { id } = this.#context
    const catalog = this.#catalog
    this.#onState(catalog.state)
    const isMissing = (log: CatalogLog) =>
      hostsOf(log.placement).includes(id) && !this.#logs.get(log.id)
    const missing = catalog.logs.filter(isMissing)
    for (let i = 0; i < missing.length; i += OPENED_AT_ONCE) {
      const some = missing.slice(i, i + OPENED_AT_ONCE)
      await Promise.all(some.map((log) => this.#add(log)))
    }
    for (const log of catalog.toDelete(id)) if (!this.#isUsed(log)) await this.#remove(log)
  }

  /** A log that programs use here, and that has gone to other members, is kept to be read from. */
  #isUsed(id: number): boolean {
    const isThere = this.#catalog.withId(id) !== undefined
    return isThere && (this.#logs.get(id)?.users.size ?? 0) > 0
  }

  async #add(log: CatalogLog): Promise<void> {
    try {
      const definition = definitionOf(log, this.#context.id)
      this.#logs.add(await HostedLog.open(this.#context, definition))
      this.#context.tell('created', { log: log.name })
    } catch (error) {
      // It keeps the others from nothing. It is tried again after a while.
      if (!this.#logs.failures.has(log.id)) {
        this.#context.tell('failed', { log: log.name, error, retryMs: undefined })
      }
      this.#logs.failures.set(log.id, error)
    }
  }

  /** Removes what a command says may go: not what is merely unknown. */
  async #remove(id: number): Promise<void> {
    const isThereStill = this.#catalog.withId(id) !== undefined
    if (this.#removed.get(id) === isThereStill) return
    const hosted = this.#logs.get(id)
    const name = hosted?.name ?? String(id)
    try {
      if (hosted) await hosted.delete(isThereStill)
      else await this.#removeLeftOver(id, isThereStill)
      this.#removed.set(id, isThereStill)
    } catch (error) {
      // It is tried again, at the latest after the next start.
      this.#context.tell('failed', { log: name, error, retryMs: undefined })
    }
    this.#logs.failures.delete(id)
    if (!hosted) return
    this.#logs.remove(hosted)
    this.#context.tell('deleted', { log: name })
  }

  /** What was to go while this member was away, and is still on its disk; or was half deleted. */
  async #removeLeftOver(id: number, isThereStill: boolean): Promise<void> {
    const { dir, files, lock, hardStates } = this.#context
    const folder = join(dir, 'logs', String(id))
    const key = String(id)
    const hard = hardStates.get(key)
    if (isThereStill && hard && !hasOnlyItsWord(hard)) {
      await hardStates.save(key, lastWord(hard, await this.#endIn(folder)))
    }
    await deleteLog(folder, { files, lock }).catch((error: TidemarkError) => {
      if (error.code !== 'NOT_FOUND') throw error
    })
    if (!isThereStill) await hardStates.remove(key)
  }

  /** Where the log in a folder ends that is to be removed; undefined if it does not say. */
  async #endIn(folder: string): Promise<Point | undefined> {
    const { files, lock, clock } = this.#context
    if (!Log.isIn(folder, files)) return undefined
    try {
      const log = await Log.open(folder, { replica: true, files, lock, clock })
      await log.close()
      return endOf(log)
    } catch (error) {
      if (error instanceof TidemarkError && error.code === 'CORRUPT') return undefined
      throw error
    }
  }

  /** Tells the cluster what is deleted here and what is kept, and tries again what failed. */
  async catchUp(): Promise<void> {
    const { id: member } = this.#context
    const due = this.#catalog.toDelete(member)
    if (due.length === 0 && this.#logs.failures.size === 0) return
    const logs = due.filter((id) => this.#removed.has(id))
    if (logs.length > 0) {
      await this.#catalog.execute({ kind: 'gone', member, logs })
      for (const id of logs) this.#removed.delete(id)
    }
    for (const id of due.filter((each) => this.#isUsed(each))) {
      const isKept = await this.#catalog.execute({ kind: 'follow', id, member, keeps: true })
      if (!isKept) this.#logs.get(id)?.users.clear()
    }
    await this.settle()
  }
}

/** What a member hosts of a log of the catalog. */
export function definitionOf(log: CatalogLog, member: ReplicaId): LogDefinition {
  const { id, name, segmentBytes, maxEntryBytes, retention, voters, strangers, placement } = log
  const isFounder = voters.includes(member) && !strangers.includes(member)
  const members = isFounder ? membersOf(voters) : NO_MEMBERS
  const first = placement.preferred
  return { id, name, members, first, segmentBytes, maxEntryBytes, retention }
}

/**
 * What is damaged of the catalog is got back from others, so they are given time to come. Rejects with CORRUPT if they
 * do not.
 */
async function mendedCatalog(
  { clock, settings }: MemberContext,
  log: ReplicatedLog<Buffer, Uint8Array | string>,
): Promise<Catalog> {
  const end = clock.monotonic() + settings.timeoutMs
  for (;;) {
    try {
      return await Catalog.open(localFirst(log))
    } catch (error) {
      const isDamaged = error instanceof TidemarkError && error.code === 'CORRUPT'
      if (!isDamaged || clock.monotonic() >= end) throw error
      await new Promise<void>((resolve) => clock.after(REOPEN_MS, resolve, true))
    }
  }
}
