import { crc32, crc32OfView, viewOf } from '../../base/index.ts'
import type { BatchEntry } from './batches.ts'
import { ByteReader, garbage } from './byte-reader.ts'
import { ByteWriter } from './byte-writer.ts'
import { type Frame, WireError } from './frame.ts'

/** Type, timestamp, count, length of the data, CRC of the data. */
const ENTRY_BYTES = 1 + 6 + 4 + 4 + 4
/** So that two fit into what a segment can span. */
const COUNT_MAX = 2 ** 31

/** Makes head and data of a frame: the data of entries goes uncopied behind all that is said of them. */
export class BodyWriter {
  readonly head: ByteWriter
  readonly data: Uint8Array[] = []

  /** `room`: how long the head will be, as far as is known. */
  constructor(room?: number) {
    this.head = new ByteWriter(room)
  }

  /** How many (4 bytes), then each. An entry without a checksum gets it here, once for all who get the entry. */
  entries(entries: readonly BatchEntry[]): void {
    const { head, data } = this
    head.u32(entries.length)
    for (const entry of entries) {
      head.u8(entry.type)
      head.u48(entry.timestamp)
      head.u32(entry.count)
      head.u32(entry.data.length)
      head.u32(entry.dataCrc ?? keepSum(entry))
      if (entry.data.length > 0) data.push(entry.data)
    }
  }
}

function keepSum(entry: BatchEntry): number {
  const sum = crc32(entry.data)
  // What somebody has frozen is summed up each time.
  if (Object.isExtensible(entry)) entry.dataCrc = sum
  return sum
}

/** Reads what a {@link BodyWriter} made. Throws WireError for what it cannot have made. */
export class BodyReader {
  readonly head: ByteReader
  readonly #data: Buffer
  #view: DataView | undefined
  #at = 0

  constructor({ head, data }: Pick<Frame, 'head' | 'data'>) {
    this.head = new ByteReader(head)
    this.#data = data
  }

  /** Entries that can be stored, whose data is what it was when they were made. The data is a view of the frame's. */
  entries(): BatchEntry[] {
    const { head } = this
    const entries: BatchEntry[] = []
    for (let left = head.count(ENTRY_BYTES); left > 0; left--) {
      const type = head.u8()
      const timestamp = head.u48()
      const count = head.u32()
      const length = head.u32()
      const dataCrc = head.u32()
      if (type === 0) garbage('an entry of type 0')
      if (count === 0 || count > COUNT_MAX) garbage(`an entry that takes ${count} offsets`)
      entries.push({ type, timestamp, count, data: this.#take(length, dataCrc), dataCrc })
    }
    return entries
  }

  /** Throws unless everything was read. */
  end(): void {
    this.head.end()
    const left = this.#data.length - this.#at
    if (left > 0) garbage(`${left} bytes of data too many`)
  }

  #take(length: number, crc: number): Buffer {
    const at = this.#at
    const left = this.#data.length - at
    if (length > left) garbage(`an entry of ${length} bytes, of which there are ${left}`)
    this.#at = at + length
    this.#view ??= viewOf(this.#data)
    if (crc32OfView(this.#view, at, this.#at) !== crc) {
      throw new WireError('checksum', `${length} bytes of data do not fit their checksum`)
    }
    return this.#data.subarray(at, this.#at)
  }
}
