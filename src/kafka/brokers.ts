import { InvariantError, TidemarkError } from '../base/index.ts'
import { type Address, type Clock, formatAddress } from '../io/index.ts'
import type { Client, Connection } from './client.ts'
import type { KafkaSettings } from './kafka-options.ts'
import { Garbled, isBroken, isOfClient, isPassing, Refusal, Unreachable } from './refusals.ts'

/**
 * Who shares a connection. A broker answers what comes by one connection in order, so a request that waits for
 * something holds up all behind it.
 */
export type Lane = 'ask' | 'produce' | 'read' | 'tail'

const IP = /:|^[\d.]+$/

export type Call<R> = (connection: Connection) => Promise<R>

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
  /** All that are known, by their text: whoever has answered last comes first, whoever was silent last. */
  #addresses: Map<string, Address>
  #isClosed = false

  constructor(client: Client, settings: KafkaSettings) {
    this.client = client
    this.clock = settings.clock
    this.#settings = settings
    this.#addresses = new Map(settings.brokers.map((each) => [formatAddress(each), each]))
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
      this.#avoid(address)
      throw new Unreachable(`${formatAddress(address)} does not answer`, error)
    }
    try {
      return await call(line.connection)
    } catch (error) {
      // Of a connection that has broken, or that an answer is missing on, the client makes nothing more.
      const isGarbled = !isOurs(error) && !isOfClient(error)
      if (isBroken(error) || isGarbled) {
        this.#avoid(address)
        this.#drop(key, line)
      }
      throw isGarbled ? new Garbled(formatAddress(address), error) : error
    }
  }

  /** These are the brokers of the cluster, as one of them says. */
  learn(addresses: readonly Address[]): void {
    for (const each of addresses) this.#addresses.set(formatAddress(each), each)
  }

  /** Asks one after the other of those that are known, beginning with who has answered last, until one answers. */
  async any<R>(call: Call<R>): Promise<R> {
    const failures: unknown[] = []
    for (const [text, address] of [...this.#addresses]) {
      try {
        const answer = await this.at(address, 'ask', call)
        this.#addresses = new Map([[text, address], ...this.#addresses])
        return answer
      } catch (error) {
        if (!(error instanceof Unreachable) && !isBroken(error)) throw error
        failures.push(error)
      }
    }
    if (failures.length === 1) throw failures[0]
    const all = this.#settings.brokers.map(formatAddress).join(', ')
    const reason = failures.find((failure) => !isPassing(failure)) ?? failures.at(-1)
    throw new Unreachable(`none of ${all} answers`, reason)
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
      ...(tls && { tls }),
      // An IP address is no name of a server (RFC 6066).
      ...(tls && !IP.test(host) && { tlsServerName: host }),
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

  #avoid(address: Address): void {
    const text = formatAddress(address)
    if (this.#addresses.delete(text)) this.#addresses.set(text, address)
  }

  #drop(key: string, line: Line): void {
    if (this.#lines.get(key) === line) this.#lines.delete(key)
    void closed(line.connection)
  }
}

/** True for what this layer says; what comes besides is what reading an answer that is none throws. */
function isOurs(error: unknown): boolean {
  return (
    error instanceof Refusal || error instanceof TidemarkError || error instanceof InvariantError
  )
}

/** What a connection still had to say is of no use any more: it ends at once, also if the other side takes nothing. */
async function closed(connection: Connection): Promise<void> {
  const { socket } = connection
  connection.close().catch(() => {})
  if (!socket || socket.closed) return
  await new Promise<void>((resolve) => {
    socket.once('close', () => resolve())
    socket.destroy()
  })
}
