import {
  CACHE_BYTES_DEFAULT,
  ENTRY_BYTES_DEFAULT,
  ENTRY_BYTES_MAX,
  INDEX_INTERVAL_BYTES_DEFAULT,
  OFFSET_MAX,
  PENDING_BYTES_DEFAULT,
  SEGMENT_BYTES_DEFAULT,
  SEGMENT_BYTES_MAX,
  SEGMENT_BYTES_MIN,
  TERM_MAX,
  TIMESTAMP_MS_MAX,
  TidemarkError,
} from '../base/index.ts'
import type { Clock, Files, Random } from '../io/index.ts'
import { nodeClock, nodeFiles, nodeRandom } from '../io/index.ts'
import type { Codec, InputOf } from './codec.ts'
import type { AppendOptions, ReadOptions } from './commit-log.ts'
import type { CursorOptions } from './cursor.ts'
import { ENTRY_HEADER_BYTES, TYPE_DATA, TYPE_MAX, TYPE_USER_MIN } from './entry-format.ts'
import type { FolderLock } from './folder-lock.ts'
import { isCursorName } from './names.ts'

/**
 * When an append counts as safe. `always`: once it is on the disk. `{ intervalMs }`: once it is in the
 * kernel; a sync of it begins at most so many ms later. `never`: once it is in the kernel.
 */
export type SyncPolicy = 'always' | 'never' | { readonly intervalMs: number }

/** When the log gives up its oldest segments by itself, whoever has read them or not. */
export interface Retention {
  /** Segments go whose newest entry is older than this, in ms. */
  readonly maxAgeMs?: number | undefined
  /** The oldest segments go while the stores hold more bytes than this. */
  readonly maxBytes?: number | undefined
}

export interface LogOptions<T = Buffer, I = InputOf<T>> {
  /** `append` (the default) creates the log if there is none and is its one writer; `read` only looks. */
  readonly mode?: 'append' | 'read' | undefined
  readonly sync?: SyncPolicy | undefined
  readonly codec?: Codec<T, I> | undefined
  /** A new segment begins when the active one would grow beyond this; 64 MiB by default. */
  readonly segmentBytes?: number | undefined
  /** A new segment begins with the first append when the active one is older than this. */
  readonly segmentAgeMs?: number | undefined
  /** The largest entry that may be appended; 16 MiB by default. */
  readonly maxEntryBytes?: number | undefined
  /** Bytes that may wait for the disk before appends are rejected with OVERLOADED; 64 MiB by default. */
  readonly maxPendingBytes?: number | undefined
  /** One index point for each so many bytes of store, 4 KiB by default; 1 makes one for every entry. */
  readonly indexIntervalBytes?: number | undefined
  /** What `get` may keep of the log in memory; 48 MiB by default. */
  readonly cacheBytes?: number | undefined
  /**
   * Who raises the low-water mark: `manual` (the default), calls of `trim`; `slowest-cursor`, also the log
   * itself, to the lowest position of all cursors, when a segment is sealed and on opening.
   */
  readonly trim?: 'manual' | 'slowest-cursor' | undefined
  /** What to give up by itself when a segment is sealed and on opening; nothing by default. */
  readonly retention?: Retention | undefined
  /** Reserve disk space ahead of the writes under `sync: 'always'`; true by default. */
  readonly preallocate?: boolean | undefined
  /** The lock of a data folder that this log lies in, instead of a lock of its own. */
  readonly lock?: FolderLock | undefined
  /** Reading only: how often to look for what the writer has added; 5 ms by default. */
  readonly pollMs?: number | undefined
  /** The high-water mark is moved by the host of a replica, not by the sync. Damage does not refuse. */
  readonly replica?: boolean | undefined
  /** Read through the last segment when opening, also if the last writer had closed the log: damage shows then. */
  readonly recheck?: boolean | undefined
  /**
   * For a replica: sealed segments that are read through when opening, by the names of their stores, as errors have
   * them; damage there is then the replica's to repair. Names that are not there any more are passed over.
   */
  readonly examine?: 'all' | readonly string[] | undefined
  readonly files?: Files | undefined
  readonly clock?: Clock | undefined
  readonly random?: Random | undefined
}

/** The options with every default filled in. */
export interface LogSettings {
  readonly mode: 'append' | 'read'
  readonly sync: SyncPolicy
  readonly segmentBytes: number
  readonly segmentAgeMs: number
  readonly maxEntryBytes: number
  readonly maxPendingBytes: number
  readonly indexIntervalBytes: number
  readonly cacheBytes: number
  readonly trim: 'manual' | 'slowest-cursor'
  readonly retention: Retention | undefined
  readonly preallocate: boolean
  readonly lock: FolderLock | undefined
  readonly pollMs: number
  readonly replica: boolean
  readonly recheck: boolean
  readonly examine: 'all' | readonly string[]
  readonly files: Files
  readonly clock: Clock
  readonly random: Random
}

const LOG_OPTION_NAMES = [
  'mode',
  'sync',
  'codec',
  'segmentBytes',
  'segmentAgeMs',
  'maxEntryBytes',
  'maxPendingBytes',
  'indexIntervalBytes',
  'cacheBytes',
  'trim',
  'retention',
  'preallocate',
  'lock',
  'pollMs',
  'replica',
  'recheck',
  'examine',
  'files',
  'clock',
  'random',
]

const READ_OPTION_NAMES = ['from', 'to', 'fromTimestamp', 'follow', 'reverse', 'signal']
const CURSOR_OPTION_NAMES = ['from', 'follow', 'signal']
const APPEND_OPTION_NAMES = ['type', 'timestamp', 'count']

function invalid(message: string): TidemarkError {
  return new TidemarkError('INVALID_ARGUMENT', message)
}

/** Throws INVALID_ARGUMENT for a name that is not an option: a misspelt option must not pass silently. */
export function checkNames(options: object, names: readonly string[], what: string): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    const found = Array.isArray(options) ? 'an array' : String(options)
    throw invalid(`${what} must be an object, not ${found}`)
  }
  for (const [name, value] of Object.entries(options)) {
    // Only undefined means "not given": a null is a value that someone meant to set.
    if (value === null) throw invalid(`${name} must not be null; leave it out for the default`)
    if (names.includes(name)) continue
    throw invalid(`unknown ${what.replace(/s$/, '')} "${name}"; there is ${names.join(', ')}`)
  }
}

/** A value as a message shows it: a string is told from a number. */
function shown(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value) : String(value)
}

export function checkInteger(value: unknown, name: string, min: number, max: number): number {
  if (Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max) {
    return value as number
  }
  throw invalid(`${name} must be an integer from ${min} to ${max}, not ${shown(value)}`)
}

function boolean(value: unknown, name: string): boolean {
  if (typeof value === 'boolean') return value
  throw invalid(`${name} must be true or false, not ${String(value)}`)
}

function syncPolicy(value: unknown): SyncPolicy {
  if (value === 'always' || value === 'never') return value
  if (typeof value === 'object' && value !== null && 'intervalMs' in value) {
    checkNames(value, ['intervalMs'], 'sync options')
    return { intervalMs: checkInteger(value.intervalMs, 'sync.intervalMs', 1, 3_600_000) }
  }
  throw invalid(`sync must be "always", "never" or { intervalMs }, not ${JSON.stringify(value)}`)
}

function examined(value: unknown): 'all' | readonly string[] {
  const isNames = Array.isArray(value) && value.every((name) => typeof name === 'string')
  if (value === 'all' || isNames) return value
  throw invalid(`examine must be "all" or an array of file names, not ${JSON.stringify(value)}`)
}

/** Checks that an option is an object with these methods, by its parts and not by its class. */
export function checkMethods(value: unknown, name: string, methods: readonly string[]): void {
  if (value === undefined) return
  for (const method of methods) {
    const isThere = typeof (value as Record<string, unknown> | null)?.[method] === 'function'
    if (!isThere) throw invalid(`${name} must be an object with the method ${method}`)
  }
}

function trimPolicy(value: unknown): 'manual' | 'slowest-cursor' {
  if (value === 'manual' || value === 'slowest-cursor') return value
  throw invalid(`trim must be "manual" or "slowest-cursor", not ${JSON.stringify(value)}`)
}

function retentionOf(value: Retention): Retention {
  checkNames(value, ['maxAgeMs', 'maxBytes'], 'retention options')
  const { maxAgeMs, maxBytes } = value
  if (maxAgeMs !== undefined) checkInteger(maxAgeMs, 'retention.maxAgeMs', 1, TIMESTAMP_MS_MAX)
  if (maxBytes !== undefined) checkInteger(maxBytes, 'retention.maxBytes', 1, OFFSET_MAX)
  return { ...value }
}

/** The low-water mark of a replica is its host's to raise: all replicas must agree on it. */
function checkReplica(settings: LogSettings): LogSettings {
  if (!settings.replica && settings.examine.length > 0) {
    throw invalid('examine is for a log with { replica: true }: of others see `verifyLog`')
  }
  if (!settings.replica || (settings.trim === 'manual' && !settings.retention)) return settings
  throw invalid('a log with { replica: true } is trimmed by its host: neither trim nor retention')
}

/** Checks the options of a log and fills in the defaults. Throws INVALID_ARGUMENT. */
export function logSettings(options: Omit<LogOptions, 'codec'>): LogSettings {
  checkNames(options, LOG_OPTION_NAMES, 'log options')
  checkMethods((options as { codec?: unknown }).codec, 'codec', ['encode', 'decode'])
  checkMethods(options.lock, 'lock', ['covers', 'release'])
  checkMethods(options.files, 'files', ['openSync', 'listSync', 'lockSync', 'syncDirectory'])
  checkMethods(options.clock, 'clock', ['now', 'monotonic', 'after', 'settled'])
  checkMethods(options.random, 'random', ['uint32'])
  const { mode = 'append' } = options
  if (mode !== 'append' && mode !== 'read') {
    throw invalid(`mode must be "append" or "read", not ${JSON.stringify(mode)}`)
  }
  const maxEntryBytes = checkInteger(
    options.maxEntryBytes ?? ENTRY_BYTES_DEFAULT,
    'maxEntryBytes',
    1,
    ENTRY_BYTES_MAX,
  )
  const segmentBytes = options.segmentBytes ?? SEGMENT_BYTES_DEFAULT
  const pendingDefault = Math.max(PENDING_BYTES_DEFAULT, maxEntryBytes + ENTRY_HEADER_BYTES)
  const interval = options.indexIntervalBytes ?? INDEX_INTERVAL_BYTES_DEFAULT
  return checkReplica({
    mode,
    sync: syncPolicy(options.sync ?? 'always'),
    segmentBytes: checkInteger(segmentBytes, 'segmentBytes', SEGMENT_BYTES_MIN, SEGMENT_BYTES_MAX),
    segmentAgeMs:
      options.segmentAgeMs === undefined
        ? Number.POSITIVE_INFINITY
        : checkInteger(options.segmentAgeMs, 'segmentAgeMs', 1, TIMESTAMP_MS_MAX),
    maxEntryBytes,
    maxPendingBytes: checkInteger(
      options.maxPendingBytes ?? pendingDefault,
      'maxPendingBytes',
      maxEntryBytes + ENTRY_HEADER_BYTES,
      2 * ENTRY_BYTES_MAX,
    ),
    indexIntervalBytes: checkInteger(interval, 'indexIntervalBytes', 1, SEGMENT_BYTES_MAX),
    cacheBytes: checkInteger(
      options.cacheBytes ?? CACHE_BYTES_DEFAULT,
      'cacheBytes',
      0,
      OFFSET_MAX,
    ),
    trim: trimPolicy(options.trim ?? 'manual'),
    retention: options.retention === undefined ? undefined : retentionOf(options.retention),
    preallocate: boolean(options.preallocate ?? true, 'preallocate'),
    lock: options.lock,
    pollMs: checkInteger(options.pollMs ?? 5, 'pollMs', 1, 60_000),
    replica: boolean(options.replica ?? false, 'replica'),
    recheck: boolean(options.recheck ?? false, 'recheck'),
    examine: examined(options.examine ?? []),
    files: options.files ?? nodeFiles,
    clock: options.clock ?? nodeClock,
    random: options.random ?? nodeRandom,
  })
}

/**
 * Checks the options of what opens several logs: those of a log, and the names of its own, whose values it
 * checks itself. Throws INVALID_ARGUMENT.
 */
export function checkSharedOptions(options: object, own: readonly string[]): LogSettings {
  checkNames(options, [...own, ...LOG_OPTION_NAMES], 'options')
  const shared = Object.entries(options).filter(([name]) => !own.includes(name))
  return logSettings(Object.fromEntries(shared))
}

/** Checks the options of a read. Throws INVALID_ARGUMENT. */
export function checkReadOptions(options: ReadOptions): void {
  checkNames(options, READ_OPTION_NAMES, 'read options')
  if (options.from !== undefined) checkInteger(options.from, 'from', 0, OFFSET_MAX)
  if (options.to !== undefined) checkInteger(options.to, 'to', 0, OFFSET_MAX)
  if (options.fromTimestamp !== undefined) {
    checkInteger(options.fromTimestamp, 'fromTimestamp', 0, TIMESTAMP_MS_MAX)
    if (options.from !== undefined) throw invalid('give either from or fromTimestamp, not both')
  }
  if (options.follow !== undefined) boolean(options.follow, 'follow')
  if (options.reverse !== undefined) boolean(options.reverse, 'reverse')
  checkMethods(options.signal, 'signal', ['addEventListener', 'throwIfAborted'])
  if (options.follow && options.reverse) throw invalid('follow and reverse exclude each other')
}

/** Checks the options of a cursor, or of a reading by one. Throws INVALID_ARGUMENT. */
export function checkCursorOptions(options: CursorOptions): void {
  checkNames(options, CURSOR_OPTION_NAMES, 'cursor options')
  if (options.from !== undefined) checkCursorStart(options.from, 'from')
  if (options.follow !== undefined) boolean(options.follow, 'follow')
  checkMethods(options.signal, 'signal', ['addEventListener', 'throwIfAborted'])
}

function checkFunction(value: unknown, name: string): void {
  if (typeof value !== 'function') throw invalid(`${name} must be a function, not ${shown(value)}`)
}

/** The options of what is done to a whole log, each with its check. */
const TOOL_OPTIONS = {
  clock: (value: unknown) => checkMethods(value, 'clock', ['now', 'monotonic', 'after', 'settled']),
  dryRun: (value: unknown) => boolean(value, 'dryRun'),
  files: (value: unknown) => checkMethods(value, 'files', ['openSync', 'listSync', 'lockSync']),
  lock: (value: unknown) => checkMethods(value, 'lock', ['covers', 'release']),
  onProgress: (value: unknown) => checkFunction(value, 'onProgress'),
  random: (value: unknown) => checkMethods(value, 'random', ['uint32']),
  signal: (value: unknown) => checkMethods(value, 'signal', ['addEventListener', 'throwIfAborted']),
  skip: (value: unknown) => boolean(value, 'skip'),
  unrecognized: (value: unknown) => boolean(value, 'unrecognized'),
}

/** Checks the options of a call that has those of the given names. Throws INVALID_ARGUMENT. */
export function checkToolOptions(
  options: object,
  names: readonly (keyof typeof TOOL_OPTIONS)[],
): void {
  checkNames(options, names, 'options')
  for (const name of names) {
    const value = (options as Record<string, unknown>)[name]
    if (value !== undefined) TOOL_OPTIONS[name](value)
  }
}

/** Checks where a cursor shall be put: `start`, `end` or an offset. Throws INVALID_ARGUMENT. */
export function checkCursorStart(value: unknown, name: string): void {
  if (value === 'start' || value === 'end') return
  if (typeof value === 'number') checkOffset(value, name)
  else throw invalid(`${name} must be "start", "end" or an offset, not ${JSON.stringify(value)}`)
}

/** Checks the name of a cursor. Throws INVALID_ARGUMENT. */
export function checkCursorName(name: unknown): void {
  if (typeof name === 'string' && isCursorName(name)) return
  throw invalid(
    `a cursor's name has 1 to 100 of a-z, 0-9, ".", "_" and "-", begins with a letter or a digit, and is not that of a device; ${JSON.stringify(name)} is not one`,
  )
}

export function checkOffset(value: unknown, name: string): number {
  return checkInteger(value, name, 0, OFFSET_MAX)
}

export function checkTerm(value: unknown, name: string): number {
  return checkInteger(value, name, 0, TERM_MAX)
}

/** Checks the options of an append. Throws INVALID_ARGUMENT. */
export function checkAppendOptions(options: AppendOptions): void {
  checkNames(options, APPEND_OPTION_NAMES, 'append options')
  const { type, timestamp, count } = options
  if (type !== undefined && type !== TYPE_DATA) {
    checkInteger(type, `type, if it is not ${TYPE_DATA},`, TYPE_USER_MIN, TYPE_MAX)
  }
  if (timestamp !== undefined) checkInteger(timestamp, 'timestamp', 0, TIMESTAMP_MS_MAX)
  if (count !== undefined) checkInteger(count, 'count', 1, 2 ** 31)
}
