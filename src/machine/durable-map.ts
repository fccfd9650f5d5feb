import { OFFSET_MAX, TIMESTAMP_MS_MAX, TidemarkError } from '../base/index.ts'
import { type Codec, json, text } from '../log/index.ts'
import { PLAIN_BYTES } from './command-format.ts'
import { type Change, encodeMapCommand, OPERATION } from './map-command.ts'
import { MapState, mapStateCodec } from './map-state.ts'
import {
  checkCount,
  checkMethods,
  checkNames,
  type MachineOptions,
  type SnapshotPolicy,
} from './options.ts'
import { OrderedKeys, type Range } from './ordered-keys.ts'
import type { Place } from './pages.ts'
import { expiryAt, KEY_BYTES_MAX, keyAt, NEVER, valueAt } from './record.ts'
import type { Session } from './session.ts'
import type { SessionLimits } from './sessions.ts'
import { type ExecuteOptions, type MachineLog, StateMachine } from './state-machine.ts'
import { frozen } from './table.ts'

export interface MapOptions<K = string, V = unknown> {
  /** How keys become bytes, at most 65,535 of them; strings by default. Equal bytes are the same key. */
  readonly keys?: Codec<K> | undefined
  /** How values become bytes; JSON by default. */
  readonly values?: Codec<V> | undefined
  /** Keep the keys in order too, in a B+ tree, for `range`: keys that are strings, numbers or bigints. */
  readonly ordered?: boolean | undefined
  /** How many of the last changes a watcher can look back, or be behind; 1,024 by default. */
  readonly history?: number | undefined
  /** See `MachineOptions`. */
  readonly snapshot?: SnapshotPolicy | false | undefined
  readonly trim?: boolean | (() => number) | undefined
  readonly sessions?: SessionLimits | undefined
  readonly check?: boolean | undefined
}

export interface SetOptions extends ExecuteOptions {
  /** The key is gone so many ms later, by the timestamps of the log. */
  readonly ttlMs?: number | undefined
}

/** What a command did to a key. */
export interface MapChange<K, V> {
  /** Offset of the command; those of one `setMany` share it. */
  readonly offset: number
  readonly key: K
  /** Undefined: the key is gone. */
  readonly value: V | undefined
}

const NAMES = ['keys', 'values', 'ordered', 'history', 'snapshot', 'trim', 'sessions', 'check']
const RANGE_NAMES = ['from', 'to', 'prefix', 'reverse', 'limit']
const HISTORY_DEFAULT = 1024
const NO_OPTIONS: SetOptions = {}
/** Keys are written here to be looked up. */
const SCRATCH = Buffer.allocUnsafeSlow(KEY_BYTES_MAX)

type Machine = StateMachine<MapState, Buffer, boolean | undefined>
/** What a command of the map is answered with; a set with nothing. */
type Answer = (result: boolean | undefined) => void

const commandBytes: Codec<Buffer> = { encode: (command) => command, decode: (bytes) => bytes }

/**
 * A hash table that survives: each change is a command in the log, safe when its promise resolves, and the
 * table is built again from the newest snapshot and the commands since.
 *
 * Reads are of this process's table, at once; values are decoded anew for each. Methods that change it reject like
 * `StateMachine.execute`, and with INVALID_ARGUMENT or TOO_LARGE for keys and values that cannot be.
 */
export class DurableMap<K = string, V = unknown> {
  readonly #machine: Machine
  readonly #keys: Codec<K>
  readonly #values: Codec<V>
  readonly #ordered: () => OrderedKeys<K> | undefined

  private constructor(
    machine: Machine,
    keys: Codec<K>,
    values: Codec<V>,
    ordered: () => OrderedKeys<K> | undefined,
  ) {
    this.#machine = machine
    this.#keys = keys
    this.#values = values
    this.#ordered = ordered
  }

  /**
   * Builds the map from a log that is its own. The log stays the caller's: close the map first, then the log.
   * Rejects like `StateMachine.open`, and with NOT_FOUND where `ordered` is asked for and the package
   * sorted-btree is not installed.
   */
  static async open<K = string, V = unknown>(
    log: MachineLog,
    options: MapOptions<K, V> = {},
  ): Promise<DurableMap<K, V>> {
    checkNames(options, NAMES, 'a durable map')
    checkMethods(options.keys, 'keys', ['encode', 'decode'])
    checkMethods(options.values, 'values', ['encode', 'decode'])
    const {
      keys = text as Codec<unknown> as Codec<K>,
      values = json<V>(),
      ordered = false,
    } = options
    if (typeof ordered !== 'boolean') throw invalid(`ordered must be true or false, not ${ordered}`)
    const history = checkCount(options.history ?? HISTORY_DEFAULT, 'history', 1, OFFSET_MAX)
    const makeIndex = ordered ? await OrderedKeys.maker((key) => keys.decode(key)) : undefined
    const indexes = new WeakMap<MapState, OrderedKeys<K>>()
    const initial = () => {
      const index = makeIndex?.()
      const state = new MapState(history, index)
      if (index) indexes.set(state, index)
      return state
    }
    const machine = await StateMachine.open(log, machineOptions(options, initial))
    machine.query(({ changes }) => changes.begin(machine.offset))
    return new DurableMap(machine, keys, values, () => machine.query((state) => indexes.get(state)))
  }

  /** How many keys there are; those whose time is over count until the next commands have removed them. */
  get size(): number {
    return this.#machine.query(({ table }) => table.size)
  }

  /** Offset of the first entry that is not in the map: what is read now is watched on from here. */
  get offset(): number {
    return this.#machine.offset
  }

  get(key: K): V | undefined {
    const place = this.#find(key)
    return place && this.#values.decode(valueAt(place.bytes, place.at))
  }

  has(key: K): boolean {
    return this.#find(key) !== undefined
  }

  /** The same as `get`, when everything is in the map that anyone was told is safe before the call. */
  async read(key: K): Promise<V | undefined> {
    await this.#machine.read(() => {})
    return this.get(key)
  }

  set(key: K, value: V, options?: SetOptions): Promise<void> {
    return this.#execute(OPERATION.set, options, () => {
      const ttlMs = options && checkSetOptions(options)
      return [this.#change(key, present(value), ttlMs)]
    })
  }

  /** Resolves with whether the key was there. */
  delete(key: K, options?: ExecuteOptions): Promise<boolean> {
    return this.#execute(OPERATION.delete, options, () => {
      if (options) checkNames(options, ['session', 'request'], 'delete')
      return [this.#change(key, undefined, undefined)]
    })
  }

  /**
   * Sets the key to `next` if it holds `expected`, and resolves with whether it did. `undefined` stands for a key
   * that is not there. Values are equal if their codec gives the same bytes.
   */
  compareAndSet(
    key: K,
    expected: V | undefined,
    next: V | undefined,
    options?: SetOptions,
  ): Promise<boolean> {
    return this.#execute(OPERATION.compareAndSet, options, () => {
      const ttlMs = options && checkSetOptions(options)
      return [this.#change(key, expected, undefined), this.#change(key, next, ttlMs)]
    })
  }

  /** Sets many keys, all or none: one command, which has to fit into one entry of the log. */
  setMany(entries: Iterable<readonly [K, V]>, options?: SetOptions): Promise<void> {
    return this.#execute(OPERATION.setMany, options, () => {
      const ttlMs = options && checkSetOptions(options)
      return pairsOf(entries).map(([key, value]) => this.#change(key, present(value), ttlMs))
    })
  }

  /** All keys with their values, as they are now, in no order. The map may change meanwhile. */
  entries(): Generator<[K, V]> {
    const { table, logTime } = this.#machine.query((state) => state)
    return this.#decoded(frozen(table), logTime)
  }

  [Symbol.iterator](): Generator<[K, V]> {
    return this.entries()
  }

  *keys(): Generator<K> {
    for (const [key] of this.entries()) yield key
  }

  *values(): Generator<V> {
    for (const [, value] of this.entries()) yield value
  }

  /**
   * The keys of a range with their values, in the order of the keys (as `<` has it). What changes behind the last
   * one shows. Throws INVALID_ARGUMENT unless the map was opened with `ordered`.
   */
  *range(range: Range<K> = {}): Generator<[K, V]> {
    checkNames(range, RANGE_NAMES, 'range')
    if (range.limit !== undefined) checkCount(range.limit, 'limit', 0, OFFSET_MAX)
    const index = this.#ordered()
    if (!index) throw invalid('range needs a map that was opened with { ordered: true }')
    const { limit = Number.POSITIVE_INFINITY, ...bounds } = range
    let left = limit
    if (left === 0) return
    for (const key of index.range(bounds)) {
      const value = this.get(key)
      // Its time is over, and no command has removed it yet.
      if (value === undefined) continue
      yield [key, value]
      if (--left === 0) return
    }
  }

  /**
   * The changes from an offset on, now by default, one after the other; waits for more. To miss nothing, read
   * the map and its `offset` without waiting in between, and watch from there; to go on later, from the
   * offset behind the last change. Throws TRIMMED if the history does not reach back so far, or has passed a watcher
   * that is too slow.
   */
  async *watch({
    from = this.offset,
    signal,
  }: {
    readonly from?: number | undefined
    readonly signal?: AbortSignal | undefined
  } = {}): AsyncGenerator<MapChange<K, V>, void> {
    checkCount(from, 'from', 0, OFFSET_MAX)
    let next = from
    for (;;) {
      signal?.throwIfAborted()
      if (this.#machine.isClosed) return
      const { changes } = this.#machine.query((state) => state)
      const upTo = this.offset
      for (const { offset, place, isGone } of changes.since(next)) {
        const key = this.#keys.decode(keyAt(place.bytes, place.at))
        const value = isGone ? undefined : this.#values.decode(valueAt(place.bytes, place.at))
        yield { offset, key, value }
        next = offset + 1
      }
      // Commands that have changed nothing are behind it too.
      next = Math.max(next, upTo)
      await this.#machine.nextApplied(next, signal)
    }
  }

  /** Opens a session: what is set in it with a request's number is set once, however often it is asked for. */
  openSession(): Promise<Pick<Session<never, never>, 'id'>> {
    return this.#machine.openSession()
  }

  /** See `StateMachine.snapshot`. */
  snapshot(): Promise<number> {
    return this.#machine.snapshot()
  }

  /** See `StateMachine.snapshotFailure`. */
  get snapshotFailure(): unknown {
    return this.#machine.snapshotFailure
  }

  /** Bytes of memory that keys and values take up. */
  get bytes(): number {
    return this.#machine.query(({ table }) => table.bytes)
  }

  /** Waits for what is under way, and stops. The log stays open. */
  close(): Promise<void> {
    return this.#machine.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** One promise for all of it: what `changes` throws rejects it. */
  #execute<T>(
    operation: number,
    options: ExecuteOptions | undefined,
    changes: () => readonly Change[],
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      const bytes = encodeMapCommand(PLAIN_BYTES, operation, changes())
      const { session, request } = options ?? NO_OPTIONS
      if (session === undefined && request === undefined) {
        this.#machine.submit(bytes, resolve as Answer, reject)
      } else {
        const command = bytes.subarray(PLAIN_BYTES)
        this.#machine.execute(command, { session, request }).then(resolve as Answer, reject)
      }
    })
  }

  #change(key: K, value: V | undefined, ttlMs: number | undefined): Change {
    const bytes = value === undefined ? undefined : encoded(this.#values, value, 'a value')
    const encodedKey = this.#encodeKey(key)
    this.#ordered()?.check(typeof encodedKey === 'string' ? Buffer.from(encodedKey) : encodedKey)
    return { key: encodedKey, value: bytes, ttlMs }
  }

  #encodeKey(key: K): Uint8Array | string {
    const data = encoded(this.#keys, key, 'a key')
    // A unit of a string takes 3 bytes at most.
    if (data.length * 3 <= KEY_BYTES_MAX) return data
    const bytes = typeof data === 'string' ? Buffer.byteLength(data) : data.length
    if (bytes <= KEY_BYTES_MAX) return data
    throw new TidemarkError('TOO_LARGE', `a key has ${bytes} bytes; ${KEY_BYTES_MAX} is the most`)
  }

  #find(key: K): Place | undefined {
    const data = this.#encodeKey(key)
    if (typeof data !== 'string') return this.#machine.query((state) => state.find(data))
    const length = SCRATCH.write(data)
    return this.#machine.query((state) => state.find(SCRATCH, 0, length))
  }

  *#decoded(
    records: Iterable<{ readonly bytes: Buffer; readonly at: number }>,
    logTime: number,
  ): Generator<[K, V]> {
    for (const { bytes, at } of records) {
      const expiry = expiryAt(bytes, at)
      if (expiry !== NEVER && expiry <= logTime) continue
      yield [this.#keys.decode(keyAt(bytes, at)), this.#values.decode(valueAt(bytes, at))]
    }
  }
}

function machineOptions<K, V>(
  { snapshot, trim, sessions, check }: MapOptions<K, V>,
  initial: () => MapState,
): MachineOptions<MapState, Buffer, boolean | undefined> {
  return {
    initial,
    apply: (state, command, context) => state.apply(command, context),
    commands: commandBytes,
    state: mapStateCodec(initial),
    ...{ snapshot, trim, sessions, check },
  }
}

/** A mistake must not pass for nothing to set. */
function pairsOf<K, V>(entries: Iterable<readonly [K, V]>): (readonly [K, V])[] {
  if (typeof (entries as Iterable<unknown> | undefined)?.[Symbol.iterator] !== 'function') {
    throw invalid('setMany takes an iterable of [key, value], such as an array or a Map')
  }
  const pairs = [...entries]
  for (const pair of pairs) {
    if (Array.isArray(pair) && pair.length === 2) continue
    throw invalid('setMany takes an iterable of [key, value], and this has something else in it')
  }
  return pairs
}

function present<V>(value: V): V {
  if (value === undefined) throw invalid('a value must not be undefined: use delete')
  return value
}

/** Returns the time to live. */
function checkSetOptions(options: SetOptions): number | undefined {
  checkNames(options, ['ttlMs', 'session', 'request'], 'set')
  const { ttlMs } = options
  return ttlMs === undefined ? undefined : checkCount(ttlMs, 'ttlMs', 1, TIMESTAMP_MS_MAX)
}

function encoded<T>(codec: Codec<T>, value: T, what: string): Uint8Array | string {
  const bytes = codec.encode(value)
  if (typeof bytes === 'string' || bytes instanceof Uint8Array) return bytes
  throw invalid(`the codec of ${what} must give a Uint8Array or a string, not ${String(bytes)}`)
}

function invalid(message: string): TidemarkError {
  return new TidemarkError('INVALID_ARGUMENT', message)
}
