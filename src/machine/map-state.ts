import { TIMESTAMP_MS_MAX, TidemarkError } from '../base/index.ts'
import { ChunkStream } from './bytes-in.ts'
import { Changes } from './changes.ts'
import { Expiries } from './expiries.ts'
import { type ChangeView, changesOf, OPERATION, operationOf } from './map-command.ts'
import type { Context } from './options.ts'
import type { Place } from './pages.ts'
import {
  expiryAt,
  keyAt,
  lengthAt,
  NEVER,
  type Pair,
  pairAt,
  problemAt,
  RECORD_HEADER_BYTES,
  valueAt,
} from './record.ts'
import type { StateCodec } from './state-codec.ts'
import { frozen, Table } from './table.ts'

/** Records that one command removes because their time is over: a bound for what it costs. */
const EXPIRED_MAX = 256
/** So many looks at keys may be of no use any more, besides as many again as are. */
const STALE_MAX = 10_000
/** Bytes of records in a chunk of a snapshot: what is copied at a time. */
const CHUNK_BYTES = 128 * 1024

/** Who is told of keys that come and go: the ordered index. */
export interface KeyIndex {
  add(key: Buffer): void
  remove(key: Buffer): void
}

/** The state of a durable map: all of it follows from the commands, but for the history of changes. */
export class MapState {
  readonly table = new Table()
  readonly changes: Changes
  readonly #expiries = new Expiries()
  /** How many records end. */
  #timed = 0
  readonly #index: KeyIndex | undefined
  /** The highest timestamp of the log: records that end by then are over. */
  logTime = 0

  constructor(history: number, index: KeyIndex | undefined) {
    this.changes = new Changes(history)
    this.#index = index
  }

  /** The record that is there and not over. */
  find(key: Uint8Array, from = 0, to = key.length): Place | undefined {
    const place = this.table.find(key, from, to)
    return place && expiryAt(place.bytes, place.at) > this.logTime ? place : undefined
  }

  /** Executes a command. The result says whether it has done what it was for, if that is not certain. */
  apply(body: Buffer, { offset, logTime }: Context): boolean | undefined {
    const operation = operationOf(body)
    const changes = changesOf(body, operation)
    this.logTime = logTime
    this.changes.begin(offset)
    this.#expire(offset)
    const isDone = this.#perform(operation, changes, offset)
    this.changes.wake()
    return isDone
  }

  #perform(operation: number, changes: readonly ChangeView[], offset: number): boolean | undefined {
    if (operation === OPERATION.delete) return this.#remove(keyOf(changes[0]!), offset)
    if (operation === OPERATION.compareAndSet) {
      const [expected, next] = changes as [ChangeView, ChangeView]
      const { bytes, from, keyBytes } = expected
      if (!holds(this.find(bytes, from, from + keyBytes), expected)) return false
      this.#change(next, offset)
      return true
    }
    for (const change of changes) this.#change(change, offset)
    return undefined
  }

  #change(change: ChangeView, offset: number): void {
    if (!change.hasValue) {
      this.#remove(keyOf(change), offset)
      return
    }
    const { ttlMs } = change
    // A time has 48 bits in a record, as it has in the log.
    const end = ttlMs === undefined ? NEVER : Math.min(this.logTime + ttlMs, TIMESTAMP_MS_MAX)
    const place = this.put(change, end)
    this.changes.add(offset, place, false)
  }

  /** Puts a record into the table, and notes when it ends. */
  put(pair: Pair, expiry: number): Place {
    const { table } = this
    const { size } = table
    const before = expiry === NEVER && this.#timed === 0 ? NEVER : this.#expiryOf(pair)
    const place = table.set(pair, expiry)
    if (this.#index && table.size > size) this.#index.add(keyAt(place.bytes, place.at))
    if (before !== NEVER) this.#timed--
    if (expiry !== NEVER) {
      this.#timed++
      // What was to be looked at earlier will be, and is then put off.
      if (before === NEVER || before > expiry) this.#lookAt(place, expiry)
    }
    return place
  }

  /** When the record of a key ends; never, too, if there is none. */
  #expiryOf({ bytes, from, keyBytes }: Pair): number {
    const place = this.table.find(bytes, from, from + keyBytes)
    return place ? expiryAt(place.bytes, place.at) : NEVER
  }

  /** A copy of the key: a view would keep the page that it lies in. */
  #lookAt(place: Place, at: number): void {
    this.#expiries.add({ at, key: Buffer.from(keyAt(place.bytes, place.at)) })
    if (this.#expiries.size <= 2 * this.#timed + STALE_MAX) return
    this.#expiries.keep(({ at, key }) => {
      const expiry = this.table.expiry(key)
      return expiry !== undefined && expiry !== NEVER && expiry >= at
    })
  }

  /** Returns true if the key was there and not over. */
  #remove(key: Buffer, offset: number): boolean {
    const last = this.table.find(key)
    if (!last) return false
    const expiry = expiryAt(last.bytes, last.at)
    if (expiry !== NEVER) this.#timed--
    this.table.delete(key)
    this.#index?.remove(key)
    this.changes.add(offset, last, true)
    return expiry > this.logTime
  }

  /** Removes what is over. What is counted follows from the records, and not from how they came. */
  #expire(offset: number): void {
    for (let removed = 0; removed < EXPIRED_MAX; ) {
      const first = this.#expiries.first
      if (!first || first.at > this.logTime) return
      this.#expiries.dropFirst()
      const { at, key } = first
      const expiry = this.table.expiry(key) ?? NEVER
      if (expiry === at) {
        this.#remove(key, offset)
        removed++
      } else if (expiry !== NEVER && expiry > at) {
        this.#expiries.add({ at: expiry, key })
      }
    }
  }
}

function keyOf({ bytes, from, keyBytes }: Pair): Buffer {
  return bytes.subarray(from, from + keyBytes)
}

/** True if the record holds what is expected: the same value, or there is neither. */
function holds(place: Place | undefined, expected: ChangeView): boolean {
  if (!place || !expected.hasValue) return !place && !expected.hasValue
  const from = expected.from + expected.keyBytes
  const value = expected.bytes.subarray(from, from + expected.valueBytes)
  return valueAt(place.bytes, place.at).equals(value)
}

/** A map in a snapshot: its log time (8 bytes), then its records as they lie in memory. */
export function mapStateCodec(make: () => MapState): StateCodec<MapState> {
  return {
    encode(state) {
      return chunksOf(state.logTime, frozen(state.table))
    },
    async decode(chunks) {
      const state = make()
      const stream = new ChunkStream(chunks)
      state.logTime = checkLogTime(Buffer.from(await stream.take(8)).readDoubleLE())
      await readRecords(stream, state)
      return state
    },
  }
}

/** A time that no timestamp can have would hide every record that ends, or show those that are over. */
function checkLogTime(time: number): number {
  if (Number.isInteger(time) && time >= 0 && time <= TIMESTAMP_MS_MAX) return time
  throw new TidemarkError('CORRUPT', `the log time of a snapshot is ${time}`)
}

function* chunksOf(
  logTime: number,
  records: Iterable<{ readonly bytes: Buffer; readonly at: number }>,
): Generator<Uint8Array> {
  const time = Buffer.alloc(8)
  time.writeDoubleLE(logTime)
  yield time
  let chunk = Buffer.allocUnsafe(CHUNK_BYTES)
  let end = 0
  for (const { bytes, at } of records) {
    const length = lengthAt(bytes, at)
    if (end + length > chunk.length && end > 0) {
      yield chunk.subarray(0, end)
      chunk = Buffer.allocUnsafe(CHUNK_BYTES)
      end = 0
    }
    if (length > chunk.length) yield bytes.subarray(at, at + length)
    else end += bytes.copy(chunk, end, at, at + length)
  }
  yield chunk.subarray(0, end)
}

/** Reads records out of chunks that may end in the middle of one. */
async function readRecords(stream: ChunkStream, state: MapState): Promise<void> {
  let parts: Uint8Array[] = []
  let have = 0
  let need = RECORD_HEADER_BYTES
  for await (const chunk of stream.rest()) {
    parts.push(chunk)
    have += chunk.length
    if (have < need) continue
    const bytes = parts.length === 1 ? asBuffer(chunk) : Buffer.concat(parts)
    let at = 0
    for (let length = wholeAt(bytes, at); length > 0; length = wholeAt(bytes, at)) {
      const { size } = state.table
      state.put(pairAt(bytes, at), expiryAt(bytes, at))
      if (state.table.size === size) {
        throw new TidemarkError('CORRUPT', 'a snapshot has two records of the same key')
      }
      at += length
    }
    const rest = bytes.subarray(at)
    parts = rest.length > 0 ? [rest] : []
    have = rest.length
    need = have < RECORD_HEADER_BYTES ? RECORD_HEADER_BYTES : lengthAt(rest, 0)
  }
  if (have > 0) throw new TidemarkError('CORRUPT', 'the last record of a snapshot is not whole')
}

/** The length of the record at `at`, if all of it is there; else 0. Throws CORRUPT. */
function wholeAt(bytes: Buffer, at: number): number {
  if (at + RECORD_HEADER_BYTES > bytes.length) return 0
  const problem = problemAt(bytes, at)
  if (problem) throw new TidemarkError('CORRUPT', `a record of a snapshot has ${problem}`)
  const length = lengthAt(bytes, at)
  return at + length <= bytes.length ? length : 0
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
