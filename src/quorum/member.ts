import { EventEmitter } from 'node:events'
import { join } from 'node:path'
import { TidemarkError } from '../base/index.ts'
import { parseAddress } from '../io/index.ts'
import { bytes, FolderLock, type InputOf } from '../log/index.ts'
import { answerAdmin } from './admin.ts'
import { answerRequests } from './answers.ts'
import { CATALOG_ID, CATALOG_NAME } from './catalog.ts'
import { CatalogFollower } from './catalog-follower.ts'
import { type CatalogLog, type CatalogMember, type CatalogState, hostsOf } from './catalog-state.ts'
import { CatchUp } from './catch-up.ts'
import { membersOf, NO_MEMBERS, NOBODY, type ReplicaId } from './core/index.ts'
import { HardStates, type Identity } from './hard-states.ts'
import { HostedLog } from './hosted-log.ts'
import { HostedLogs } from './hosted-logs.ts'
import { founders, foundersOf, identify } from './identity.ts'
import { Keeper } from './keeper.ts'
import { KnownPeers } from './known-peers.ts'
import { type LogStatus, statusOf } from './log-status.ts'
import { LogTransfer } from './log-transfer.ts'
import type { LogDefinition, MemberContext } from './member-context.ts'
import type { MemberEvents } from './member-events.ts'
import {
  type CheckedOptions,
  checkLogName,
  checkLogOptions,
  checkMember,
  checkMemberOptions,
  checkSameDesign,
  checkScrubOptions,
  type MemberOptions,
  type ReplicatedLogOptions,
} from './member-options.ts'
import { OPERATION } from './operations.ts'
import { Outbox } from './outbox.ts'
import { ReplicatedLog } from './replicated-log.ts'
import { operationOf, Requests, type Send } from './requests.ts'
import { Scrubber, type ScrubOptions, type ScrubReport } from './scrubber.ts'
import { Ticker } from './ticker.ts'
import { type PeerIdentity, Refusal, Transport } from './transport/index.ts'
import { decodeMessages, FRAME_MESSAGES, type Frame } from './wire/index.ts'

const MIB = 1024 * 1024
/** A process may be held up for a while without being gone. */
const SILENCE_MS_MIN = 2_000
/** What may wait for one peer. */
const WAITING_BYTES_MAX = 64 * MIB
/** Of the catalog: its commands are small. */
const CATALOG_SEGMENT_BYTES = MIB
const CATALOG_ENTRY_BYTES = MIB
const ASK_AGAIN_MS = 100

export interface PeerStatus {
  readonly id: ReplicaId
  readonly address: string
  readonly isConnected: boolean
}

/** Where a log is, or is to be. */
export interface LogPlacement {
  readonly name: string
  /** Members that vote on it. */
  readonly replicas: readonly ReplicaId[]
  /** Members that read it, and do not vote. */
  readonly learners: readonly ReplicaId[]
  /** Members that have it still, and are about to be without it. */
  readonly leaving: readonly ReplicaId[]
  /** Who is to lead it. */
  readonly preferred: ReplicaId
}

/** What a member is like, as far as it knows itself. */
export interface MemberStatus {
  readonly id: ReplicaId
  readonly cluster: string
  readonly address: string
  /** Drawn when its folder was made: 32 hexadecimal digits. */
  readonly incarnation: string
  readonly peers: readonly PeerStatus[]
  /** Who belongs to the cluster. */
  readonly members: readonly CatalogMember[]
  /** All logs of the cluster. */
  readonly placements: readonly LogPlacement[]
  /** Those that this member has: the catalog first. */
  readonly logs: readonly LogStatus[]
}

/**
 * One of the members that together keep logs: listens, connects to the others, and has replicas of logs. A log is
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
  #keeper: Keeper | undefined
  readonly #peers: KnownPeers
  readonly #scrubber: Scrubber
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
    this.#peers = new KnownPeers(options.id, options.peers)
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
      founders: () => founders(options, this.#ownAddress),
      incarnationOf: (member) => {
        return member === id ? identity.incarnation : hardStates.peer(member)
      },
      connected: () => this.#transport?.connected ?? [],
      // In a turn of its own: whatever a listener does or throws, it is not in the middle of anything.
      tell: (kind, event) => queueMicrotask(() => this.#events.emit(kind, event)),
    }
    this.#scrubber = new Scrubber({
      logs: () => this.#logs.all,
      clock,
      bytesPerSecond: options.scrubBytesPerSecond,
      tell: (event) => this.#context.tell('failed', event),
    })
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
    if (!catalog().named(name)) await catalog().begin(this.#context.founders)
    const known: CatalogLog =
      catalog().named(name) ??
      (await catalog().create(name, this.#identity.voters, design, this.id))
    checkSameDesign(name, known, options as ReplicatedLogOptions<never, never>)
    if (!hostsOf(known.placement).includes(this.id)) await this.#followLog(known)
    await settle()
    this.#checkOpen()
    const hosted = this.#logs.get(known.id)
    if (!hosted) {
      throw (
        this.#logs.failures.get(known.id) ??
        new TidemarkError('NOT_FOUND', `there is no log ${name} any more`)
      )
    }
    await hosted.whenOpened(hostsOf(known.placement).length > 1)
    const { codec } = options
    // Plain bytes are handed on as they are.
    const own = (codec as unknown) === bytes ? undefined : codec
    return new ReplicatedLog(this.#context, hosted, own as never) as never
  }

  /** A member without a replica of a log gets one that learns, and does not vote. */
  async #followLog({ id, name }: CatalogLog): Promise<void> {
    const { clock, settings } = this.#context
    const end = clock.monotonic() + settings.timeoutMs
    const command = { kind: 'follow', id, member: this.id } as const
    while (!(await this.#follower!.catalog().execute(command))) {
      if (!this.#follower!.catalog().named(name)) return
      if (clock.monotonic() > end) {
        throw new TidemarkError('UNAVAILABLE', `member ${this.id} cannot have a replica of ${name}`)
      }
      await new Promise<void>((resolve) => clock.after(ASK_AGAIN_MS, resolve, true))
      this.#checkOpen()
    }
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
    const { id } = this.#named(name)
    await catalog().execute({ kind: 'delete', id })
    await settle()
  }

  /**
   * Has a member lead a log, from now on whenever nothing speaks against it. Resolves when that is decided; `status`
   * says when it is so. `$catalog` is the log of the catalog itself. Rejects with NOT_FOUND, INVALID_ARGUMENT if the
   * member has no vote on the log, UNAVAILABLE, UNCERTAIN or CLOSED.
   */
  async transfer(name: string, to: ReplicaId): Promise<void> {
    this.#checkOpen()
    const { catalog } = this.#follower!
    await catalog().latest()
    const id = name === CATALOG_NAME ? CATALOG_ID : this.#named(name).id
    await catalog().execute({ kind: 'prefer', id, member: to })
    const hosted = this.#logs.get(id)
    if (hosted?.status?.role === 'leader') hosted.host?.step({ kind: 'transfer', to })
  }

  /** Who belongs to the cluster, as far as is known here; nobody before the first leader has said so. */
  members(): readonly CatalogMember[] {
    this.#checkOpen()
    return this.#follower!.catalog().members
  }

  /**
   * Adds a member, which is started with `join: true`, before or after. Resolves when the cluster has decided so;
   * `status().members` says `member` instead of `joining` once it takes part. Its id must never have been another
   * member's. Rejects with INVALID_ARGUMENT, UNAVAILABLE, UNCERTAIN or CLOSED.
   */
  async addMember(id: ReplicaId, address: string): Promise<void> {
    checkMember(id, address)
    this.#checkOpen()
    const { catalog } = this.#follower!
    await catalog().begin(this.#context.founders)
    await catalog().execute({ kind: 'add-member', id, address })
  }

  /**
   * Removes a member, dead or alive, for good: its logs go to others first. Resolves when the cluster has decided so;
   * it is done when `status().members` does not have it any more, and then its process may be stopped. Rejects with
   * NOT_FOUND, INVALID_ARGUMENT if no other is left, UNAVAILABLE, UNCERTAIN or CLOSED.
   */
  async removeMember(id: ReplicaId): Promise<void> {
    this.#checkOpen()
    const { catalog } = this.#follower!
    await catalog().begin(this.#context.founders)
    await catalog().execute({ kind: 'remove-member', id })
  }

  /**
   * Reads through all that is synced in the logs on this member and checks every entry, now and as fast as the disk. Damage
   * that is found is being got back from others when this resolves. Rejects with NOT_FOUND, INVALID_ARGUMENT, IO, CLOSED, or the
   * signal's reason.
   */
  async scrub(options: ScrubOptions = {}): Promise<ScrubReport> {
    checkScrubOptions(options)
    this.#checkOpen()
    return this.#scrubber.scrub(options)
  }

  status(): MemberStatus {
    const { id, cluster } = this.#options
    return {
      id,
      cluster,
      address: this.address,
      incarnation: this.#identity.incarnation,
      peers: this.#peers.all.map((peer) => {
        return { ...peer, isConnected: this.#isConnected(peer.id) }
      }),
      members: this.#follower?.catalog().members ?? [],
      placements: (this.#follower?.catalog().logs ?? []).map(({ name, placement }) => {
        const { replicas, learners, leaving, preferred } = placement
        return { name, replicas, learners, leaving, preferred }
      }),
      logs: this.#logs.all.map(statusOf),
    }
  }

  #named(name: string): CatalogLog {
    const log = this.#follower!.catalog().named(name)
    if (!log) throw new TidemarkError('NOT_FOUND', `there is no log ${JSON.stringify(name)}`)
    return log
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
    const { voters } = this.#identity
    const members = voters.length > 0 ? membersOf(voters) : NO_MEMBERS
    const catalog: LogDefinition = {
      id: CATALOG_ID,
      name: CATALOG_NAME,
      members,
      first: voters[0] ?? NOBODY,
      segmentBytes: CATALOG_SEGMENT_BYTES,
      maxEntryBytes: CATALOG_ENTRY_BYTES,
      retention: undefined,
    }
    const hosted = await HostedLog.open(this.#context, catalog)
    this.#logs.add(hosted)
    answerRequests(this.#context, this.#logs)
    const transport = await this.#connect()
    await hosted.whenOpened(this.#options.peers.size > 0)
    const onState = (state: Readonly<CatalogState>) => {
      if (!this.#peers.follow(state, transport)) return
      this.#context.tell('members', { members: state.members })
    }
    const follower = await CatalogFollower.open(this.#context, this.#logs, hosted, onState)
    this.#follower = follower
    this.#requests.handle(
      OPERATION.admin,
      answerAdmin(this, new LogTransfer(this.#context, this.#logs)),
    )
    this.#keeper = new Keeper(this.#context, this.#logs, async () => {
      await follower.catchUp()
      await this.#sayWhere()
    })
    this.#scrubber.start()
  }

  /** Where others find this member: with the port that it really has. */
  get #ownAddress(): string {
    const { ownAddress } = this.#options
    return parseAddress(ownAddress, 'peers').port === 0 ? this.address : ownAddress
  }

  async #connect(): Promise<Transport> {
    const { id, cluster, peers, secret, tls, clock, random, electionMs } = this.#options
    this.#transport = await Transport.open({
      id,
      cluster,
      incarnation: Buffer.from(this.#identity.incarnation, 'hex'),
      founders: foundersOf(this.#hardStates, this.#identity),
      listen: this.#options.listen,
      peers,
      secret,
      tls,
      clock,
      random,
      silenceMs: Math.max(SILENCE_MS_MIN, 2 * electionMs),
      waitingBytesMax: WAITING_BYTES_MAX,
      onFrame: (from, frame) => this.#onFrame(from, frame),
      isSame: (peer) => this.#isSame(peer.id, textOf(peer.incarnation)),
      onOperatorFrame: (operator, frame) => this.#onOperatorFrame(operator, frame),
      checkMember: (peer) => {
        if (!this.#peers.isRemoved(peer)) return undefined
        return new Refusal('removed', `member ${peer} was removed from the cluster`)
      },
      onUp: (peer) => this.#met(peer),
      onDown: (peer, why) => {
        this.#requests.onDown(peer)
        this.#context.tell('peer-down', { id: peer, why })
      },
      onUnreachable: (peer) => {
        for (const log of this.#logs.all) log.unreachable(peer)
      },
      onRefused: (event) => this.#context.tell('refused', event),
    })
    return this.#transport
  }

  /** By what this member has met itself, or another has written down. */
  #isSame(id: ReplicaId, incarnation: string): boolean {
    const written = this.#follower?.catalog().members.find((member) => member.id === id)
    const known = [this.#hardStates.peer(id), written?.incarnation]
    return known.every((each) => each === undefined || each === incarnation)
  }

  /** The others are told where to find this member, if that has changed. */
  async #sayWhere(): Promise<void> {
    const catalog = this.#follower!.catalog()
    const own = catalog.members.find(({ id }) => id === this.id)
    const address = this.#ownAddress
    if (!own || (own.isOwnWord && own.address === address)) return
    await catalog.execute({ kind: 'moved', id: this.id, address })
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

  #onOperatorFrame(operator: number, frame: Frame): void {
    if (operationOf(frame) === OPERATION.admin && this.#requests.onFrame(operator, frame)) return
    throw new Error('an operator asks for what only members may')
  }

  #met(peer: PeerIdentity): void {
    const { id } = peer
    const isNew = this.#hardStates.peer(id) === undefined
    if (isNew) this.#keep(this.#hardStates.meet(id, textOf(peer.incarnation)))
    const isKnown = foundersOf(this.#hardStates, this.#identity).some((byte) => byte !== 0)
    if (!isKnown && peer.founders.some((byte) => byte !== 0)) {
      this.#transport!.setFounders(peer.founders)
      this.#keep(this.#hardStates.join(textOf(peer.founders)))
    }
    this.#context.tell('peer-up', { id })
  }

  /** What is written down about others, beside what the member does. */
  #keep(written: Promise<void>): void {
    written.catch((error: unknown) => {
      this.#context.tell('failed', { log: CATALOG_NAME, error, retryMs: undefined })
    })
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
    // What the keeper waits for may be known to the catalog only when that is closed.
    const kept = this.#keeper?.close()
    await this.#scrubber.close()
    await this.#follower?.close()
    await kept
    await Promise.all(this.#logs.all.map((log) => log.close()))
    await this.#transport?.close()
    await this.#hardStates.close()
    this.#lock.release()
  }
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}
