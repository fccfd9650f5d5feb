// The settings of a broker that is also a controller: few threads and partitions, and short times, for a quick start
// and a quick change of leaders.
import { SASL_USER } from './users.ts'

export interface Ports {
  readonly client: number
  readonly controller: number
  readonly sasl?: number
  readonly tls?: number
}

export interface Node {
  /** From 1. */
  readonly id: number
  /** Its data. */
  readonly dir: string
  readonly ports: Ports
}

/** A key store for the TLS listener. */
export interface KeyStore {
  readonly path: string
  readonly password: string
}

/** Of every broker, whatever the cluster is like. */
const COMMON = {
  'process.roles': 'broker,controller',
  'controller.listener.names': 'CONTROLLER',
  'inter.broker.listener.name': 'PLAINTEXT',
  'listener.security.protocol.map':
    'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,SSL:SSL',
  'auto.create.topics.enable': 'false',
  'group.initial.rebalance.delay.ms': '0',
  'group.min.session.timeout.ms': '1000',
  'offsets.topic.num.partitions': '1',
  'transaction.state.log.num.partitions': '1',
  'share.coordinator.state.topic.num.partitions': '1',
  'num.network.threads': '2',
  'num.io.threads': '2',
  'num.replica.fetchers': '1',
  'background.threads': '2',
  'num.recovery.threads.per.data.dir': '1',
  'log.cleaner.dedupe.buffer.size': '4194304',
  // A broker that is killed is replaced within these; one that comes back waits for them too.
  'broker.session.timeout.ms': '3000',
  'broker.heartbeat.interval.ms': '500',
  'controller.quorum.election.timeout.ms': '600',
  'controller.quorum.fetch.timeout.ms': '1500',
  'controller.quorum.election.backoff.max.ms': '300',
  'replica.lag.time.max.ms': '5000',
  'replica.fetch.wait.max.ms': '100',
} as const

/** The text of `server.properties`; `own` settings come last, and win. */
export function propertiesOf(
  node: Node,
  nodes: readonly Node[],
  own: Readonly<Record<string, string>> = {},
  keys?: KeyStore,
): string {
  const replicas = String(Math.min(3, nodes.length))
  const { client, controller, sasl, tls } = node.ports
  const listeners = [`PLAINTEXT://127.0.0.1:${client}`]
  if (sasl !== undefined) listeners.push(`SASL_PLAINTEXT://127.0.0.1:${sasl}`)
  if (tls !== undefined) listeners.push(`SSL://127.0.0.1:${tls}`)
  const settings: Record<string, string> = {
    ...COMMON,
    'node.id': String(node.id),
    'log.dirs': node.dir,
    'controller.quorum.voters': nodes
      .map(({ id, ports }) => `${id}@127.0.0.1:${ports.controller}`)
      .join(','),
    listeners: [...listeners, `CONTROLLER://127.0.0.1:${controller}`].join(','),
    'advertised.listeners': listeners.join(','),
    'default.replication.factor': replicas,
    'offsets.topic.replication.factor': replicas,
    'transaction.state.log.replication.factor': replicas,
    'share.coordinator.state.topic.replication.factor': replicas,
    'transaction.state.log.min.isr': nodes.length < 3 ? '1' : '2',
    'share.coordinator.state.topic.min.isr': nodes.length < 3 ? '1' : '2',
    ...(sasl === undefined ? {} : saslSettings()),
    ...(keys === undefined ? {} : tlsSettings(keys)),
    ...own,
  }
  return Object.entries(settings)
    .map(([key, value]) => `${key}=${value.replaceAll('\\', '\\\\')}\n`)
    .join('')
}

/** SCRAM's users are in the cluster's metadata, PLAIN's are here. */
function saslSettings(): Record<string, string> {
  const module = (name: string) => `org.apache.kafka.common.security.${name} required`
  const scram = `${module('scram.ScramLoginModule')};`
  const { username, password } = SASL_USER
  const prefix = 'listener.name.sasl_plaintext'
  return {
    'sasl.enabled.mechanisms': 'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512',
    [`${prefix}.plain.sasl.jaas.config`]: `${module('plain.PlainLoginModule')} user_${username}="${password}";`,
    [`${prefix}.scram-sha-256.sasl.jaas.config`]: scram,
    [`${prefix}.scram-sha-512.sasl.jaas.config`]: scram,
  }
}

function tlsSettings({ path, password }: KeyStore): Record<string, string> {
  return {
    'ssl.keystore.type': 'PKCS12',
    'ssl.keystore.location': path,
    'ssl.keystore.password': password,
    'ssl.key.password': password,
  }
}
