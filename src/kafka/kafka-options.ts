import { MIB, TidemarkError } from '../base/index.ts'
import type { Address, Clock, Files, Random } from '../io/index.ts'
import { nodeClock, nodeFiles, nodeRandom, parseAddress } from '../io/index.ts'
import { type Codec, checkInteger, checkMethods, checkNames, type InputOf } from '../log/index.ts'

export interface KafkaTls {
  /** Certificates of whoever may have signed the brokers', in PEM; those that Node knows by default. */
  readonly ca?: string | Buffer | undefined
  /** This program's certificate and key in PEM, where the brokers ask for one. */
  readonly cert?: string | Buffer | undefined
  readonly key?: string | Buffer | undefined
}

export interface KafkaSasl {
  readonly mechanism: 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512' | 'OAUTHBEARER'
  readonly username?: string | undefined
  readonly password?: string | undefined
  /** For OAUTHBEARER. */
  readonly token?: string | undefined
}

/** How a topic is made that there is not yet. */
export interface KafkaTopicDesign {
  /** 1 by default. */
  readonly partitions?: number | undefined
  /** How many brokers keep each entry; the brokers' own default if it is left out. */
  readonly replicas?: number | undefined
  /**
   * Kafka's settings of the topic, by their names, such as `{ 'min.insync.replicas': '2' }`. Unless they say otherwise,
   * nothing is deleted for its age or size (`retention.ms` and `retention.bytes` are -1): `trim` does that.
   */
  readonly configs?: Readonly<Record<string, string>> | undefined
}

export interface KafkaLogOptions<T = Buffer, I = InputOf<T>> {
  /** Some of the brokers, each `host:port`; the others are learnt from them. */
  readonly brokers: string | readonly string[]
  readonly topic: string
  /** The partition of the topic that is the log; 0 by default. */
  readonly partition?: number | undefined
  readonly tls?: boolean | KafkaTls | undefined
  readonly sasl?: KafkaSasl | undefined
  /** What the brokers' logs and quotas know this program by; `tidemark` by default. */
  readonly clientId?: string | undefined
  readonly codec?: Codec<T, I> | undefined
  /** A folder for snapshots, which Kafka has no place for. Without it there are none. */
  readonly dir?: string | undefined
  /** Makes the topic if there is none. Without it, that is NOT_FOUND. */
  readonly create?: KafkaTopicDesign | undefined
  /**
   * `read_committed` (the default): what belongs to a transaction is shown when it is committed, and never if it is
   * aborted. `read_uncommitted`: all that the replicas have is shown.
   */
  readonly isolation?: 'read_committed' | 'read_uncommitted' | undefined
  readonly compression?: 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd' | undefined
  /** How long a call tries before it is UNAVAILABLE or UNCERTAIN; 30 s by default. */
  readonly timeoutMs?: number | undefined
  /** Bytes that may wait to be sent before appends are rejected with OVERLOADED; 64 MiB by default. */
  readonly maxPendingBytes?: number | undefined
  readonly files?: Files | undefined
  readonly clock?: Clock | undefined
  readonly random?: Random | undefined
}

/** The options with every default filled in. */
export interface KafkaSettings {
  readonly brokers: readonly Address[]
  readonly topic: string
  readonly partition: number
  readonly tls: TlsSettings | undefined
  readonly sasl: SaslSettings | undefined
  readonly clientId: string
  readonly dir: string | undefined
  readonly create: KafkaTopicDesign | undefined
  readonly isCommittedOnly: boolean
  readonly compression: 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd'
  readonly timeoutMs: number
  /** For a connection to come about, and for an answer to come. */
  readonly connectMs: number
  readonly requestMs: number
  readonly maxPendingBytes: number
  readonly files: Files
  readonly clock: Clock
  readonly random: Random
}

/** As Node wants it. */
interface TlsSettings {
  ca?: string | Buffer
  cert?: string | Buffer
  key?: string | Buffer
}

/** As the client wants it. */
interface SaslSettings {
  mechanism: KafkaSasl['mechanism']
  username?: string
  password?: string
  token?: string
}

const OPTION_NAMES = [
  'brokers',
  'topic',
  'partition',
  'tls',
  'sasl',
  'clientId',
  'codec',
  'dir',
  'create',
  'isolation',
  'compression',
  'timeoutMs',
  'maxPendingBytes',
  'files',
  'clock',
  'random',
]

/** Kafka's own rule for the name of a topic. */
const TOPIC_NAME = /^(?!\.\.?$)[a-zA-Z0-9._-]{1,249}$/
const PARTITION_MAX = 2 ** 31 - 1
const MS_MAX = 3_600_000
/** So many brokers at least may be silent before the time is over. */
const TRIES_MIN = 3
/** No single request may use up the whole time: another broker may have to be asked. */
const REQUEST_MS_MAX = 10_000
const CONNECT_MS_MAX = 5_000

/** Throws INVALID_ARGUMENT. */
export function kafkaSettings(options: KafkaLogOptions<never, never>): KafkaSettings {
  checkNames(options, OPTION_NAMES, 'Kafka options')
  checkMethods(options.codec, 'codec', ['encode', 'decode'])
  checkMethods(options.files, 'files', ['openSync', 'listSync', 'lockSync', 'syncDirectory'])
  checkMethods(options.clock, 'clock', ['now', 'monotonic', 'after', 'settled'])
  checkMethods(options.random, 'random', ['uint32'])
  const { isolation = 'read_committed', compression = 'none' } = options
  oneOf(isolation, 'isolation', ['read_committed', 'read_uncommitted'])
  oneOf(compression, 'compression', ['none', 'gzip', 'snappy', 'lz4', 'zstd'])
  const timeoutMs = checkInteger(options.timeoutMs ?? 30_000, 'timeoutMs', 1, MS_MAX)
  return {
    brokers: brokersOf(options.brokers),
    topic: topicName(options.topic),
    partition: checkInteger(options.partition ?? 0, 'partition', 0, PARTITION_MAX),
    tls: options.tls === undefined ? undefined : tlsSettings(options.tls),
    sasl: options.sasl === undefined ? undefined : saslSettings(options.sasl),
    clientId: text(options.clientId ?? 'tidemark', 'clientId'),
    dir: options.dir === undefined ? undefined : text(options.dir, 'dir'),
    create: options.create === undefined ? undefined : checkDesign(options.create),
    isCommittedOnly: isolation === 'read_committed',
    compression,
    timeoutMs,
    connectMs: Math.min(Math.ceil(timeoutMs / TRIES_MIN), CONNECT_MS_MAX),
    requestMs: Math.min(Math.ceil(timeoutMs / TRIES_MIN), REQUEST_MS_MAX),
    maxPendingBytes: checkInteger(
      options.maxPendingBytes ?? 64 * MIB,
      'maxPendingBytes',
      1,
      Number.MAX_SAFE_INTEGER,
    ),
    files: options.files ?? nodeFiles,
    clock: options.clock ?? nodeClock,
    random: options.random ?? nodeRandom,
  }
}

function brokersOf(value: unknown): Address[] {
  const list = typeof value === 'string' ? value.split(',') : value
  if (!Array.isArray(list) || list.length === 0) {
    throw invalid('brokers must be "host:port", several of them with commas, or an array of them')
  }
  return list.map((each) => {
    const address = parseAddress(text(each, 'a broker').trim(), 'a broker')
    if (address.port > 0) return address
    throw invalid(`a broker has a port: ${JSON.stringify(each)} does not`)
  })
}

function topicName(value: unknown): string {
  if (typeof value === 'string' && TOPIC_NAME.test(value)) return value
  throw invalid(
    `the name of a topic has 1 to 249 of letters, digits, ".", "_" and "-"; ${JSON.stringify(value)} is not one`,
  )
}

function tlsSettings(tls: boolean | KafkaTls): TlsSettings | undefined {
  if (typeof tls === 'boolean') return tls ? {} : undefined
  checkNames(tls, ['ca', 'cert', 'key'], 'tls options')
  for (const [name, value] of Object.entries(tls)) {
    if (value === undefined || typeof value === 'string' || Buffer.isBuffer(value)) continue
    throw invalid(`tls.${name} must be a string or a Buffer, in PEM`)
  }
  if ((tls.cert === undefined) !== (tls.key === undefined)) {
    throw invalid('tls.cert and tls.key go together')
  }
  const { ca, cert, key } = tls
  return { ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) }
}

function saslSettings(sasl: KafkaSasl): SaslSettings {
  checkNames(sasl, ['mechanism', 'username', 'password', 'token'], 'sasl options')
  const { mechanism } = sasl
  oneOf(mechanism, 'sasl.mechanism', ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512', 'OAUTHBEARER'])
  if (mechanism === 'OAUTHBEARER') return { mechanism, token: secret(sasl.token, 'sasl.token') }
  const username = text(sasl.username, 'sasl.username')
  return { mechanism, username, password: secret(sasl.password, 'sasl.password') }
}

function checkDesign(design: KafkaTopicDesign): KafkaTopicDesign {
  checkNames(design, ['partitions', 'replicas', 'configs'], 'create options')
  const { partitions, replicas, configs } = design
  if (partitions !== undefined) checkInteger(partitions, 'create.partitions', 1, 1_000_000)
  if (replicas !== undefined) checkInteger(replicas, 'create.replicas', 1, 32_767)
  for (const [name, value] of Object.entries(configs ?? {})) {
    if (typeof value !== 'string') throw invalid(`create.configs["${name}"] must be a string`)
  }
  return design
}

function oneOf(value: unknown, name: string, allowed: readonly string[]): void {
  if (typeof value === 'string' && allowed.includes(value)) return
  const list = allowed.map((each) => JSON.stringify(each)).join(', ')
  throw invalid(`${name} must be one of ${list}, not ${JSON.stringify(value)}`)
}

/** As {@link text}, but the message does not show it. */
function secret(value: unknown, name: string): string {
  if (typeof value === 'string' && value !== '') return value
  throw invalid(`${name} must be a string that is not empty`)
}

function text(value: unknown, name: string): string {
  if (typeof value === 'string' && value !== '') return value
  throw invalid(`${name} must be a string that is not empty, not ${JSON.stringify(value)}`)
}

function invalid(message: string): TidemarkError {
  return new TidemarkError('INVALID_ARGUMENT', message)
}
