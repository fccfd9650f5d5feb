import { ENTRY_BYTES_DEFAULT, SEGMENT_BYTES_DEFAULT, TidemarkError } from '../base/index.ts'
import {
  type Clock,
  type Files,
  nodeClock,
  nodeFiles,
  nodeRandom,
  parseAddress,
  type Random,
} from '../io/index.ts'
import type { Codec, Retention } from '../log/index.ts'
import { type LogDesign, REPLICAS_DEFAULT } from './catalog-state.ts'
import type { ReplicaId } from './core/index.ts'
import type { MemberSettings } from './member-context.ts'
import type { TlsOptions } from './transport/index.ts'

export interface MemberOptions {
  /** 1 to 2^32 - 1; never used for another member. */
  readonly id: ReplicaId
  /** All members of a cluster say the same; `tidemark` by default. */
  readonly cluster?: string | undefined
  /** The folder of this member, which it locks. */
  readonly dir: string
  /** Where to listen, `host:port`; port 0: any, see `Member.address`. */
  readonly listen: string
  /**
   * Members by id, this one included: `host:port`, resolved anew with each connection. On the first start these are the
   * cluster's members, the same on each of them; afterwards they say where members are, and the cluster knows who is
   * one.
   */
  readonly peers: Readonly<Record<number, string>>
  /** The first start only: the cluster exists, and this member is, or will be, added to it by `addMember`. */
  readonly join?: boolean | undefined
  /** Both sides of a connection prove that they know it; it is never sent. */
  readonly secret?: string | undefined
  /** Mutual TLS. */
  readonly tls?: TlsOptions | undefined
  /** How often a leader says that it is there, in ms. 100 by default. */
  readonly heartbeatMs?: number | undefined
  /** After so long without a word of it another is elected, in ms, up to twice that. 1,000 by default. */
  readonly electionMs?: number | undefined
  /** How long a call waits for a leader before it is UNAVAILABLE, in ms. 30,000 by default. */
  readonly timeoutMs?: number | undefined
  /** What is read from the disk for members that are behind, in bytes a second. 64 MiB by default. */
  readonly catchUpBytesPerSecond?: number | undefined
  /**
   * How fast the logs are read through in the background, to find damage, in bytes a second: 4 MiB by default; 0: they are
   * not.
   */
  readonly scrubBytesPerSecond?: number | undefined
  readonly files?: Files | undefined
  readonly clock?: Clock | undefined
  readonly random?: Random | undefined
}

export interface ReplicatedLogOptions<T = Buffer, I = T> {
  readonly codec?: Codec<T, I> | undefined
  /** What the leader gives up by itself; of the first who opens the log. Nothing by default. */
  readonly retention?: Retention | undefined
  /** As in `LogOptions`; of the first who opens the log. */
  readonly segmentBytes?: number | undefined
  readonly maxEntryBytes?: number | undefined
  /**
   * On how many members it is kept, as far as there are as many: 1 to 7, 3 by default. An odd number is best: a
   * majority of 4 is no less than one of 5. Of the first who opens the log.
   */
  readonly replicas?: number | undefined
}

const MEMBER_OPTIONS = [
  'id',
  'cluster',
  'dir',
  'listen',
  'peers',
  'join',
  'secret',
  'tls',
  'heartbeatMs',
  'electionMs',
  'timeoutMs',
  'catchUpBytesPerSecond',
  'scrubBytesPerSecond',
  'files',
  'clock',
  'random',
]
const LOG_OPTIONS = ['codec', 'retention', 'segmentBytes', 'maxEntryBytes', 'replicas']

const MIB = 1024 * 1024
const ID_MAX = 2 ** 32 - 1
const MS_MAX = 3_600_000
const REPLICAS_MAX = 7
/** In a frame with others, an entry must have room. */
const ENTRY_BYTES_MAX = 32 * MIB
const SEGMENT_BYTES_MIN = 64 * 1024
const SEGMENT_BYTES_MAX = 1024 * MIB
const CLUSTER_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/
const LOG_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$/

function invalid(text: string): TidemarkError {
  return new TidemarkError('INVALID_ARGUMENT', text)
}

function checkNames(options: unknown, names: readonly string[], what: string): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw invalid(
      `${what} must be an object, not ${Array.isArray(options) ? 'an array' : String(options)}`,
    )
  }
  for (const [name, value] of Object.entries(options)) {
    if (value === null) throw invalid(`${name} must not be null; leave it out for the default`)
    if (names.includes(name)) continue
    throw invalid(`unknown option "${name}" of ${what}; there is ${names.join(', ')}`)
  }
}

function integer(value: unknown, name: string, min: number, max: number): number {
  if (Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max) {
    return value as number
  }
  throw invalid(`${name} must be an integer from ${min} to ${max}, not ${String(value)}`)
}

function text(value: unknown, name: string): string {
  if (typeof value === 'string' && value !== '') return value
  throw invalid(`${name} must be a string that is not empty, not ${JSON.stringify(value)}`)
}

/** The options of a member, checked, with every default filled in. */
export interface CheckedOptions {
  readonly id: ReplicaId
  readonly cluster: string
  readonly dir: string
  readonly listen: string
  /** Who founds the cluster, in order of their ids; nobody, if it exists. */
  readonly voters: readonly ReplicaId[]
  /** The others. */
  readonly peers: ReadonlyMap<ReplicaId, string>
  /** Where the others find this member. */
  readonly ownAddress: string
  readonly secret: string | undefined
  readonly tls: TlsOptions | undefined
  readonly heartbeatMs: number
  readonly electionMs: number
  readonly settings: MemberSettings
  readonly catchUpBytesPerSecond: number
  readonly scrubBytesPerSecond: number
  readonly files: Files
  readonly clock: Clock
  readonly random: Random
}

/** Throws INVALID_ARGUMENT. */
export function checkMemberOptions(options: MemberOptions): CheckedOptions {
  checkNames(options, MEMBER_OPTIONS, 'a member')
  const id = integer(options.id, 'id', 1, ID_MAX)
  const cluster = options.cluster ?? 'tidemark'
  if (typeof cluster !== 'string' || !CLUSTER_NAME.test(cluster)) {
    throw invalid(
      `cluster has 1 to 100 of letters, digits, ".", "_" and "-"; ${JSON.stringify(cluster)} is not one`,
    )
  }
  const peers = peersOf(options.peers, id)
  const heartbeatMs = integer(options.heartbeatMs ?? 100, 'heartbeatMs', 5, MS_MAX)
  const electionMs = integer(options.electionMs ?? 1_000, 'electionMs', 25, MS_MAX)
  if (electionMs < 3 * heartbeatMs) {
    throw invalid(
      `electionMs (${electionMs}) must be at least three times heartbeatMs (${heartbeatMs})`,
    )
  }
  const timeoutMs = integer(options.timeoutMs ?? 30_000, 'timeoutMs', 1, MS_MAX)
  return {
    id,
    cluster,
    dir: text(options.dir, 'dir'),
    listen: text(options.listen, 'listen'),
    voters: isJoining(options) ? [] : [...peers.keys()].sort((a, b) => a - b),
    ownAddress: peers.get(id)!,
    peers: new Map([...peers].filter(([peer]) => peer !== id)),
    secret: options.secret === undefined ? undefined : text(options.secret, 'secret'),
    tls: options.tls === undefined ? undefined : checkTls(options.tls),
    heartbeatMs,
    electionMs,
    settings: settingsOf(heartbeatMs, electionMs, timeoutMs),
    catchUpBytesPerSecond: integer(
      options.catchUpBytesPerSecond ?? 64 * MIB,
      'catchUpBytesPerSecond',
      1024,
      Number.MAX_SAFE_INTEGER,
    ),
    scrubBytesPerSecond: integer(
      options.scrubBytesPerSecond ?? 4 * MIB,
      'scrubBytesPerSecond',
      0,
      Number.MAX_SAFE_INTEGER,
    ),
    files: options.files ?? nodeFiles,
    clock: options.clock ?? nodeClock,
    random: options.random ?? nodeRandom,
  }
}

/** Throws INVALID_ARGUMENT unless this could be a member and where it is. */
export function checkMember(id: unknown, address: unknown): void {
  integer(id, 'the id of a member', 1, ID_MAX)
  const { port } = parseAddress(text(address, 'the address of a member'), 'the address of a member')
  if (port === 0) throw invalid(`the address of a member has no port: ${JSON.stringify(address)}`)
}

function isJoining({ join = false }: MemberOptions): boolean {
  if (typeof join === 'boolean') return join
  throw invalid(`join must be true or false, not ${String(join)}`)
}

function checkTls(tls: TlsOptions): TlsOptions {
  checkNames(tls, ['cert', 'key', 'ca', 'names'], 'tls')
  for (const name of ['cert', 'key', 'ca'] as const) {
    const isGiven =
      (typeof tls[name] === 'string' || Buffer.isBuffer(tls[name])) && tls[name].length > 0
    if (!isGiven) throw invalid(`tls.${name} must be a string or a Buffer, in PEM`)
  }
  return tls
}

function peersOf(value: unknown, own: ReplicaId): Map<ReplicaId, string> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalid('peers must be an object: all members by id, each "host:port"')
  }
  const peers = new Map<ReplicaId, string>()
  for (const [key, address] of Object.entries(value)) {
    const id = integer(Number(key), `an id in peers ("${key}")`, 1, ID_MAX)
    if (peers.has(id)) throw invalid(`peers has member ${id} twice`)
    peers.set(id, text(address, `peers[${key}]`))
  }
  if (!peers.has(own)) throw invalid(`peers must have this member too: there is no ${own} in it`)
  return peers
}

/** One tick is a heartbeat. */
function settingsOf(heartbeatMs: number, electionMs: number, timeoutMs: number): MemberSettings {
  return {
    host: {
      electionTicks: Math.max(3, Math.round(electionMs / heartbeatMs)),
      heartbeatTicks: 1,
      appendBytesMax: MIB,
      inflightMax: 64,
      inflightBytesMax: 8 * MIB,
      uncommittedBytesMax: 64 * MIB,
      recentBytesMax: 2 * MIB,
    },
    pipeline: {
      timeoutMs,
      groupBytesMax: MIB,
      underWayMax: 32,
      waitingBytesMax: 64 * MIB,
    },
    timeoutMs,
    retentionMs: 5_000,
  }
}

/** Throws INVALID_ARGUMENT. */
export function checkLogName(name: unknown): string {
  if (typeof name === 'string' && LOG_NAME.test(name)) return name
  throw invalid(
    `the name of a log has 1 to 200 of letters, digits, ".", "_" and "-", and begins with a letter or a digit; ${JSON.stringify(name)} is not one`,
  )
}

/** Throws INVALID_ARGUMENT. */
export function checkScrubOptions(options: object): void {
  checkNames(options, ['log', 'signal', 'onProgress'], 'a scrub')
}

/** Throws INVALID_ARGUMENT. */
export function checkCursorOptions(name: unknown, options: object): void {
  checkNames(options, ['from', 'follow', 'signal'], 'a cursor')
  if (typeof name === 'string' && LOG_NAME.test(name)) return
  throw invalid(
    `the name of a cursor has 1 to 200 of letters, digits, ".", "_" and "-"; ${JSON.stringify(name)} is not one`,
  )
}

/** What a log is made with, if it is made. Throws INVALID_ARGUMENT. */
export function checkLogOptions(options: ReplicatedLogOptions<never, never>): LogDesign {
  checkNames(options, LOG_OPTIONS, 'a log')
  const { codec, retention } = options
  if (codec && (typeof codec.encode !== 'function' || typeof codec.decode !== 'function')) {
    throw invalid('codec must be an object with the methods encode and decode')
  }
  const segmentBytes = options.segmentBytes ?? SEGMENT_BYTES_DEFAULT
  const maxEntryBytes = options.maxEntryBytes ?? ENTRY_BYTES_DEFAULT
  return {
    segmentBytes: integer(segmentBytes, 'segmentBytes', SEGMENT_BYTES_MIN, SEGMENT_BYTES_MAX),
    maxEntryBytes: integer(maxEntryBytes, 'maxEntryBytes', 1, ENTRY_BYTES_MAX),
    replicas: integer(options.replicas ?? REPLICAS_DEFAULT, 'replicas', 1, REPLICAS_MAX),
    ...(retention && { retention: checkRetention(retention) }),
  }
}

/** In one order of its parts, so that two can be compared as text. */
function checkRetention(retention: Retention): Retention {
  checkNames(retention, ['maxAgeMs', 'maxBytes'], 'retention')
  for (const [name, value] of Object.entries(retention)) {
    if (value !== undefined) integer(value, `retention.${name}`, 1, Number.MAX_SAFE_INTEGER)
  }
  const { maxAgeMs, maxBytes } = retention
  return {
    ...(maxAgeMs !== undefined && { maxAgeMs }),
    ...(maxBytes !== undefined && { maxBytes }),
  }
}

/** Throws INVALID_ARGUMENT if a log was made otherwise than these options say. */
export function checkSameDesign(
  name: string,
  design: LogDesign,
  options: ReplicatedLogOptions<never, never>,
): void {
  const checked = checkLogOptions(options)
  for (const key of ['segmentBytes', 'maxEntryBytes', 'retention', 'replicas'] as const) {
    const asked = options[key] === undefined ? undefined : checked[key]
    if (asked === undefined || JSON.stringify(asked) === JSON.stringify(design[key])) continue
    throw invalid(
      `the log ${name} was made with ${key} ${JSON.stringify(design[key])}, not ${JSON.stringify(asked)}`,
    )
  }
}
