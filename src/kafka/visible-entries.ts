import { TidemarkError } from '../base/index.ts'
import type { Entry } from '../log/index.ts'
import {
  type BatchRecord,
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

/** The entries in `[from, to)` that an answer has. Throws what {@link visibleRecords} throws. */
export function visibleEntries(client: Client, fetched: Fetched, wanted: Wanted): Visible {
  const entries: Entry[] = []
  const next = visibleRecords(client, fetched, wanted, (record, { leaderEpoch }) => {
    entries.push(entryOf(record, leaderEpoch))
  })
  return { entries, next }
}

/**
 * Shows the records in `[from, to)` that an answer has, and returns where the next answer has to begin. Left out are markers
 * of transactions, what belongs to aborted ones (where the broker has named these), and what a batch has before `from`.
 *
 * Throws CORRUPT, UNSUPPORTED_VERSION.
 */
export function visibleRecords(
  client: Client,
  fetched: Fetched,
  { from, to }: Wanted,
  show: (record: BatchRecord, batch: RecordBatch) => void,
): number {
  const aborted = new AbortedProducers(fetched.aborted)
  let next = from
  for (const batch of wholeBatches(fetched, from)) {
    if (batch.lastOffset < from) continue
    if (batch.baseOffset >= to) return to
    next = batch.lastOffset + 1
    if (aborted.hides(batch)) continue
    for (const record of decodeRecords(batch, (bits, bytes) => decompress(client, bits, bytes))) {
      if (record.offset >= from && record.offset < to) show(record, batch)
    }
  }
  return Math.min(next, to)
}

function wholeBatches({ bytes }: Fetched, from: number): RecordBatch[] {
  const batches = decodeRecordBatches(bytes)
  if (batches.length === 0 && bytes.length > 0) {
    // The first batch comes whole, however long it is (KIP-74).
    const problem = `what a broker has given from ${from} on is no whole batch`
    throw new TidemarkError('CORRUPT', problem)
  }
  let end = -1
  for (const { baseOffset, lastOffset } of batches) {
    // Offsets are not under the checksum.
    if (baseOffset < end) {
      throw new TidemarkError('CORRUPT', `a batch at ${baseOffset} follows one that ends at ${end}`)
    }
    end = lastOffset + 1
  }
  return batches
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
    if (algorithm?.available) return algorithm.decompressSync(bytes)
  } catch (error) {
    throw new TidemarkError('CORRUPT', 'a batch cannot be decompressed', {}, error)
  }
  throw new TidemarkError(
    'UNSUPPORTED_VERSION',
    `a batch is compressed in the way ${bits}, which is not known, or not to be had on Node ${process.versions.node}`,
  )
}
