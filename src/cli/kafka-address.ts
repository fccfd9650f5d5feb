import { readFileSync } from 'node:fs'
import { parseAddress } from '../io/index.ts'
import type { KafkaLogOptions } from '../kafka/index.ts'
import { type Arguments, quoted, UsageError } from './arguments.ts'
import type { CommandShape } from './command.ts'
import { durationMs } from './time.ts'

const PREFIX = 'kafka://'
const PASSWORD = 'TIDEMARK_KAFKA_PASSWORD'
/** How the address of a log on Kafka is written. */
export const KAFKA_ADDRESS =
  'kafka://[user@]host:port[,host:port...]/topic[/partition][?name=value&...]'

const MECHANISMS = {
  plain: 'PLAIN',
  'scram-sha-256': 'SCRAM-SHA-256',
  'scram-sha-512': 'SCRAM-SHA-512',
} as const
const ISOLATIONS = ['read_committed', 'read_uncommitted'] as const
const COMPRESSIONS = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const
const SWITCH = ['true', 'false'] as const
const TIMEOUT_MS_MAX = 3_600_000
const PARTITIONS_MAX = 1_000_000
const REPLICAS_MAX = 32_767

/** What can stand in the query of an address, and what the help says of it. */
export const KAFKA_QUERY = {
  tls: 'true: by TLS. So it is with ca or cert, too',
  ca: 'a file with the certificates to trust, in PEM; those that Node knows by default',
  cert: "a file with this program's certificate; with key",
  key: 'a file with its key',
  sasl: `${Object.keys(MECHANISMS).join(', ')}: how the user is known, plain by default. The password is in ${PASSWORD}`,
  isolation: 'read_uncommitted: what belongs to open and aborted transactions is shown, too',
  compression: 'gzip, snappy, lz4 or zstd: of what is appended; none by default',
  timeout: 'how long brokers are waited for, such as 500ms, 10s or 1m; 30s by default',
  dir: 'a folder for the snapshots of kv; without it there are none',
  create: 'true: whoever appends makes the topic if there is none',
  partitions: 'with create: how many partitions it has; 1 by default',
  replicas: "with create: how many brokers keep each entry; the brokers' own default",
} as const

const PASSWORD_SEEN = `a password in the address would be seen by others, in the list of processes: put it into ${PASSWORD}`
const FOLDERS_ONLY = 'works on folders only, and cannot be given a log on Kafka'

type Query = ReadonlyMap<string, string>

/** True if a word is the address of a log on Kafka. Anything else is a path, also `./kafka:/x`. */
export function isKafkaAddress(word: string): boolean {
  return word.startsWith(PREFIX)
}

/**
 * What `KafkaLog.open` is to be given for an address of the form {@link KAFKA_ADDRESS}. `password` is that of the user in
 * it. Reads the files that it names, in PEM.
 *
 * Throws {@link UsageError} that names what is wrong, and never has a password in it; or the system's error of a file.
 */
export function kafkaLogOptions(
  address: string,
  password: string | undefined = process.env[PASSWORD],
): KafkaLogOptions {
  const rest = address.slice(PREFIX.length)
  const end = rest.includes('?') ? rest.indexOf('?') : rest.length
  const query = queryOf(rest.slice(end + 1))
  // Of several @ the last: what stands before it is not to be taken for a broker, and shown.
  const at = rest.lastIndexOf('@', end)
  const user = at < 0 ? undefined : userOf(rest.slice(0, at))
  const [brokers = '', topic = '', partition, ...more] = rest.slice(at + 1, end).split('/')
  if (topic === '') throw new UsageError(`the address names no topic: it is ${KAFKA_ADDRESS}`)
  if (more.length > 0 || (partition !== undefined && !/^\d{1,10}$/.test(partition))) {
    const given = quoted([partition, ...more].join('/'))
    throw new UsageError(`behind the topic of an address comes the partition, not ${given}`)
  }
  return {
    brokers: brokersOf(brokers),
    topic,
    partition: Number(partition ?? 0),
    tls: tlsOf(query),
    sasl: saslOf(query, user, password),
    isolation: oneOf(query, 'isolation', ISOLATIONS),
    compression: oneOf(query, 'compression', COMPRESSIONS),
    timeoutMs: timeoutOf(query),
    dir: query.get('dir'),
    create: createOf(query),
  }
}

/**
 * Refuses an address where a command takes nothing but a path, so that none is made of its name; and options that are of
 * folders where all that is given is on Kafka. Throws {@link UsageError}.
 */
export function checkPlaces(shape: CommandShape, args: Arguments): void {
  const { name, positionals, options } = shape
  for (const one of positionals) if (!one.isMany) checkSpelling(args.positional(one.name))
  const isKafka = (positional: string) => isKafkaAddress(args.positional(positional))
  const places = positionals.filter(({ isAddress }) => isAddress)
  for (const one of positionals) {
    if (one.isAddress || one.isMany || !isKafka(one.name)) continue
    if (places.length === 0) throw new UsageError(`${name} ${FOLDERS_ONLY}`)
    throw new UsageError(`<${one.name}> of ${name} cannot be a log on Kafka`)
  }
  if (places.length === 0 || !places.every((one) => isKafka(one.name))) return
  const stranger = args.given.find((option) => options[option]?.isOfFolder)
  if (stranger === undefined) return
  throw new UsageError(
    `--${stranger} is for logs in folders; on Kafka that is up to the topic's settings`,
  )
}

/** A folder of such a name is hardly meant, and would be made without a word. Throws {@link UsageError}. */
function checkSpelling(word: string): void {
  if (!/^kafkas?:/i.test(word) || isKafkaAddress(word)) return
  throw new UsageError(
    `the address of a log on Kafka begins with ${PREFIX}, not as ${quoted(word)}; for a folder of that name write ./ before it`,
  )
}

/** The same for a word of the action that `what` names. */
export function checkFolder(word: string, what: string): void {
  if (isKafkaAddress(word)) throw new UsageError(`${what} ${FOLDERS_ONLY}`)
}

function brokersOf(text: string): string[] {
  if (text === '') throw new UsageError(`the address names no broker: it is ${KAFKA_ADDRESS}`)
  return text.split(',').map((broker) => {
    try {
      if (parseAddress(broker, '').port > 0) return broker
    } catch {
      // Told below, as wrong use.
    }
    throw new UsageError(`a broker is host:port or [IPv6]:port, not ${quoted(broker)}`)
  })
}

function userOf(text: string): string {
  if (text.includes(':')) {
    throw new UsageError(PASSWORD_SEEN)
  }
  if (text === '') throw new UsageError('the address has an empty user before the @')
  return decoded(text, 'the user')
}

function queryOf(text: string): Query {
  const values = new Map<string, string>()
  for (const part of text.split('&')) {
    if (part === '') continue
    const [name = ''] = part.split('=', 1)
    if (name === 'password') {
      throw new UsageError(PASSWORD_SEEN)
    }
    if (!Object.hasOwn(KAFKA_QUERY, name)) {
      const names = Object.keys(KAFKA_QUERY).join(', ')
      throw new UsageError(`${quoted(name)} is unknown in an address, which can have ${names}`)
    }
    const value = decoded(part.slice(name.length + 1), name)
    if (value === '') throw new UsageError(`${name} in the address needs a value: ${name}=...`)
    if (values.has(name)) throw new UsageError(`${name} is given twice in the address`)
    values.set(name, value)
  }
  return values
}

function decoded(text: string, what: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw new UsageError(`${what} in the address has a % that is not followed by two digits`)
  }
}

function oneOf<T extends string>(query: Query, name: string, allowed: readonly T[]): T | undefined {
  const value = query.get(name)
  const found = allowed.find((one) => one === value)
  if (value === undefined || found !== undefined) return found
  throw new UsageError(
    `${name} in the address must be one of ${allowed.join(', ')}, not ${quoted(value)}`,
  )
}

function countOf(query: Query, name: string, max: number): number | undefined {
  const value = query.get(name)
  if (value === undefined) return undefined
  const count = /^\d{1,9}$/.test(value) ? Number(value) : 0
  if (count >= 1 && count <= max) return count
  throw new UsageError(
    `${name} in the address must be a whole number from 1 to ${max}, not ${quoted(value)}`,
  )
}

function timeoutOf(query: Query): number | undefined {
  const value = query.get('timeout')
  if (value === undefined) return undefined
  const ms = durationMs(value) ?? 0
  if (ms >= 1 && ms <= TIMEOUT_MS_MAX) return ms
  throw new UsageError(
    `timeout in the address must be such as 500ms, 10s or 1m, at most an hour, not ${quoted(value)}`,
  )
}

function tlsOf(query: Query): KafkaLogOptions['tls'] {
  const isOn = oneOf(query, 'tls', SWITCH)
  const files = ['ca', 'cert', 'key'].filter((name) => query.has(name))
  if (files.length === 0) return isOn === 'true' ? true : undefined
  if (isOn === 'false') {
    throw new UsageError(`tls=false and ${files[0]} exclude each other in an address`)
  }
  if (query.has('cert') !== query.has('key')) {
    throw new UsageError('cert and key go together in an address: give both')
  }
  return Object.fromEntries(files.map((name) => [name, readFileSync(query.get(name)!)]))
}

function saslOf(
  query: Query,
  username: string | undefined,
  password: string | undefined,
): KafkaLogOptions['sasl'] {
  const names = Object.keys(MECHANISMS) as (keyof typeof MECHANISMS)[]
  const mechanism = oneOf(query, 'sasl', names)
  if (username === undefined) {
    if (mechanism === undefined) return undefined
    throw new UsageError(`sasl=${mechanism} needs a user: kafka://user@host:port/...`)
  }
  if (!password) {
    throw new UsageError(`the user ${quoted(username)} needs a password: put it into ${PASSWORD}`)
  }
  return { mechanism: MECHANISMS[mechanism ?? 'plain'], username, password }
}

function createOf(query: Query): KafkaLogOptions['create'] {
  const isWanted = oneOf(query, 'create', SWITCH) === 'true'
  const partitions = countOf(query, 'partitions', PARTITIONS_MAX)
  const replicas = countOf(query, 'replicas', REPLICAS_MAX)
  if (isWanted) return { partitions, replicas }
  if (partitions === undefined && replicas === undefined) return undefined
  const name = partitions === undefined ? 'replicas' : 'partitions'
  throw new UsageError(`${name} in an address is for a topic that is made: give create=true too`)
}
