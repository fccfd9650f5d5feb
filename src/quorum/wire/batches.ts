import { crc32, invariant } from '../../base/index.ts'
import type { ReplicaEntry, StoredEntry } from '../../log/index.ts'
import type { Batch } from '../core/index.ts'
import { decodeMembers, TYPE_LEADER, TYPE_MEMBERS } from './own-entries.ts'

// A batch of the core carries its entries as they will lie in the store, but for the term, which is its own.

/** An entry of a batch that is not stored yet. Its data is not changed any more. */
export interface BatchEntry extends Omit<ReplicaEntry, 'term' | 'more' | 'dataCrc'> {
  /** CRC-32 of the data; made when the entry is first sent, if it has none by then. */
  dataCrc?: number
}

/** What an entry takes in a message and in a store beside its data. */
const ENTRY_BYTES = 40

export function bytesOf(entries: readonly BatchEntry[]): number {
  let sum = entries.length * ENTRY_BYTES
  for (const { data } of entries) sum += data.length
  return sum
}

export function offsetsOf(entries: readonly BatchEntry[]): number {
  let sum = 0
  for (const { count } of entries) sum += count
  return sum
}

/** The entries of a batch, as the log of a replica takes them. */
export function entriesOf({ payload, term }: Batch): ReplicaEntry[] {
  const entries = payload as readonly BatchEntry[]
  const last = entries.length - 1
  return entries.map(({ type, timestamp, count, data, dataCrc = crc32(data) }, i) => {
    return { term, type, timestamp, count, data, dataCrc, more: i < last }
  })
}

/** Entries of one batch, from its first to its last, as the core knows them. */
export function batchOf(entries: readonly StoredEntry[]): Batch {
  const first = entries[0]
  const last = entries.at(-1)
  invariant(first && last && !last.more, 'a batch has a last entry')
  return batchAt(first.term, first.offset, entries)
}

/**
 * Entries of one batch, of which there is at least one, at their place in a log. Throws CORRUPT for members that cannot
 * be.
 */
export function batchAt(term: number, start: number, entries: readonly BatchEntry[]): Batch {
  const { type, data } = entries[0]!
  const end = start + offsetsOf(entries)
  const bytes = bytesOf(entries)
  if (type === TYPE_LEADER) return { term, start, end, bytes, kind: 'leader', payload: entries }
  if (type !== TYPE_MEMBERS) return { term, start, end, bytes, kind: 'data', payload: entries }
  const members = decodeMembers(data)
  return { term, start, end, bytes, kind: 'members', members, payload: entries }
}
