import { TidemarkError } from '../base/index.ts'
import type { Entry } from '../log/index.ts'
import {
  controlTypeOf,
  decodeRecordBatches,
  decodeRecords,
  type RecordBatch,
} from '../protocol/index.ts'
import type { Client } from './client.ts'
import { entryOf } from './entry-record.ts'
import type { Fetched } from './fetch-response.ts'

/** The entries of an answer that a reader is shown, and where the next answer has to begin. */
export interface Visible {
  readonly entries: Entry[]
  readonly next: number
}

/** What of a partition is wanted. */
export interface Wanted {
  readonly from: number
  /** Stop before this offset. */
  readonly to: number
}

/**
 * The entries in `[from, to)` that an answer has. Left out are markers of transactions, what belongs to aborted ones (where
 * the broker has named these), and what comes of a batch that begins before `from`.
 *
 * Throws CORRUPT, UNSUPPORTED_VERSION.
 */
export function visibleEntries(client: Client, fetched: Fetched, { from, to }: Wanted): Visible {
  const entries: Entry[] = []
  const aborted = new AbortedProducers(fetched.aborted)
  const batches = decodeRecordBatches(fetched.bytes)
  if (batches.length === 0 && fetched.bytes.length > 0) {
    // The first batch comes whole, however long it is (KIP-74).
    throw new TidemarkError('CORRUPT', `what a broker has given from ${from} on is no whole batch`)
  }
  let next = from
  let end = -1
  for (const batch of batches) {
    // Offsets are not under the checksum.
    if (batch.baseOffset < end)
      throw new TidemarkError(
        'CORRUPT',
        `a batch at ${batch.baseOffset} follows one that ends at ${end}`,
      )
    end = batch.lastOffset + 1
    if (batch.lastOffset < from) continue
    if (batch.baseOffset >= to) return { entries, next: to }
    next = batch.lastOffset + 1
    if (aborted.hides(batch)) continue
    for (const record of decodeRecords(batch, (bits, bytes) => decompress(client, bits, bytes))) {
      if (record.offset >= from && record.offset < to) {
        entries.push(entryOf(record, batch.leaderEpoch))
      }
    }
  }
  return { entries, next: Math.min(next, to) }
}

/**
 * Whose batches belong to an aborted transaction: those of a producer from the first offset that the broker names up to the
 * marker that ends it (Kafka's protocol guide, `aborted_transactions`).
 */
class AbortedProducers {
  readonly #open = new Set<number>()
  readonly #coming: { producerId: number; firstOffset: number }[]

  constructor(aborted: Fetched['aborted']) {
    this.#coming = [...aborted].sort((a, b) => a.firstOffset - b.firstOffset)
  }

  /** True if nothing of the batch is to be shown. Batches are asked for in their order. */
  hides(batch: RecordBatch): boolean {
    while (this.#coming.length > 0 && this.#coming[0]!.firstOffset <= batch.lastOffset) {
      this.#open.add(this.#coming.shift()!.producerId)
    }
    if (batch.isControl) {
      if (controlTypeOf(batch) === 'abort') this.#open.delete(batch.producerId)
      return true
    }
    return batch.isTransactional && this.#open.has(batch.producerId)
  }
}

function decompress(client: Client, bits: number, bytes: Buffer): Buffer {
  const algorithm = client.compressionsAlgorithmsByBitmask[String(bits)]
  try {
    if (algorithm) return algorithm.decompressSync(bytes)
  } catch (error) {
    throw new TidemarkError('CORRUPT', 'a batch cannot be decompressed', {}, error)
  }
  throw new TidemarkError(
    'UNSUPPORTED_VERSION',
    `a batch is compressed in the way ${bits}, which is not known`,
  )
}
