import { crc32, TidemarkError } from '../base/index.ts'
import type { BatchEntry } from './wire/index.ts'

// A stretch of entries as an operator gets and gives it: what is said of them in JSON, their data behind it.

/** Type, timestamp, count, bytes of data, CRC of the data. */
export type EntryHead = readonly [number, number, number, number, number]

/** The most of one stretch. One entry alone may be larger. */
export const STRETCH_BYTES_MAX = 2 ** 20
export const STRETCH_ENTRIES_MAX = 4096

/** What is said of an entry. */
export function headOf({ type, timestamp, count, data }: Omit<BatchEntry, 'dataCrc'>): EntryHead {
  return [type, timestamp, count, data.length, crc32(data)]
}

/** Throws INVALID_ARGUMENT for what is no list of entries. */
export function checkHeads(value: unknown): void {
  const isHead = (head: unknown) => {
    return (
      Array.isArray(head) &&
      head.length === 5 &&
      head.every((n) => Number.isSafeInteger(n) && n >= 0)
    )
  }
  const isList = Array.isArray(value) && value.length > 0 && value.length <= STRETCH_ENTRIES_MAX
  if (isList && value.every(isHead)) return
  throw new TidemarkError('INVALID_ARGUMENT', 'this is no list of entries')
}

/** The entries with their data, which are views of `data`. Throws CORRUPT if that is not what was sent. */
export function entriesFrom(
  heads: readonly EntryHead[],
  data: Buffer,
): (BatchEntry & { data: Buffer })[] {
  let at = 0
  const entries = heads.map(([type, timestamp, count, length, dataCrc]) => {
    const own = data.subarray(at, at + length)
    at += length
    if (own.length !== length || crc32(own) !== dataCrc) {
      throw new TidemarkError('CORRUPT', `${length} bytes of an entry have changed on the way`)
    }
    return { type, timestamp, count, data: own }
  })
  if (at === data.length) return entries
  throw new TidemarkError('CORRUPT', `${data.length - at} bytes more than the entries have`)
}
