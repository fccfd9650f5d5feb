// What a cluster has acknowledged, entry by entry, and whether each member still has it.
import { createHash } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { Draws } from '#dist/testing/index.js'
import { MemberError } from '../kill/quorum/process-handle.ts'
import type { Cluster, Place } from './cluster.ts'
import { LOG_NAMES, type LogName } from './logs.ts'
import { digestOf } from './texts.ts'

const WITHIN_MS = 30_000
const AGAIN_MS = 20
const BATCH_MAX = 3
/** Some entries are of some KiB. */
const WIDE_ONE_IN = 4
/** Codes of appends that are certainly not in the log, nor ever will be. */
const REFUSED = ['UNAVAILABLE', 'OVERLOADED', 'DOWN', 'NOT_OPEN']

/** Asks until there is an answer, for a while; then rejects with the last error. */
export async function insist<T>(ask: () => Promise<T>): Promise<T> {
  const end = performance.now() + WITHIN_MS
  for (;;) {
    try {
      return await ask()
    } catch (error) {
      if (!(error instanceof MemberError) || performance.now() > end) throw error
      await delay(AGAIN_MS)
    }
  }
}

export class Acknowledged {
  readonly #cluster: Cluster
  readonly #draws: Draws
  readonly #byLog = new Map<LogName, Map<number, string>>()
  /** Names of entries that may be there or not. */
  readonly #unknown = new Set<string>()
  #number = 0

  constructor(cluster: Cluster, draws: Draws) {
    this.#cluster = cluster
    this.#draws = draws
    for (const log of LOG_NAMES) this.#byLog.set(log, new Map())
  }

  get count(): number {
    return [...this.#byLog.values()].reduce((sum, entries) => sum + entries.size, 0)
  }

  /** By offset, in no order. */
  of(log: LogName): ReadonlyMap<number, string> {
    return this.#byLog.get(log)!
  }

  isUnknown(name: string): boolean {
    return this.#unknown.has(name)
  }

  /** Appends a batch to a log by way of any member. Rejects if nobody takes it within a while. */
  append(log: LogName): Promise<void> {
    return insist(() => this.appendOnce(log))
  }

  /** The same, once. Rejects with a {@link MemberError}. */
  async appendOnce(log: LogName): Promise<void> {
    const names = Array.from({ length: this.#draws.integer(1, BATCH_MAX) }, () => {
      return `${this.#draws.chance(1 / WIDE_ONE_IN) ? 'w' : 'n'}${this.#number++}`
    })
    const { process } = this.#draws.pick(this.#cluster.places.filter((one) => one.process.isReady))
    try {
      const { first } = await process.ask('append', { log, names })
      for (const [i, name] of names.entries()) this.#byLog.get(log)!.set(first + i, name)
    } catch (error) {
      const isRefused = error instanceof MemberError && REFUSED.includes(error.code)
      if (!isRefused) for (const name of names) this.#unknown.add(name)
      throw error
    }
  }

  /** What is wrong with what these members show. */
  async differences(ids: readonly number[]): Promise<string[]> {
    const found = await Promise.all(
      ids.flatMap((id) =>
        LOG_NAMES.map((log) => this.#differencesOf(this.#cluster.place(id), log)),
      ),
    )
    return found.flat()
  }

  async #differencesOf({ id, process }: Place, log: LogName): Promise<string[]> {
    try {
      const { from, hash } = await insist(() => process.ask('digest', { log }))
      if (hash === this.#hashOf(log, from)) return []
      const max = Number.MAX_SAFE_INTEGER
      const { from: begin, entries } = await insist(() => {
        return process.ask('read', { log, from: 0, max })
      })
      return this.compare(log, entries, begin).map((text) => `member ${id}: ${text}`)
    } catch (error) {
      return [`member ${id}: ${log} cannot be read: ${error}`]
    }
  }

  /** What is wrong with entries that a member has shown of a log, which are all from `from` on, below `to`. */
  compare(
    log: LogName,
    entries: readonly (readonly [number, string])[],
    from: number,
    to: number = Number.POSITIVE_INFINITY,
  ): string[] {
    const known = this.#byLog.get(log)!
    const shown = new Map(entries)
    const faults: string[] = []
    for (const [offset, name] of entries) {
      // All others must have it from now on.
      if (!known.has(offset) && this.#unknown.delete(name)) known.set(offset, name)
      const expected = known.get(offset) ?? 'nothing that anyone has appended'
      if (expected !== name) faults.push(`${log}: ${name} at ${offset}, where ${expected} is`)
    }
    for (const [offset, name] of known) {
      if (offset < from || offset >= to || shown.has(offset)) continue
      faults.push(`${log}: ${name} is not there, which was acknowledged at ${offset}`)
    }
    return faults
  }

  #hashOf(log: LogName, from: number): string {
    const hash = createHash('sha256')
    const entries = [...this.#byLog.get(log)!].filter(([offset]) => offset >= from)
    for (const [offset, name] of entries.sort(([a], [b]) => a - b)) {
      hash.update(digestOf(offset, name))
    }
    return hash.digest('hex')
  }
}
