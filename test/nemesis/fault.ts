import type { Draws } from '#dist/testing/index.js'
import type { Cluster } from './cluster.ts'

/** What a fault strikes. */
export interface Field {
  readonly cluster: Cluster
  readonly draws: Draws
}

/** A fault that has struck. */
export interface Strike {
  /** What it did, in a few words. */
  readonly text: string
  /** Members that cannot be counted on meanwhile. */
  readonly harmed: readonly number[]
  /** Ends it; those that were harmed are whole when it resolves, or will be by themselves. */
  heal(): Promise<void>
}

export interface Fault {
  readonly name: string
  readonly text: string
  /** Why it strikes only if it is asked for; undefined: it does. */
  readonly offBecause?: string
  /** Undefined if it cannot strike now. */
  strike(field: Field): Promise<Strike | undefined>
}

/** Takes members for one fault, so that no other strikes them: at most so many of those that are free, in random order. */
export function claim({ cluster, draws }: Field, by: string, most: number): number[] {
  const ids = draws.shuffle(cluster.free).slice(0, most)
  for (const id of ids) cluster.place(id).claim = by
  return ids
}

export function release(cluster: Cluster, ids: readonly number[]): void {
  for (const id of ids) if (cluster.ids.includes(id)) cluster.place(id).claim = undefined
}

/** One as a rule, now and then more, now and then all. */
export function someOf({ cluster, draws }: Field): number {
  const all = cluster.ids.length
  return draws.pick([1, 1, 1, 2, draws.integer(1, all)])
}
