import { TidemarkError } from '../base/index.ts'
import { type Address, type Clock, formatAddress } from '../io/index.ts'
import type { Client, Connection } from './client.ts'
import type { KafkaSettings } from './kafka-options.ts'
import { isNetworkError, Unreachable } from './refusals.ts'

/**
 * Who shares a connection. A broker answers what comes by one connection in order, so a request that waits for
 * something holds up all behind it.
 */
export type Lane = 'ask' | 'produce' | 'read' | 'tail'

/** More addresses than these need not be known to find one that answers. */
const LEARNT_MAX = 100

export type Call<R> = (connection: Connection) => Promise<R>

const IP_ADDRESS = /:|^[\d.]+$/

interface Line {
  readonly connection: Connection
  readonly ready: Promise<void>
}

/** Connections to the brokers of a cluster, made when they are first needed and again after they broke. */
export class Brokers {
  readonly client: Client
  readonly clock: Clock
  readonly #settings: KafkaSettings
  readonly #lines = new Map<string, Line>()
  /** Whom to ask what every broker knows; who answered last comes first. */
  #candidates: readonly Address[]
  #isClosed = false

  constructor(client: Client, settings: KafkaSettings) {
    this.client = client
    this.clock = settings.clock
    this.#settings = settings
    this.#candidates = settings.brokers
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  /** Asks the broker at `address`. Throws {@link Unreachable} if it was not asked, or what the call throws. */
  async at<R>(address: Address, lane: Lane, call: Call<R>): Promise<R> {
    const key = `${lane} ${formatAddress(address)}`
    const line = this.#lines.get(key) ?? this.#open(key, address)
    try {
      await line.ready
    } catch (error) {
      throw new Unreachable(`${formatAddress(address)} does not answer`, error)
    }
    try {
      return await call(line.connection)
    } catch (error) {
      // A connection that an answer is missing on would take the next one's for it.
      if (isNetworkError(error)) this.#drop(key, line)
      throw error
    }
  }

  /** These are brokers of the cluster, too. */
  learn(addresses: readonly Address[]): void {
    const known = new Set(this.#candidates.map(formatAddress))
    const found = addresses.filter((address) => !known.has(formatAddress(address)))
    if (found.length === 0) return
    // Those that were named stay, in case all that was learnt is gone one day.
    const learnt = [...addresses.slice(0, LEARNT_MAX), ...this.#settings.brokers]
    const byName = new Map(learnt.map((address) => [formatAddress(address), address]))
    this.#candidates = [...byName.values()]
  }

  /** Asks one broker after the other until one answers. The call must bear to be made twice. */
  async any<R>(call: Call<R>): Promise<R> {
    const failures: unknown[] = []
    const candidates = this.#candidates
    for (const address of candidates) {
      try {
        const answer = await this.at(address, 'ask', call)
        if (failures.length > 0) this.#prefer(address)
        return answer
      } catch (error) {
        if (!(error instanceof Unreachable) && !isNetworkError(error)) throw error
        failures.push(error)
      }
    }
    if (failures.length === 1) throw failures[0]
    const all = candidates.map(formatAddress).join(', ')
    throw new Unreachable(`none of ${all} answers`, failures.at(-1))
  }

  #prefer(address: Address): void {
    this.#candidates = [address, ...this.#candidates.filter((other) => other !== address)]
  }

  async close(): Promise<void> {
    this.#isClosed = true
    const lines = [...this.#lines.values()]
    this.#lines.clear()
    await Promise.all(lines.map(({ connection }) => closed(connection)))
  }

  #open(key: string, { host, port }: Address): Line {
    if (this.#isClosed) throw new TidemarkError('CLOSED', 'the log is closed')
    const { clientId, tls, sasl, connectMs, requestMs } = this.#settings
    const connection = new this.client.Connection(clientId, {
      connectTimeout: connectMs,
      requestTimeout: requestMs,
      // A name of a server is no address (RFC 6066). The certificate is checked against either.
      ...(tls && { tls, tlsServerName: IP_ADDRESS.test(host) ? false : host }),
      ...(sasl && { sasl }),
    })
    const ready = Promise.resolve(connection.connect(host, port))
    const line = { connection, ready }
    this.#lines.set(key, line)
    // The events say what the promises say.
    connection.on('error', () => this.#drop(key, line))
    connection.on('close', () => this.#drop(key, line))
    ready.catch(() => this.#drop(key, line))
    return line
  }

  #drop(key: string, line: Line): void {
    if (this.#lines.get(key) === line) this.#lines.delete(key)
    void closed(line.connection)
  }
}

async function closed(connection: Connection): Promise<void> {
  await connection.close().catch(() => {})
}
