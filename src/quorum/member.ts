import { EventEmitter } from 'node:events'
import { join } from 'node:path'
import { TidemarkError } from '../base/index.ts'
import { bytes, FolderLock, type InputOf } from '../log/index.ts'
import { answerRequests } from './answers.ts'
import { CATALOG_ID, CATALOG_NAME, type CatalogLog } from './catalog.ts'
import { CatalogFollower } from './catalog-follower.ts'
import { CatchUp } from './catch-up.ts'
import { membersOf, type ReplicaId } from './core/index.ts'
import { HardStates, type Identity } from './hard-states.ts'
import { HostedLog } from './hosted-log.ts'
import { HostedLogs } from './hosted-logs.ts'
import { type LogStatus, statusOf } from './log-status.ts'
import type { LogDefinition, MemberContext } from './member-context.ts'
import type { MemberEvents } from './member-events.ts'
import {
  type CheckedOptions,
  checkLogName,
  checkLogOptions,
  checkMemberOptions,
  checkSameDesign,
  type MemberOptions,
  type ReplicatedLogOptions,
} from './member-options.ts'
import { Outbox } from './outbox.ts'
import { ReplicatedLog } from './replicated-log.ts'
import { Requests, type Send } from './requests.ts'
import { Ticker } from './ticker.ts'
import { Refusal, Transport } from './transport/index.ts'
import { decodeMessages, FRAME_MESSAGES, type Frame } from './wire/index.ts'

const MIB = 1024 * 1024
/** Not known. */
const NO_FOUNDERS = new Uint8Array(8)
/** A process may be held up for a while without being gone. */
const SILENCE_MS_MIN = 2_000
/** What may wait for one peer. */
const WAITING_BYTES_MAX = 64 * MIB
/** Of the catalog: its commands are small. */
const CATALOG_SEGMENT_BYTES = MIB
const CATALOG_ENTRY_BYTES = MIB

export interface PeerStatus {
  readonly id: ReplicaId
  readonly address: string
  readonly isConnected: boolean
}

/** What a member is like, as far as it knows itself. */
export interface MemberStatus {
  readonly id: ReplicaId
  readonly cluster: string
  readonly address: string
  /** Drawn when its folder was made: 32 hexadecimal digits. */
  readonly incarnation: string
  readonly peers: readonly PeerStatus[]
  /** The catalog first, then the logs that it lists. */
  readonly logs: readonly LogStatus[]
}

/**
 * One of the members that together keep logs: listens, connects to the others, and has a replica of every log. A log is
 * safe while a majority of the members is.
 *
 * Patterns: replicated log, quorum, leader and followers, generation clock (docs/patterns.md).
 */
export class Member {
  readonly #options: CheckedOptions
  readonly #identity: Identity
  readonly #lock: FolderLock
  readonly #hardStates: HardStates
  readonly #events = new EventEmitter()
  readonly #logs = new HostedLogs()
  readonly #requests: Requests
  readonly #context: MemberContext
  #transport: Transport | undefined
  #follower: CatalogFollower | undefined
  #closing: Promise<void> | undefined

  private constructor(
    options: CheckedOptions,
    identity: Identity,
    lock: FolderLock,
    hardStates: HardStates,
  ) {
    this.#options = options
    this.#identity = identity
    this.#lock = lock
    this.#hardStates = hardStates
    const { id, dir, files, clock, random, settings, heartbeatMs } = options
    const send: Send = (to, kind, head, data, isOwed) =>
      this.#transport?.send(to, kind, head, data, isOwed) ?? false
    this.#requests = new Requests(send)
    this.#context = {
      id,
      dir,
      lock,
      files,
      clock,
      random,
      hardStates,
      ticker: new Ticker(clock, heartbeatMs),
      outbox: new Outbox(send, clock),
      requests: this.#requests,
      catchUp: new CatchUp(clock, options.catchUpBytesPerSecond),
      settings,
      catalog: () => this.#follower!.catalog(),
      connected: () => [...options.peers.keys()].filter((peer) => this.#isConnected(peer)),
      // In a turn of its own: whatever a listener does or throws, it is not in the middle of anything.
      tell: (kind, event) => queueMicrotask(() => this.#events.emit(kind, event)),
    }
  }

  /**
   * Starts a member: on the first start it makes its folder, and with the others the cluster; afterwards it goes on
   * where it was. Resolves when it listens and has opened what it has, whether others are there or not.
   *
   * Rejects with INVALID_ARGUMENT, LOCKED, CORRUPT, UNSUPPORTED_VERSION, or IO.
   */
  static async start(options: MemberOptions): Promise<Member> {
    const checked = checkMemberOptions(options)
    const { dir, files, clock, random } = checked
    const lock = await FolderLock.acquire(dir, { files })
    let hardStates: HardStates | undefined
    try {
      hardStates = await HardStates.open(join(dir, 'votes'), { lock, files, clock, random })
      const identity = await identify(hardStates, checked)
      const member = new Member(checked, identity, lock, hardStates)
      await member.#start().catch(async (error: unknown) => {
        await member.close()
        throw error
      })
      return member
    } catch (error) {
      await hardStates?.close()
      lock.release()
      throw error
    }
  }

  get id(): ReplicaId {
    return this.#options.id
  }

  /** Where it listens, with the port that it really has. */
  get address(): string {
    return this.#transport?.address ?? this.#options.listen
  }

  /**
   * The log of that name, which is made if there is none. Resolves when there is a replica of it on this member.
   * Rejects with INVALID_ARGUMENT, also if the log was made with other options; UNAVAILABLE if it has to be made and
   * no quorum is there; UNCERTAIN; CLOSED.
   */
  async log(
    name: string,
    options?: ReplicatedLogOptions<never, never> & { readonly codec?: never },
  ): Promise<ReplicatedLog<Buffer, Uint8Array | string>>
  async log<T, I = T>(
    name: string,
    options: ReplicatedLogOptions<T, I> & { readonly codec: object },
  ): Promise<ReplicatedLog<T, I>>
  async log<T, I>(
    name: string,
    options: ReplicatedLogOptions<T, I> = {},
  ): Promise<ReplicatedLog<T, I | InputOf<T>>> {
    checkLogName(name)
    const design = checkLogOptions(options as ReplicatedLogOptions<never, never>)
    this.#checkOpen()
    const { catalog, settle } = this.#follower!
    const known: CatalogLog =
      catalog().logs.find((log) => log.name === name) ??
      (await catalog().create(name, this.#options.voters, design))
    checkSameDesign(name, known, options as ReplicatedLogOptions<never, never>)
    await settle()
    this.#checkOpen()
    const hosted = this.#logs.get(known.id)
    if (!hosted) {
      throw (
        this.#logs.failures.get(known.id) ??
        new TidemarkError('NOT_FOUND', `there is no log ${name} any more`)
      )
    }
    const { codec } = options
    // Plain bytes are handed on as they are.
    const own = (codec as unknown) === bytes ? undefined : codec
    return new ReplicatedLog(this.#context, hosted, own as never) as never
  }

  /** Names of the logs that there are, as far as is known here. */
  logs(): string[] {
    this.#checkOpen()
    return this.#follower!.catalog().logs.map(({ name }) => name)
  }

  /** Deletes a log on all members. Rejects with NOT_FOUND, UNAVAILABLE, UNCERTAIN or CLOSED. */
  async deleteLog(name: string): Promise<void> {
    this.#checkOpen()
    const { catalog, settle } = this.#follower!
    await catalog().latest()
    const known = catalog().logs.find((log) => log.name === name)
    if (!known) throw new TidemarkError('NOT_FOUND', `there is no log ${JSON.stringify(name)}`)
    await catalog().delete(known.id)
    await settle()
  }

  /**
   * Has another member lead a log, if this one does. It may take some time, or fail if the other is behind; `status`
   * says. Rejects with NOT_FOUND or INVALID_ARGUMENT.
   */
  async transfer(name: string, to: ReplicaId): Promise<void> {
    this.#checkOpen()
    const hosted = this.#logs.byName(name)
    if (!hosted) throw new TidemarkError('NOT_FOUND', `there is no log ${JSON.stringify(name)}`)
    if (!hosted.status?.members.voters.includes(to)) {
      throw new TidemarkError('INVALID_ARGUMENT', `member ${to} has no vote in ${name}`)
    }
    if (hosted.status.role !== 'leader') {
      throw new TidemarkError('INVALID_ARGUMENT', `member ${this.id} does not lead ${name}`)
    }
    hosted.host?.step({ kind: 'transfer', to })
  }

  status(): MemberStatus {
    const { id, cluster, peers } = this.#options
    return {
      id,
      cluster,
      address: this.address,
      incarnation: this.#identity.incarnation,
      peers: [...peers].map(([peer, address]) => {
        return { id: peer, address, isConnected: this.#isConnected(peer) }
      }),
      logs: this.#logs.all.map(statusOf),
    }
  }

  /** Calls `listener` with every event of this kind. */
  on<K extends keyof MemberEvents>(kind: K, listener: (event: MemberEvents[K]) => void): this {
    this.#events.on(kind, listener)
    return this
  }

  off<K extends keyof MemberEvents>(kind: K, listener: (event: MemberEvents[K]) => void): this {
    this.#events.off(kind, listener)
    return this
  }

  /** Stops everything, and gives the folder back. What was not answered rejects with CLOSED. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #start(): Promise<void> {
    const { voters, id, cluster, peers, secret, tls, clock, random, electionMs } = this.#options
    const catalog: LogDefinition = {
      id: CATALOG_ID,
      name: CATALOG_NAME,
      members: membersOf(voters),
      segmentBytes: CATALOG_SEGMENT_BYTES,
      maxEntryBytes: CATALOG_ENTRY_BYTES,
      retention: undefined,
    }
    const hosted = await HostedLog.open(this.#context, catalog)
    this.#logs.add(hosted)
    answerRequests(this.#context, this.#logs)
    this.#transport = await Transport.open({
      id,
      cluster,
      incarnation: Buffer.from(this.#identity.incarnation, 'hex'),
      founders: NO_FOUNDERS,
      listen: this.#options.listen,
      peers,
      secret,
      tls,
      clock,
      random,
      silenceMs: Math.max(SILENCE_MS_MIN, 2 * electionMs),
      waitingBytesMax: WAITING_BYTES_MAX,
      onFrame: (from, frame) => this.#onFrame(from, frame),
      isSame: (peer) => {
        const known = this.#hardStates.peer(peer.id)
        return known === undefined || known === textOf(peer.incarnation)
      },
      checkMember: (peer) => {
        if (peers.has(peer)) return undefined
        return new Refusal('member', `member ${peer} is none that member ${id} knows`)
      },
      onUp: (peer) => this.#met(peer.id, textOf(peer.incarnation)),
      onDown: (peer, why) => {
        this.#requests.onDown(peer)
        this.#context.tell('peer-down', { id: peer, why })
      },
      onUnreachable: (peer) => {
        for (const log of this.#logs.all) log.unreachable(peer)
      },
      onRefused: (event) => this.#context.tell('refused', event),
    })
    this.#follower = await CatalogFollower.open(this.#context, this.#logs, hosted)
  }

  #onFrame(from: ReplicaId, frame: Frame): void {
    if (frame.kind === FRAME_MESSAGES) {
      for (const { log, message } of decodeMessages(frame.head, frame.data)) {
        this.#logs.get(log)?.receive(from, message)
      }
    } else if (!this.#requests.onFrame(from, frame)) {
      throw new Error(`a frame of kind ${frame.kind}, which nobody knows`)
    }
  }

  #met(id: ReplicaId, incarnation: string): void {
    if (this.#hardStates.peer(id) === undefined) {
      this.#hardStates.meet(id, incarnation).catch((error: unknown) => {
        this.#context.tell('failed', { log: CATALOG_NAME, error, retryMs: undefined })
      })
    }
    this.#context.tell('peer-up', { id })
  }

  #isConnected(id: ReplicaId): boolean {
    return this.#transport?.isConnected(id) ?? false
  }

  #checkOpen(): void {
    if (!this.#closing) return
    throw new TidemarkError('CLOSED', `member ${this.id} is closed`)
  }

  async #close(): Promise<void> {
    // Nobody waits any more, so that nothing has to be waited for.
    for (const log of this.#logs.all) log.giveUp()
    await this.#follower?.close()
    await Promise.all(this.#logs.all.map((log) => log.close()))
    await this.#transport?.close()
    await this.#hardStates.close()
    this.#lock.release()
  }
}

function textOf(incarnation: Uint8Array): string {
  return Buffer.from(incarnation).toString('hex')
}

/** Who the member is: as its folder says, or, in a new one, as it says itself from now on. */
async function identify(hardStates: HardStates, options: CheckedOptions): Promise<Identity> {
  const { cluster, id, dir, random, voters, files } = options
  const known = hardStates.identity
  if (known && (known.cluster !== cluster || known.id !== id)) {
    throw new TidemarkError(
      'INVALID_ARGUMENT',
      `${dir} belongs to member ${known.id} of ${known.cluster}, not to member ${id} of ${cluster}`,
    )
  }
  if (known && known.voters.join() !== voters.join()) {
    throw new TidemarkError(
      'INVALID_ARGUMENT',
      `the cluster of ${dir} was made with the members ${known.voters.join(', ')}, not ${voters.join(', ')}: its members do not change`,
    )
  }
  if (known) return known
  const logs = join(dir, 'logs')
  if (files.existsSync(logs) && files.listSync(logs).length > 0) {
    throw new TidemarkError(
      'CORRUPT',
      `${dir} has logs, and nothing of who it belongs to and voted for`,
    )
  }
  const words = Array.from({ length: 4 }, () => random.uint32().toString(16).padStart(8, '0'))
  const identity = { cluster, id, incarnation: words.join(''), voters }
  await hardStates.identify(identity)
  return identity
}
