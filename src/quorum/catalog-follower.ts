import { join } from 'node:path'
import type { TidemarkError } from '../base/index.ts'
import { deleteLog } from '../log/index.ts'
import { Catalog, type CatalogLog, definitionOf } from './catalog.ts'
import { HostedLog } from './hosted-log.ts'
import type { HostedLogs } from './hosted-logs.ts'
import { localFirst } from './local-first.ts'
import type { MemberContext } from './member-context.ts'
import { ReplicatedLog } from './replicated-log.ts'

const REOPEN_MS = 200
/** Each may wait for the disk. */
const OPENED_AT_ONCE = 32

/** Does on this member what the catalog says: opens a replica of every log, and deletes what was deleted. */
export class CatalogFollower {
  readonly #context: MemberContext
  readonly #logs: HostedLogs
  readonly #log: ReplicatedLog<Buffer, Uint8Array | string>
  readonly #stop = new AbortController()
  #catalog: Catalog
  #turn: Promise<void> = Promise.resolve()
  #following: Promise<void> = Promise.resolve()

  private constructor(
    context: MemberContext,
    logs: HostedLogs,
    log: ReplicatedLog<Buffer, Uint8Array | string>,
    catalog: Catalog,
  ) {
    this.#context = context
    this.#logs = logs
    this.#log = log
    this.#catalog = catalog
  }

  /** Opens what the catalog lists as far as it has come here, and follows it from then on. */
  static async open(
    context: MemberContext,
    logs: HostedLogs,
    hosted: HostedLog,
  ): Promise<CatalogFollower> {
    const log = new ReplicatedLog<Buffer, Uint8Array | string>(context, hosted, undefined)
    const catalog = await Catalog.open(localFirst(log))
    const follower = new CatalogFollower(context, logs, log, catalog)
    await follower.settle()
    await follower.#removeLeftOver()
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
    await this.#catalog.close().catch(() => {})
    await this.#log.close()
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
    const catalog = this.#catalog
    const missing = catalog.logs.filter(({ id }) => !this.#logs.get(id))
    for (let i = 0; i < missing.length; i += OPENED_AT_ONCE) {
      const some = missing.slice(i, i + OPENED_AT_ONCE)
      await Promise.all(some.map((log) => this.#add(log)))
    }
    for (const hosted of this.#logs.all) {
      if (catalog.isDeleted(hosted.id)) await this.#remove(hosted)
    }
  }

  async #add(log: CatalogLog): Promise<void> {
    if (!log.voters.includes(this.#context.id)) return
    try {
      this.#logs.add(await HostedLog.open(this.#context, definitionOf(log)))
      this.#context.tell('created', { log: log.name })
    } catch (error) {
      // It keeps the others from nothing. It is tried again with the next change of the catalog.
      if (!this.#logs.failures.has(log.id)) {
        this.#context.tell('failed', { log: log.name, error, retryMs: undefined })
      }
      this.#logs.failures.set(log.id, error)
    }
  }

  async #remove(hosted: HostedLog): Promise<void> {
    try {
      await hosted.delete()
    } catch (error) {
      // What is left goes with the next start.
      this.#context.tell('failed', { log: hosted.name, error, retryMs: undefined })
    }
    this.#logs.remove(hosted)
    this.#context.tell('deleted', { log: hosted.name })
  }

  /** What was deleted while this member was away, and is still on its disk. */
  async #removeLeftOver(): Promise<void> {
    const { dir, files, lock, hardStates } = this.#context
    const folder = join(dir, 'logs')
    for (const name of files.existsSync(folder) ? files.listSync(folder) : []) {
      const id = Number(name)
      // Only what a command has deleted: not what is merely unknown.
      if (!Number.isSafeInteger(id) || !this.#catalog.isDeleted(id) || this.#logs.get(id)) continue
      // One that was half deleted is deleted to the end.
      await deleteLog(join(folder, name), { files, lock }).catch((error: TidemarkError) => {
        if (error.code !== 'NOT_FOUND') throw error
      })
      await hardStates.remove(name)
    }
  }
}
