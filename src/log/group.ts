import { crc32OfView, TidemarkError, viewOf } from '../base/index.ts'
import { returnBuffer, takeBuffer } from './buffer-pool.ts'
import {
  ENTRY_HEADER_BYTES,
  type EntryKind,
  entryCount,
  entryLength,
  entryTimestamp,
  sealEntryHeader,
  writeEntryFields,
} from './entry-format.ts'
import type { OffsetIndex } from './offset-index.ts'

/** Strings up to this length are written into room for their worst case, without measuring them. */
const UNMEASURED_CHARS = 4096

/** Where a batch ends within its group, and who waits for it. */
interface Batch {
  readonly end: number
  readonly endOffset: number
  /** Term of its entries. */
  readonly term: number
  /** What its promise resolves with. */
  readonly result: unknown
  readonly resolve: (result: unknown) => void
  readonly reject: (error: unknown) => void
}

/**
 * Entries that wait to be written together: one write, one sync. They lie in one buffer as they will
 * lie in the store; what depends on the place (offset, witness, header checksum) is stamped when
 * the place is known.
 */
export class Group {
  #bytes: Buffer
  #view: DataView
  #length = 0
  readonly #batches: Batch[] = []
  /** The offset of its first entry, promised before the group is written. */
  readonly firstOffset: number
  /** True once everyone in it has been told that it will not be written. */
  isAbandoned = false

  constructor(firstOffset: number) {
    this.firstOffset = firstOffset
    this.#bytes = takeBuffer()
    this.#view = viewOf(this.#bytes)
  }

  /** Bytes of the entries in the group. */
  get length(): number {
    return this.#length
  }

  /** Term of the entries of batch `index`. */
  batchTerm(index: number): number {
    return this.#batches[index]!.term
  }

  get batchCount(): number {
    return this.#batches.length
  }

  /** Where batch `index` begins and ends, in bytes. */
  batchStart(index: number): number {
    return index === 0 ? 0 : this.#batches[index - 1]!.end
  }

  batchEnd(index: number): number {
    return this.#batches[index]!.end
  }

  batchEndOffset(index: number): number {
    return this.#batches[index]!.endOffset
  }

  /** Gives the buffer back, once no write reads it any more. The group is not used after this. */
  release(): void {
    returnBuffer(this.#bytes)
  }

  bytes(start: number, end: number): Uint8Array {
    return this.#bytes.subarray(start, end)
  }

  /**
   * Copies an entry in. Throws TOO_LARGE, and then nothing has been added. `bornCrc` is the checksum
   * that the data was born with, where it comes from another replica; without it one is made.
   */
  add(
    data: Uint8Array | string,
    kind: EntryKind,
    more: boolean,
    maxEntryBytes: number,
    bornCrc?: number,
  ): void {
    const at = this.#length
    const from = at + ENTRY_HEADER_BYTES
    const length =
      typeof data === 'string'
        ? this.#copyString(data, from, maxEntryBytes)
        : this.#copyBytes(data, from, maxEntryBytes)
    const dataCrc = bornCrc ?? crc32OfView(this.#view, from, from + length)
    writeEntryFields(this.#view, at, kind, length, dataCrc, more)
    this.#length = from + length
  }

  /**
   * Ends a batch: the entries added since the last end. At its fate either `resolve` is called with
   * `result`, or `reject`.
   */
  endBatch<R>(
    endOffset: number,
    term: number,
    result: R,
    resolve: (result: R) => void,
    reject: (error: unknown) => void,
  ): void {
    const tell = resolve as (result: unknown) => void
    this.#batches.push({ end: this.#length, endOffset, term, result, resolve: tell, reject })
  }

  /** Forgets the entries of a batch that was not ended. */
  abandonBatch(): void {
    this.#length = this.batchStart(this.#batches.length)
  }

  /** Tells those of the batches `[from, to)` that all is well. */
  resolve(from: number, to: number): void {
    for (let i = from; i < to; i++) {
      const batch = this.#batches[i]!
      batch.resolve(batch.result)
    }
  }

  /** Tells those of the batches from `from` on that they are not in the log. */
  reject(from: number, error: unknown): void {
    for (let i = from; i < this.#batches.length; i++) this.#batches[i]!.reject(error)
  }

  /** Tells everyone in the group that it will not be written, because of `error`. */
  abandon(error: unknown): void {
    this.isAbandoned = true
    this.reject(0, error)
  }

  /**
   * Gives the entries in `[start, end)` their place: offsets from `lsn` on, in the segment whose id is
   * `salt`. Each says that everything below `witness` is synced.
   */
  seal(
    start: number,
    end: number,
    place: { readonly salt: number; readonly lsn: number; readonly witness: number },
  ): void {
    const b = this.#view
    let { lsn } = place
    let at = start
    while (at < end) {
      sealEntryHeader(b, at, lsn, place.witness, place.salt)
      lsn += entryCount(b, at)
      at += ENTRY_HEADER_BYTES + entryLength(b, at)
    }
  }

  /** Notes the entries in `[start, end)`, which have been written from `position` on, in the index. */
  note(start: number, end: number, lsnOfFirst: number, position: number, index: OffsetIndex): void {
    const b = this.#view
    let lsn = lsnOfFirst
    let at = start
    while (at < end) {
      index.note(lsn, position + at - start, entryTimestamp(b, at))
      lsn += entryCount(b, at)
      at += ENTRY_HEADER_BYTES + entryLength(b, at)
    }
  }

  #copyBytes(data: Uint8Array, from: number, maxEntryBytes: number): number {
    if (data.length > maxEntryBytes) throw tooLarge(data.length, maxEntryBytes)
    this.#ensure(from + data.length)
    this.#bytes.set(data, from)
    return data.length
  }

  #copyString(data: string, from: number, maxEntryBytes: number): number {
    const measured = data.length > UNMEASURED_CHARS || data.length * 3 > maxEntryBytes
    const room = measured ? Buffer.byteLength(data) : data.length * 3
    if (measured && room > maxEntryBytes) throw tooLarge(room, maxEntryBytes)
    this.#ensure(from + room)
    return this.#bytes.write(data, from)
  }

  #ensure(capacity: number): void {
    if (capacity <= this.#bytes.length) return
    const bytes = Buffer.allocUnsafeSlow(Math.max(capacity, this.#bytes.length * 2))
    bytes.set(this.#bytes.subarray(0, this.#length))
    this.#bytes = bytes
    this.#view = viewOf(bytes)
  }
}

function tooLarge(bytes: number, maxEntryBytes: number): TidemarkError {
  return new TidemarkError(
    'TOO_LARGE',
    `an entry of ${bytes} bytes is over the limit of ${maxEntryBytes} (maxEntryBytes); nothing was written`,
  )
}
