import { errnoOf, TidemarkError } from '../base/index.ts'
import {
  type Clock,
  type Network,
  nodeClock,
  nodeNetwork,
  nodeRandom,
  parseAddress,
  type Random,
  type TlsCredentials,
} from '../io/index.ts'
import { type AdminCommand, CHANGE_NOTHING, decodeReply, encodeCommand } from './admin-command.ts'
import type { ReplicaId } from './core/index.ts'
import { OPERATION } from './operations.ts'
import { type Arrived, Disconnected, Requests } from './requests.ts'
import { dialAsOperator, type Link, type LinkEnd, type RefusalReason } from './transport/index.ts'
import { encodeFrame } from './wire/index.ts'

export interface ClusterClientOptions {
  /** Where a member listens, `host:port`. */
  readonly address: string
  /** As the members say; `tidemark` by default. */
  readonly cluster?: string | undefined
  readonly secret?: string | undefined
  /** Mutual TLS: the member must have a certificate of this authority, by whatever name. */
  readonly tls?: TlsCredentials | undefined
  /** How long to wait for the member, and for each answer, in ms. 10,000 by default. */
  readonly timeoutMs?: number | undefined
  readonly network?: Network | undefined
  readonly clock?: Clock | undefined
  readonly random?: Random | undefined
}

const TIMEOUT_MS = 10_000
const SILENCE_MS = 10_000
/** The one that requests go to: there is no other. */
const MEMBER = 0

/** Who has asked, and still waits for the member to let it in. */
interface Entrance {
  readonly resolve: () => void
  readonly reject: (error: TidemarkError) => void
}

/** Asks one member of a cluster what an operator may ask, without being a member. */
export class ClusterClient {
  readonly address: string
  /** The name of the cluster. */
  readonly cluster: string
  readonly #clock: Clock
  readonly #timeoutMs: number
  readonly #requests: Requests
  readonly #gone: Promise<void>
  readonly #link: Link
  #entrance: Entrance | undefined
  #member: ReplicaId | undefined
  #end: LinkEnd | undefined
  #isClosed = false

  /**
   * Resolves when the member has let this client in. Rejects with UNAVAILABLE if nobody does in time;
   * INVALID_ARGUMENT if the secret, the cluster or the certificate is not the right one; UNSUPPORTED_VERSION.
   */
  static async connect(options: ClusterClientOptions): Promise<ClusterClient> {
    const { port } = parseAddress(options.address, 'the address of a member')
    const { timeoutMs = TIMEOUT_MS } = options
    if (port === 0) throw invalid(`the address of a member has no port: ${options.address}`)
    if (!(timeoutMs >= 1)) throw invalid(`timeoutMs is not 1 or more: ${timeoutMs}`)
    const client = ClusterClient.#dial(options, timeoutMs)
    try {
      await client.#entered()
      return client
    } catch (error) {
      await client.close()
      throw error
    }
  }

  static #dial(options: ClusterClientOptions, timeoutMs: number): ClusterClient {
    try {
      return new ClusterClient(options, timeoutMs)
    } catch (error) {
      if (!options.tls || errnoOf(error) === undefined) throw error
      // What is no PEM is thrown before anybody is dialed.
      const why = error instanceof Error ? error.message : String(error)
      throw invalid(`the certificates and the key cannot be used: ${why}`)
    }
  }

  private constructor(options: ClusterClientOptions, timeoutMs: number) {
    const { address, cluster = 'tidemark', secret = '', tls, clock = nodeClock } = options
    this.address = address
    this.cluster = cluster
    this.#clock = clock
    this.#timeoutMs = timeoutMs
    this.#requests = new Requests((_to, kind, head, data) => this.#send(kind, head, data))
    let gone = () => {}
    this.#gone = new Promise((resolve) => {
      gone = resolve
    })
    this.#link = dialAsOperator({
      address,
      cluster,
      secret,
      tls,
      clock,
      network: options.network ?? nodeNetwork,
      random: options.random ?? nodeRandom,
      silenceMs: SILENCE_MS,
      onUp: (member) => {
        this.#member = member
        this.#entrance?.resolve()
      },
      onFrame: (frame) => {
        if (!this.#requests.onFrame(MEMBER, frame)) throw new Error('a frame that answers nothing')
      },
      onEnd: (end) => this.#ended(end),
      onGone: gone,
    })
  }

  /** The member that is there. */
  get member(): ReplicaId {
    return this.#member ?? MEMBER
  }

  /**
   * What the member answers: JSON. Rejects with what the command has failed with; UNAVAILABLE if there is no answer,
   * UNCERTAIN if the command could have had an effect nevertheless; CLOSED.
   */
  async request(command: AdminCommand, timeoutMs = this.#timeoutMs): Promise<unknown> {
    return decodeReply((await this.#ask(command, [], timeoutMs)).head)
  }

  /** @internal {@link request}, with the data of entries, one way or the other. */
  async exchange(
    command: AdminCommand,
    data: readonly Uint8Array[] = [],
  ): Promise<{ ok: unknown; data: Buffer }> {
    const reply = await this.#ask(command, data, this.#timeoutMs)
    return { ok: decodeReply(reply.head), data: reply.data }
  }

  async #ask(
    command: AdminCommand,
    data: readonly Uint8Array[],
    timeoutMs: number,
  ): Promise<Arrived> {
    if (this.#isClosed) throw new TidemarkError('CLOSED', 'this client is closed')
    const head = encodeCommand(command)
    let cancel = () => {}
    const late = new Promise<never>((_, reject) => {
      const why = `no answer of ${this.address} within ${timeoutMs} ms`
      const expire = () => reject(unanswered(command, why))
      cancel = this.#clock.after(timeoutMs, expire, true)
    })
    try {
      const asked = this.#requests.ask(MEMBER, OPERATION.admin, { head, data })
      return await Promise.race([asked, late])
    } catch (error) {
      if (!(error instanceof Disconnected)) throw error
      const why = `the connection with ${this.address} has ended: ${this.#end?.why ?? 'lost'}`
      throw error.wasSent ? unanswered(command, why) : new TidemarkError('UNAVAILABLE', why)
    } finally {
      cancel()
    }
  }

  /** What waits for an answer rejects. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#link.cut('this client is closed')
    await this.#gone
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #entered(): Promise<void> {
    let cancel = () => {}
    try {
      await new Promise<void>((resolve, reject) => {
        this.#entrance = { resolve, reject }
        const why = `nobody answers at ${this.address} within ${this.#timeoutMs} ms`
        const expire = () => reject(new TidemarkError('UNAVAILABLE', why))
        cancel = this.#clock.after(this.#timeoutMs, expire, true)
      })
    } finally {
      this.#entrance = undefined
      cancel()
    }
  }

  #send(kind: number, head: Uint8Array, data: readonly Uint8Array[]): boolean {
    if (this.#end) return false
    this.#link.write(encodeFrame(kind, head, data))
    return true
  }

  #ended(end: LinkEnd): void {
    this.#end = end
    this.#entrance?.reject(failureOf(this.address, end))
    this.#requests.onDown(MEMBER)
  }
}

/** Whether it has come to anything is not known; where nothing is changed, that does not matter. */
function unanswered(command: AdminCommand, why: string): TidemarkError {
  if (CHANGE_NOTHING.has(command.do)) return new TidemarkError('UNAVAILABLE', why)
  return new TidemarkError('UNCERTAIN', `${why}: ${command.do} may be done or not`)
}

/** What the one who has given the address, the secret and the rest can do about it. */
const ADVICE: Partial<Record<RefusalReason, string>> = {
  secret: 'it has another secret',
  cluster: 'it belongs to another cluster',
  certificate: 'the certificates do not fit',
  member: 'it lets no operator in',
  garbage: 'it does not speak as a member does, or wants TLS',
}

function failureOf(address: string, { why, refusal, error }: LinkEnd): TidemarkError {
  if (!refusal) {
    const text = `nobody answers at ${address}: ${why}`
    return new TidemarkError('UNAVAILABLE', text, {}, error)
  }
  const { reason, text } = refusal
  const advice = ADVICE[reason]
  if (reason === 'version') return new TidemarkError('UNSUPPORTED_VERSION', `${address}: ${text}`)
  if (!advice) return new TidemarkError('UNAVAILABLE', `${address} does not answer: ${text}`)
  return invalid(`the member at ${address} cannot be asked, ${advice}: ${text}`)
}

function invalid(text: string): TidemarkError {
  return new TidemarkError('INVALID_ARGUMENT', text)
}
