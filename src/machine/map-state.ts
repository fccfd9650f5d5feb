import { TidemarkError } from '../base/index.ts'
import { ChunkStream } from './bytes-in.ts'
import { Changes } from './changes.ts'
import { Expiries } from './expiries.ts'
import { type Change, decodeMapCommand, OPERATION } from './map-command.ts'
import type { Context } from './options.ts'
import {
  expiryAt,
  keyAt,
  lengthAt,
  NEVER,
  problemAt,
  RECORD_HEADER_BYTES,
  valueAt,
} from './record.ts'
import type { StateCodec } from './state-codec.ts'
import { frozen, Table } from './table.ts'

/** Records that one command removes because their time is over: a bound for what it costs. */
const EXPIRED_MAX = 256
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
  readonly #index: KeyIndex | undefined
  /** The highest timestamp of the log: records that end by then are over. */
  logTime = 0

  constructor(history: number, index: KeyIndex | undefined) {
    this.changes = new Changes(history)
    this.#index = index
  }

  /** The value that is there and not over. */
  get(key: Uint8Array): Buffer | undefined {
    const expiry = this.table.expiry(key)
    return expiry === undefined || expiry <= this.logTime ? undefined : this.table.get(key)
  }

  /** Executes a command. The result says whether it has done what it was for. */
  apply(body: Buffer, { offset, logTime }: Context): boolean {
    const { operation, changes } = decodeMapCommand(body)
    this.logTime = logTime
    this.changes.begin(offset)
    this.#expire(offset)
    const isDone = this.#perform(operation, changes, offset)
    this.changes.wake()
    return isDone
  }

  #perform(operation: number, changes: readonly Change[], offset: number): boolean {
    if (operation === OPERATION.delete) return this.#remove(changes[0]!.key, offset)
    if (operation === OPERATION.compareAndSet) {
      const [expected, next] = changes as [Change, Change]
      if (!isEqual(this.get(expected.key), expected.value)) return false
      this.#change(next, offset)
      return true
    }
    for (const change of changes) this.#change(change, offset)
    return true
  }

  #change(change: Change, offset: number): void {
    const { key, value, ttlMs } = change
    if (value === undefined) {
      this.#remove(key, offset)
      return
    }
    this.put(key, value, ttlMs === undefined ? NEVER : this.logTime + ttlMs)
    this.changes.add(offset, key, value)
  }

  /** Puts a record into the table, and notes when it ends. */
  put(key: Uint8Array, value: Uint8Array, expiry: number): void {
    const isNew = this.table.set(key, value, expiry)
    if (isNew) this.#index?.add(Buffer.from(key))
    if (expiry !== NEVER) this.#expiries.add({ at: expiry, key: Buffer.from(key) })
  }

  /** Returns true if the key was there and not over. */
  #remove(key: Uint8Array, offset: number): boolean {
    const wasThere = this.get(key) !== undefined
    if (!this.table.delete(key)) return false
    this.#index?.remove(Buffer.from(key))
    this.changes.add(offset, key, undefined)
    return wasThere
  }

  /** Removes what is over. */
  #expire(offset: number): void {
    for (let removed = 0; removed < EXPIRED_MAX; ) {
      const first = this.#expiries.first
      if (!first || first.at > this.logTime) return
      this.#expiries.dropFirst()
      // It may have been overwritten since. What is not counted here must not depend on how it came to be here.
      if (this.table.expiry(first.key) !== first.at) continue
      this.#remove(first.key, offset)
      removed++
    }
  }
}

function isEqual(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  if (a === undefined || b === undefined) return a === b
  return Buffer.compare(a, b) === 0
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
      state.logTime = Buffer.from(await stream.take(8)).readDoubleLE()
      await readRecords(stream, state)
      return state
    },
  }
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
      state.put(keyAt(bytes, at), valueAt(bytes, at), expiryAt(bytes, at))
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
