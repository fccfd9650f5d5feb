import { TidemarkError } from '../base/index.ts'
import {
  RECORD_BYTES_MIN,
  RECORD_HEADER_BYTES_MIN,
  RECORD_LENGTH_MIN,
} from './record-batch-format.ts'
import { VarintReader } from './varint.ts'

export interface BatchRecord {
  readonly offset: number
  /** Milliseconds since 1970; -1: none. */
  readonly timestamp: number
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: readonly ReadHeader[]
}

export interface ReadHeader {
  readonly key: string
  readonly value: Buffer | null
}

/** What a reader of records must know of their batch. */
export interface RecordsFrame {
  readonly baseOffset: number
  readonly lastOffset: number
  readonly isLogAppendTime: boolean
  readonly baseTimestamp: number
  readonly maxTimestamp: number
  readonly recordCount: number
}

const NO_HEADERS: readonly ReadHeader[] = Object.freeze([])

/** Reads the records of one batch, once. Every length is checked against what is there before it is followed. */
export class RecordsReader {
  readonly #frame: RecordsFrame
  readonly #bytes: Buffer
  readonly #input: VarintReader
  /** The keys of the last headers that were read, and where: records of a batch mostly have the same ones. */
  readonly #keys: string[] = []
  readonly #keyStarts: number[] = []
  readonly #keyEnds: number[] = []

  constructor(frame: RecordsFrame, bytes: Buffer) {
    this.#frame = frame
    this.#bytes = bytes
    this.#input = new VarintReader(bytes, (problem) => this.#fail(problem))
  }

  all(): BatchRecord[] {
    const { recordCount, lastOffset } = this.#frame
    const input = this.#input
    if (recordCount * RECORD_BYTES_MIN > this.#bytes.length) this.#fail(`${recordCount} records`)
    const records: BatchRecord[] = []
    let least = this.#frame.baseOffset
    for (let i = 0; i < recordCount; i++) {
      input.end = this.#bytes.length
      const length = input.varint()
      if (length < RECORD_LENGTH_MIN || length > this.#bytes.length - input.at) {
        this.#fail(`a record of ${length} bytes`)
      }
      input.end = input.at + length
      const record = this.#record()
      if (input.at !== input.end) this.#fail('a record that does not fill its length')
      if (record.offset < least || record.offset > lastOffset) this.#fail('an offset out of order')
      least = record.offset + 1
      records.push(record)
    }
    if (input.at !== this.#bytes.length) this.#fail('bytes behind the last record')
    return records
  }

  #record(): BatchRecord {
    const { baseOffset, isLogAppendTime, baseTimestamp, maxTimestamp } = this.#frame
    const input = this.#input
    input.at++
    const timestampDelta = input.varlong()
    const offset = baseOffset + input.varint()
    const key = this.#data()
    const value = this.#data()
    const count = input.varint()
    const timestamp = isLogAppendTime ? maxTimestamp : baseTimestamp + timestampDelta
    const headers = count === 0 ? NO_HEADERS : this.#headers(count)
    return { offset, timestamp, key, value, headers }
  }

  #headers(count: number): ReadHeader[] {
    const { at, end } = this.#input
    if (count < 0 || count * RECORD_HEADER_BYTES_MIN > end - at) this.#fail(`${count} headers`)
    const headers: ReadHeader[] = []
    for (let i = 0; i < count; i++) headers.push({ key: this.#key(i), value: this.#data() })
    return headers
  }

  /** The key of header `i` of a record: the string of the last record's, if the bytes are the same. */
  #key(i: number): string {
    const length = this.#length()
    if (length === -1) this.#fail('a header without a key')
    const start = this.#input.at
    const end = start + length
    this.#input.at = end
    const known = this.#keys[i]
    if (known !== undefined && this.#isSame(start, end, this.#keyStarts[i]!, this.#keyEnds[i]!)) {
      return known
    }
    const key = this.#bytes.toString('utf8', start, end)
    this.#keys[i] = key
    this.#keyStarts[i] = start
    this.#keyEnds[i] = end
    return key
  }

  #isSame(start: number, end: number, otherStart: number, otherEnd: number): boolean {
    if (end - start !== otherEnd - otherStart) return false
    const b = this.#bytes
    for (let at = start, other = otherStart; at < end; at++, other++) {
      if (b[at] !== b[other]) return false
    }
    return true
  }

  #data(): Buffer | null {
    const length = this.#length()
    if (length === -1) return null
    const start = this.#input.at
    this.#input.at = start + length
    return this.#bytes.subarray(start, start + length)
  }

  /** A length that fits into what is left of the record, or -1. */
  #length(): number {
    const input = this.#input
    const length = input.varint()
    if (length < -1 || length > input.end - input.at) this.#fail(`a length of ${length} bytes`)
    return length
  }

  #fail(problem: string): never {
    const { baseOffset } = this.#frame
    const where = `record batch with base offset ${baseOffset}, byte ${this.#input.at} of its records`
    throw new TidemarkError('CORRUPT', `${where}: ${problem}`)
  }
}
