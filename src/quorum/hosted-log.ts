import { join } from 'node:path'
import { InvariantError, TidemarkError } from '../base/index.ts'
import type { Cancel } from '../io/index.ts'
import { deleteLog, Log } from '../log/index.ts'
import { AppendIntake } from './append-intake.ts'
import { AppendPipeline } from './append-pipeline.ts'
import { Arrivals } from './arrivals.ts'
import {
  type HardState,
  type Message,
  NOBODY,
  type Point,
  type ReplicaId,
  type Status,
} from './core/index.ts'
import { DamageWatch, isCorrupt, knownDamage } from './damage-watch.ts'
import { hasOnlyItsWord, lastWord } from './last-word.ts'
import { LeaderGuess } from './leader-guess.ts'
import { MarksAwaited } from './marks-awaited.ts'
import type { LogDefinition, MemberContext } from './member-context.ts'
import { OPERATION } from './operations.ts'
import { askToBeOut } from './readmission.ts'
import { Refused, ReplicaHost } from './replica-host.ts'
import { RetentionWatch } from './retention-watch.ts'
import { endOf } from './stored-log.ts'
import {
  type AppendGroup,
  type AppendOutcome,
  decodeAppendOutcome,
  encodeAppendRequest,
} from './wire/index.ts'

/** After a failure a replica is opened again: the first time soon, then later and later. */
const REOPEN_MS = 1_000
const REOPEN_MS_MAX = 30_000
const ASK_AGAIN_MS = 5
/** How often the first leader of a log tries to become it before that is left to the election. */
const FIRST_TRIES = 20

/** One life of a replica, from an opening of its log to a failure or the end. */
interface Life {
  readonly log: Log
  readonly host: ReplicaHost
  readonly intake: AppendIntake
}

/**
 * The replica of one log on this member: its log, what drives it, and what asks others for it. A replica whose disk
 * has failed is opened again.
 */
export class HostedLog {
  readonly definition: LogDefinition
  readonly pipeline: AppendPipeline
  /** Those who use it: while there are any, the replica is kept. */
  readonly users = new Set<object>()
  readonly #context: MemberContext
  readonly #folder: string
  readonly #awaited: MarksAwaited
  readonly #arrivals: Arrivals
  readonly #damage: DamageWatch
  readonly #guess: LeaderGuess
  readonly #retention: RetentionWatch
  #life: Life | undefined
  /** The log of the last life: its marks hold, whatever has become of it. */
  #log: Log | undefined
  /** The log cannot be opened: what it had promised is lost with it. */
  #isLost = false
  #failure: unknown
  #leader: ReplicaId = NOBODY
  #term = 0
  #reopenMs = REOPEN_MS
  #openedAt = 0
  #cancelReopen: Cancel | undefined
  #isClosed = false
  /** Another is to lead before the replica is opened again. */
  #isLeaving = false
  /** Resolves when no opening or closing is under way. */
  #changing: Promise<void> = Promise.resolve()

  private constructor(context: MemberContext, definition: LogDefinition) {
    this.#context = context
    this.definition = definition
    this.#folder = join(context.dir, 'logs', String(definition.id))
    this.#awaited = new MarksAwaited(context.clock)
    this.#arrivals = new Arrivals(context.clock, () => this.#highWaterMark)
    this.#damage = new DamageWatch(definition.name, context.tell)
    this.#guess = new LeaderGuess(context)
    this.#retention = new RetentionWatch(context, this)
    const { clock, random, settings } = context
    this.pipeline = new AppendPipeline(
      {
        name: definition.name,
        session: random.uint32() * 2 ** 16 + (random.uint32() % 2 ** 16),
        clock,
        leader: () => (this.#life ? this.leader : this.#guess.leader),
        committed: () => this.#highWaterMark,
        onCommitted: (point) => this.#committed(point),
        whenHere: (mark, tell) => {
          if (this.#life) this.#arrivals.wait(mark, tell)
          else tell()
        },
        send: (to, group) => this.#send(to, group),
      },
      settings.pipeline,
    )
  }

  /**
   * Opens the replica, or makes it. One that is lost is begun anew when the others agree. Rejects as `Log.open` does
   * otherwise.
   */
  static async open(context: MemberContext, definition: LogDefinition): Promise<HostedLog> {
    const hosted = new HostedLog(context, definition)
    const isNew = context.hardStates.get(String(definition.id)) === undefined
    await hosted.#open().catch((error: unknown) => {
      if (!isCorrupt(error)) throw error
      hosted.#fail(error)
    })
    if (isNew) hosted.#standFirst(FIRST_TRIES)
    hosted.#retention.start()
    return hosted
  }

  get id(): number {
    return this.definition.id
  }

  get name(): string {
    return this.definition.name
  }

  /** Throws why the log could never be opened, if that is so. */
  get log(): Log {
    if (!this.#log) throw this.#failure
    return this.#log
  }

  /** False: the log is lost, and the others have not let it begin anew yet. */
  get hasOpened(): boolean {
    return this.#log !== undefined
  }

  get #highWaterMark(): number {
    return this.#log?.highWaterMark ?? 0
  }

  /** The log while it is open; undefined while the replica has failed, or is about to be opened again. */
  get live(): Log | undefined {
    return this.#isLeaving ? undefined : this.#life?.log
  }

  /** How many damaged offsets were got back from others. */
  get repaired(): number {
    return this.#damage.repaired
  }

  /** What drives the replica; undefined while it has failed. */
  get host(): ReplicaHost | undefined {
    return this.#life?.host
  }

  /** Who leads, as far as is known here. */
  get leader(): ReplicaId {
    return this.#life?.host.leader ?? NOBODY
  }

  get status(): Status | undefined {
    return this.#life?.host.status
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  /** Why the replica does not run. */
  get failure(): unknown {
    return this.#failure
  }

  receive(from: ReplicaId, message: Message): void {
    this.#life?.host.receive(from, message)
  }

  /** The leader's side of an append. */
  take(group: AppendGroup): Promise<AppendOutcome> {
    if (!this.#life) return Promise.resolve({ kind: 'refused', leader: NOBODY })
    return this.#life.intake.take(group)
  }

  /**
   * Somebody has met damage in the log. Unless it is known, the replica is opened again, so that it knows what it lacks, does
   * not lead or answer for it, and gets it back.
   */
  damaged(log: Log, error: TidemarkError): void {
    const life = this.#life
    if (life?.log !== log || knownDamage(log, error)) return
    this.#damage.suspect(error)
    if (this.#isLeaving) return
    this.#isLeaving = true
    void this.#handOver(life.host).then(() => {
      this.#isLeaving = false
      if (this.#life === life) this.#fail(error)
    })
  }

  /** A leader that has to stop lets another lead first, so that nobody waits for an election. */
  async #handOver(host: ReplicaHost): Promise<void> {
    if (!host.isLeader) return
    const { ticker, settings } = this.#context
    const { voters } = host.status.members
    const others = [...host.progress].filter(([id]) => voters.includes(id))
    const [next] = others.sort(([, a], [, b]) => b.match - a.match)
    if (!next) return
    host.step({ kind: 'transfer', to: next[0] })
    const ms = ticker.tickMs * settings.host.electionTicks
    await this.#awaited.until(() => !host.isLeader, ms, 'another leads').catch(() => {})
  }

  /** A member is certainly not there: who follows it need not wait until it has been silent for long. */
  unreachable(id: ReplicaId): void {
    this.#life?.host.step({ kind: 'unreachable', id })
  }

  /** Resolves with a mark below which everything is that anyone was told of before the call. */
  async readIndex(): Promise<number> {
    const { timeoutMs } = this.#context.settings
    const end = this.#context.clock.monotonic() + timeoutMs
    for (;;) {
      try {
        if (this.#life) return await this.#life.host.readIndex()
      } catch (error) {
        if (!(error instanceof Refused)) throw error
      }
      const left = end - this.#context.clock.monotonic()
      if (left <= 0) throw new TidemarkError('UNAVAILABLE', `${this.name} cannot be read now`)
      const hasLeader = () => this.leader !== NOBODY
      await this.until(hasLeader, left, `${this.name} has a leader`)
      // It may have been asked too early, and may lead no more.
      await new Promise<void>((resolve) => this.#context.clock.after(ASK_AGAIN_MS, resolve, true))
    }
  }

  /** Resolves when everything that anyone was told of before the call is here. Rejects with UNAVAILABLE or CLOSED. */
  async barrier(): Promise<void> {
    const mark = await this.readIndex()
    const { timeoutMs } = this.#context.settings
    const isHere = () => this.log.highWaterMark >= mark
    await this.until(isHere, timeoutMs, `${this.name} has come to ${mark} here`)
  }

  /** Resolves when `isSo`; looked at after each step of the replica. Rejects with UNAVAILABLE or CLOSED. */
  until(isSo: () => boolean, timeoutMs: number, what: string): Promise<void> {
    this.#checkOpen()
    return this.#awaited.until(isSo, timeoutMs, what)
  }

  /** Resolves when the log has been opened. Rejects with why it cannot be, after a while or if nobody could help. */
  async whenOpened(canBeHelped: boolean): Promise<void> {
    const { timeoutMs } = this.#context.settings
    const isOpen = this.until(() => this.hasOpened, canBeHelped ? timeoutMs : 0, 'it is open')
    await isOpen.catch(() => {
      throw this.#failure
    })
  }

  /** Takes nothing more; what was not answered rejects with CLOSED. */
  giveUp(): void {
    this.#isClosed = true
    this.#cancelReopen?.()
    this.#retention.close()
    this.pipeline.close()
    this.#arrivals.release()
    this.#awaited.fail(this.#closed())
  }

  /** Stops the replica and closes its log. */
  async close(): Promise<void> {
    this.giveUp()
    await this.#changing
    await this.#end()
  }

  /**
   * Closes it, and removes it from the disk: the cluster has decided so. If there is the log still, on other members,
   * its last word is kept.
   */
  async delete(isThereStill: boolean): Promise<void> {
    await this.close()
    const { lock, files, hardStates } = this.#context
    const key = String(this.id)
    const last = this.#log && endOf(this.#log)
    if (isThereStill) await hardStates.save(key, lastWord(hardStates.get(key), last))
    await deleteLog(this.#folder, { lock, files })
    if (!isThereStill) await hardStates.remove(key)
  }

  /** Damage that nobody has looked for is found by looking again, and got back from others then. */
  async #open(): Promise<void> {
    for (;;) {
      try {
        return await this.#begin()
      } catch (error) {
        if (!this.#damage.suspect(error)) throw error
      }
    }
  }

  async #begin(): Promise<void> {
    const { files, clock, random, lock, hardStates, outbox, settings, catchUp } = this.#context
    const { segmentBytes } = this.definition
    // The quorum's own entries are let in, however small those of users must be.
    const maxEntryBytes = Math.max(this.definition.maxEntryBytes, OWN_ENTRY_BYTES)
    const ports = { lock, files, clock, random }
    const examine = this.#damage.suspects
    // Damage seldom comes alone.
    const looks = { recheck: examine.length > 0, examine }
    const options = { replica: true, ...looks, ...ports, segmentBytes, maxEntryBytes }
    await hardStates.revive()
    const key = String(this.id)
    await this.#beginWithNothing(key)
    const hard = hardStates.get(key)
    const isKnown = hard !== undefined && !hasOnlyItsWord(hard)
    if (isKnown && !Log.isIn(this.#folder, files)) throw this.#halfLost('is not there any more')
    const log = await Log.open(this.#folder, { ...options, maxPendingBytes: PENDING_BYTES })
    try {
      // What was shown is safe: it is shown again, as far as it is on the disk.
      log.replica.commit(Math.min(this.#highWaterMark, log.replica.endOffset))
      const isEmpty = log.replica.endOffset === 0 && log.replica.damage.length === 0
      if (!isKnown && !isEmpty)
        throw this.#halfLost('is there, but not what this member has voted for')
      const host = await ReplicaHost.start(
        { ...settings.host, id: this.#context.id },
        {
          log,
          hard: hard ?? this.#firstState(),
          saveHard: (hard) => hardStates.save(key, hard),
          send: (envelope) => outbox.put(this.id, envelope),
          clock,
          random,
          ticker: this.#context.ticker,
          catchUp,
          onStep: () => this.#stepped(),
          onDamage: (error) => this.damaged(log, error),
          onFailure: (error) => this.#fail(error),
        },
      )
      this.#log = log
      this.#life = { log, host, intake: new AppendIntake(host) }
      this.#damage.opened(log)
    } catch (error) {
      await log.close().catch(() => {})
      throw error
    }
    this.#failure = undefined
    this.#openedAt = clock.monotonic()
  }

  /**
   * Of a log that is new, the member that is to lead it stands for election at once, and again until the others have it
   * too: the catalog chooses them so that each leads as many logs as the others.
   */
  #standFirst(tries: number): void {
    const { members, first } = this.definition
    const host = this.#life?.host
    const isFirst = first === this.#context.id && members.voters.includes(first)
    if (!isFirst || tries === 0 || !host) return
    if (this.#isClosed || host.term > 0 || host.leader !== NOBODY) return
    host.step({ kind: 'campaign' })
    this.#context.clock.after(this.#context.ticker.tickMs, () => this.#standFirst(tries - 1))
  }

  /** What a replica has promised is in both: without one of them it must not take part. */
  #halfLost(what: string): TidemarkError {
    return new TidemarkError('CORRUPT', `the log ${this.name} in ${this.#folder} ${what}`)
  }

  /**
   * A replica that came later says first, on the disk, what its word is: until it has, a folder that is there is left
   * over from another, which is gone.
   */
  async #beginWithNothing(key: string): Promise<void> {
    const { hardStates, lock, files } = this.#context
    const hard = hardStates.get(key)
    const isNew = hard === undefined && this.definition.members.voters.length === 0
    if (isNew) await hardStates.save(key, this.#firstState())
    else if (!hard || !hasOnlyItsWord(hard)) return
    if (!files.existsSync(this.#folder)) return
    await deleteLog(this.#folder, { lock, files, unrecognized: true })
  }

  #firstState(): HardState {
    const { members } = this.definition
    const configurations = [{ point: { term: 0, mark: 0 }, members }]
    return { term: 0, vote: NOBODY, promised: undefined, configurations }
  }

  #stepped(): void {
    this.#awaited.check()
    this.#arrivals.check()
    const host = this.#life?.host
    if (this.#life) this.#damage.look(this.#life.log)
    if (!host || (host.leader === this.#leader && host.term === this.#term)) return
    this.#term = host.term
    if (host.leader === this.#leader) return
    this.#leader = host.leader
    const leader = this.#leader === NOBODY ? undefined : this.#leader
    this.#context.tell('leader', { log: this.name, term: this.#term, leader })
    this.pipeline.leaderChanged()
  }

  #fail(error: unknown): void {
    if (this.#failure !== undefined || this.#isClosed) return
    this.#failure = error
    this.#isLost = this.#life === undefined && isCorrupt(error)
    const livedMs = this.#context.clock.monotonic() - this.#openedAt
    if (livedMs > REOPEN_MS_MAX) this.#reopenMs = REOPEN_MS
    const isMet = this.#life !== undefined && isCorrupt(error)
    const isOften = !isMet || this.#damage.isInVain
    this.#damage.suspect(error)
    // What cannot be does not become possible by another try.
    const retryMs =
      error instanceof InvariantError
        ? undefined
        : isMet
          ? this.#damage.nextReopenMs(livedMs)
          : this.#reopenMs
    // Damage that can be repaired is told of when it is known.
    if (isOften) this.#context.tell('failed', { log: this.name, error, retryMs })
    this.#changing = this.#end()
    if (retryMs === undefined) return
    if (!isMet) this.#reopenMs = Math.min(this.#reopenMs * 2, REOPEN_MS_MAX)
    this.#cancelReopen = this.#context.clock.after(retryMs, () => {
      this.#changing = this.#changing.then(() => this.#reopen())
    })
  }

  async #reopen(): Promise<void> {
    if (this.#isClosed) return
    try {
      if (this.#isLost && (await askToBeOut(this.#context, this.id))) await this.#forget()
      await this.#open()
      this.#awaited.check()
    } catch (error) {
      this.#failure = undefined
      this.#fail(error)
    }
  }

  /** Nothing is counted on any more that this replica has promised: the next opening begins with nothing. */
  async #forget(): Promise<void> {
    const { hardStates } = this.#context
    const key = String(this.id)
    // What it had reached is not known; nobody has counted on that to let it go.
    await hardStates.save(key, lastWord(hardStates.get(key), undefined))
    this.#context.tell('lost', { log: this.name })
  }

  async #end(): Promise<void> {
    const life = this.#life
    if (life) this.#guess.led(this.leader)
    this.#life = undefined
    this.#arrivals.release()
    if (!life) return
    this.#damage.closed(life.log)
    await life.host.stop()
    // A log that was poisoned says so once more.
    await life.log.close().catch(() => {})
  }

  /** Whoever appends here finds it here as soon as it is told. */
  #committed(point: Point): void {
    const host = this.#life?.host
    if (host && !host.isLeader) host.step({ kind: 'committed', point })
  }

  #send(to: ReplicaId, group: AppendGroup): Promise<AppendOutcome> {
    if (to === this.#context.id) return this.take(group)
    return this.#context.requests
      .ask(to, OPERATION.append, encodeAppendRequest(this.id, group))
      .then(decodeAppendOutcome)
      .then(
        (outcome) => {
          if (outcome.kind === 'refused') this.#hasRefused(to, outcome.leader)
          return outcome
        },
        (error) => {
          this.#hasRefused(to, NOBODY)
          throw error
        },
      )
  }

  /** While the replica here runs, it knows better. */
  #hasRefused(by: ReplicaId, said: ReplicaId): void {
    if (!this.#life) this.#guess.refused(by, said)
  }

  #checkOpen(): void {
    if (this.#isClosed) throw this.#closed()
  }

  #closed(): TidemarkError {
    return new TidemarkError('CLOSED', `the log ${this.name} is closed on this member`)
  }
}

/** More than an own entry has. */
const OWN_ENTRY_BYTES = 8192

/** What waits for the disk is bounded by what the core takes, and must never be refused behind it. */
const PENDING_BYTES = 2 ** 30
