import { TidemarkError } from '../base/index.ts'
import { murmur2 } from './murmur2.ts'

export const PARTITIONS_MAX = 1_000_000

/**
 * The partition of a key, as the default partitioner of Kafka's Java client computes it: the same key is
 * always in the same one of so many partitions, whatever program asks. A string counts as its UTF-8 bytes
 * (and a lone surrogate, which UTF-8 cannot hold, as U+FFFD).
 *
 * Throws INVALID_ARGUMENT if the key is neither a string nor bytes, or if `partitions` is not an integer from
 * 1 to 1,000,000.
 */
export function partitionFor(key: string | Uint8Array, partitions: number): number {
  checkPartitions(partitions)
  return (murmur2(bytesOf(key)) & 0x7fffffff) % partitions
}

/** Checks a number of partitions. Throws INVALID_ARGUMENT. */
export function checkPartitions(value: unknown): number {
  const isCount = Number.isSafeInteger(value) && (value as number) >= 1
  if (isCount && (value as number) <= PARTITIONS_MAX) return value as number
  const found = typeof value === 'string' ? JSON.stringify(value) : String(value)
  throw new TidemarkError(
    'INVALID_ARGUMENT',
    `partitions must be an integer from 1 to ${PARTITIONS_MAX}, not ${found}`,
  )
}

function bytesOf(key: unknown): Uint8Array {
  if (typeof key === 'string') return Buffer.from(key)
  if (key instanceof Uint8Array) return key
  // No default for what has no key: entries of a null, spread at random, would have no order.
  throw new TidemarkError(
    'INVALID_ARGUMENT',
    `a key must be a string or a Uint8Array, not ${key === null ? 'null' : typeof key}`,
  )
}
