import { readFileSync } from 'node:fs'
import { TidemarkError } from '../../base/index.ts'
import {
  type AdminCommand,
  ClusterClient,
  type ClusterClientOptions,
  type MemberStatus,
} from '../../quorum/index.ts'
import { type Arguments, UsageError } from '../arguments.ts'
import { unlessInterrupted } from '../interrupt.ts'

const TIMEOUT_S = 10
const TIMEOUT_S_MAX = 86_400
/** A member that is not the one that was asked for is not waited for long. */
const ASIDE_MS_MAX = 2000

/** The members that can be asked, and how. A connection is kept for the next question. */
export class Asking {
  readonly timeoutMs: number
  readonly #addresses: readonly string[]
  readonly #options: Omit<ClusterClientOptions, 'address'>
  readonly #interrupted: AbortSignal
  readonly #clients = new Map<string, ClusterClient>()
  /** The one that has answered last. */
  #current: ClusterClient | undefined

  /** Throws {@link UsageError}, or the system's error of a file. */
  constructor(args: Arguments, interrupted: AbortSignal) {
    const seconds = args.integer('timeout', 1, TIMEOUT_S_MAX) ?? TIMEOUT_S
    this.timeoutMs = seconds * 1000
    this.#interrupted = interrupted
    const given = args.text('at') ?? process.env.TIDEMARK_CLUSTER ?? ''
    this.#addresses = given.split(',').filter((address) => address !== '')
    if (this.#addresses.length === 0) {
      throw new UsageError('cluster needs --at <host:port>, or TIDEMARK_CLUSTER')
    }
    this.#options = {
      cluster: args.text('cluster'),
      secret: secretOf(args),
      tls: tlsOf(args),
      timeoutMs: this.timeoutMs,
    }
  }

  /** Asks the first member that answers, the one of the last time before any other. */
  async any(command: AdminCommand, timeoutMs = this.timeoutMs): Promise<unknown> {
    const kept = this.#current
    const client = kept ?? (await this.#findAny())
    try {
      return await this.#ask(client, command, timeoutMs)
    } catch (error) {
      if (!isUnavailable(error)) throw error
      await this.#forget(client)
      // It may have gone since it was asked last. What changes something is asked once.
      if (kept && command.do === 'status') return this.any(command, timeoutMs)
      throw error
    }
  }

  /** A member that has a replica of the log: the one that `any` asks, or one of those that keep it. */
  async having(log: string): Promise<ClusterClient> {
    const answer = (await this.any({ do: 'status' })) as Partial<MemberStatus>
    const { placements = [], logs = [], members = [] } = answer
    const placement = placements.find(({ name }) => name === log)
    if (!placement) throw new TidemarkError('NOT_FOUND', `there is no log ${JSON.stringify(log)}`)
    if (this.#current && logs.some(({ name }) => name === log)) return this.#current
    const keeping = members.filter(({ id }) => placement.replicas.includes(id))
    return this.#firstOf(keeping.map(({ address }) => address))
  }

  /** Asks the member that listens there. */
  async at(address: string, command: AdminCommand): Promise<unknown> {
    let client = this.#clients.get(address)
    try {
      const timeoutMs = Math.min(this.timeoutMs, ASIDE_MS_MAX)
      client ??= await this.#connect(address, timeoutMs)
      return await this.#ask(client, command, timeoutMs)
    } catch (error) {
      if (client && isUnavailable(error)) await this.#forget(client)
      throw error
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#clients.values()].map((client) => client.close()))
  }

  async #findAny(): Promise<ClusterClient> {
    this.#current = await this.#firstOf(this.#addresses)
    return this.#current
  }

  async #firstOf(addresses: readonly string[]): Promise<ClusterClient> {
    const failures: TidemarkError[] = []
    for (const address of addresses) {
      try {
        return this.#clients.get(address) ?? (await this.#connect(address))
      } catch (error) {
        if (!isUnavailable(error)) throw error
        failures.push(error)
      }
    }
    if (failures.length === 1) throw failures[0]
    const why = failures.map(({ message }) => message).join('; ')
    throw new TidemarkError('UNAVAILABLE', `no member answers: ${why}`)
  }

  async #connect(address: string, timeoutMs = this.timeoutMs): Promise<ClusterClient> {
    const made = ClusterClient.connect({ ...this.#options, address, timeoutMs })
    const client = await unlessInterrupted(made, this.#interrupted)
    this.#clients.set(address, client)
    return client
  }

  #ask(client: ClusterClient, command: AdminCommand, timeoutMs: number): Promise<unknown> {
    return unlessInterrupted(client.request(command, timeoutMs), this.#interrupted)
  }

  async #forget(client: ClusterClient): Promise<void> {
    if (this.#current === client) this.#current = undefined
    this.#clients.delete(client.address)
    await client.close()
  }
}

export function isUnavailable(error: unknown): error is TidemarkError {
  return error instanceof TidemarkError && error.code === 'UNAVAILABLE'
}

function secretOf(args: Arguments): string | undefined {
  const file = args.text('secret-file')
  if (file === undefined) return process.env.TIDEMARK_SECRET
  // An editor ends the file with a newline, which nobody means.
  const secret = readFileSync(file, 'utf8').replace(/\r?\n$/, '')
  if (secret !== '') return secret
  throw new UsageError(`--secret-file ${file} is empty`)
}

function tlsOf(args: Arguments): ClusterClientOptions['tls'] {
  const [ca, cert, key] = [args.text('ca'), args.text('cert'), args.text('key')]
  if (ca === undefined && cert === undefined && key === undefined) return undefined
  if (ca === undefined || cert === undefined || key === undefined) {
    throw new UsageError('--ca, --cert and --key belong together: give all three')
  }
  return { ca: readFileSync(ca), cert: readFileSync(cert), key: readFileSync(key) }
}
