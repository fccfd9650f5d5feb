import { invariant } from '../../base/index.ts'
import type { ReplicaEntry, StoredEntry } from '../../log/index.ts'
import type { Batch } from '../core/index.ts'
import { decodeMembers, TYPE_LEADER, TYPE_MEMBERS } from './own-entries.ts'

// A batch of the core carries its entries as they will lie in the store, but for the term, which is its own.

/** An entry of a batch that is not stored yet. */
export type BatchEntry = Omit<ReplicaEntry, 'term' | 'more'>

/** What an entry takes in a message and in a store beside its data. */
const ENTRY_BYTES = 40

export function bytesOf(entries: readonly BatchEntry[]): number {
  return entries.reduce((sum, { data }) => sum + data.length + ENTRY_BYTES, 0)
}

export function offsetsOf(entries: readonly BatchEntry[]): number {
  return entries.reduce((sum, { count }) => sum + count, 0)
}

/** The entries of a batch, as the log of a replica takes them. */
export function entriesOf({ payload, term }: Batch): ReplicaEntry[] {
  const entries = payload as readonly BatchEntry[]
  const last = entries.length - 1
  return entries.map((entry, i) => ({ ...entry, term, more: i < last }))
}

/** Entries of one batch, from its first to its last, as the core knows them. */
export function batchOf(entries: readonly StoredEntry[]): Batch {
  const first = entries[0]
  const last = entries.at(-1)
  invariant(first && last && !last.more, 'a batch has a last entry')
  const kind =
    first.type === TYPE_LEADER ? 'leader' : first.type === TYPE_MEMBERS ? 'members' : 'data'
  return {
    term: first.term,
    start: first.offset,
    end: last.offset + last.count,
    bytes: bytesOf(entries),
    kind,
    ...(kind === 'members' ? { members: decodeMembers(first.data) } : {}),
    payload: entries,
  }
}
