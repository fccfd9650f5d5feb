// One replica of the simulated cluster: the real host and core over a real log, on simulated files.
import { Log } from 'tidemark'
import {
  cloneAll,
  crashImage,
  type Draws,
  ForgetfulFiles,
  memberClock,
  type SimulatedClock,
  type SimulatedNetwork,
  type SimulatedTime,
} from 'tidemark/testing'
import {
  type Batch,
  type HardState,
  type Input,
  type Members,
  membersOf,
  type Output,
} from '#dist/quorum/core/index.js'
import { HardStates } from '#dist/quorum/hard-states.js'
import { lastWord } from '#dist/quorum/last-word.js'
import { readBatches } from '#dist/quorum/recent-batches.js'
import { ReplicaHost } from '#dist/quorum/replica-host.js'
import { storedLog } from '#dist/quorum/stored-log.js'
import { Ticker } from '#dist/quorum/ticker.js'
import { errnoError } from '#dist/simulation/index.js'
import { type AppendCounts, AppendPath } from './append-path.ts'
import { Inbox, Outbox, type Packet } from './framing.ts'
import type { Invariants, Watched } from './invariants.ts'
import type { SimSettings } from './settings.ts'
import { ShadowLog } from './shadow-log.ts'

export const LOG_FOLDER = '/member/log'
const HARD_FOLDER = '/member/hard'

export interface World {
  readonly settings: SimSettings
  /** How the next life of a replica is driven. */
  readonly host: () => SimSettings['host']
  readonly time: SimulatedTime
  readonly network: SimulatedNetwork<Packet>
  readonly invariants: Invariants
  readonly onStep: (member: SimMember, input: Input, output: Output) => void
  readonly appendCounts: AppendCounts
  /** For the next connection. */
  readonly nextNumber: () => number
  /** A frame was not believed. */
  readonly onRefusedFrame: () => void
  /** A violation, or what cannot be: the run ends. */
  readonly onFault: (error: unknown) => void
}

interface Life {
  readonly clock: SimulatedClock
  readonly log: Log
  readonly hardStates: HardStates
  readonly host: ReplicaHost
  readonly watched: Watched
  readonly appends: AppendPath | undefined
}

export type DiskFault = 'eio' | 'full'

export class SimMember {
  readonly id: number
  readonly #world: World
  readonly #draws: Draws
  #initial: Members
  /** Of a replica that has deleted what it had. */
  #word: HardState | undefined
  #files = new ForgetfulFiles()
  #life: Life | undefined
  #isStarting = false
  #isRotting = false
  /** Counts starts: what an older one began is not heard any more. */
  #number = 0
  #wallOffsetMs: number
  #watched: Watched | undefined
  /** What this life does with what arrives. */
  #receive: ((from: number, packet: Packet) => void) | undefined
  /** So long as the process lives. */
  #isAttached = false
  /** Who took part, as it knew last. */
  #members: Members | undefined
  /** Everything takes so many times as long. */
  slowness = 1
  diskFault: DiskFault | undefined
  /** An operation of this life has failed. */
  #wasStruck = false
  /** Its disk is gone for good. */
  isWiped = false
  /** Damage that is not repaired yet. */
  isRotten = false
  lives = 0

  constructor(world: World, id: number, draws: Draws, initial: Members) {
    this.id = id
    this.#world = world
    this.#draws = draws
    this.#initial = initial
    this.#wallOffsetMs = draws.between(-500, 500)
    this.#watchFiles()
  }

  get host(): ReplicaHost | undefined {
    return this.#life?.host
  }

  get log(): Log | undefined {
    return this.#life?.log
  }

  /** What clients append by, in a run in which they ask members. */
  get appends(): AppendPath | undefined {
    return this.#life?.appends
  }

  get clock(): SimulatedClock | undefined {
    return this.#life?.clock
  }

  get isAlive(): boolean {
    return this.#life !== undefined
  }

  get isDown(): boolean {
    const isBusy = this.#isStarting || this.#isRotting
    return this.#life === undefined && !isBusy && !this.isWiped
  }

  /** Ends of batches in `(from, to]`. */
  batchEnds(from: number, to: number): number[] {
    return this.#watched?.memory.between(from, to).map(({ end }) => end) ?? []
  }

  /** The configuration that this replica goes by, or went by before it died. */
  configurations(): Members[] {
    return this.#members ? [this.#members] : []
  }

  /** Opens what the disk has, and takes part. */
  async start(): Promise<void> {
    if (!this.isDown) return
    this.#isStarting = true
    const number = ++this.#number
    const { settings, time } = this.#world
    const driftPpm = settings.everyMs.clock > 0 ? this.#draws.between(-20_000, 20_000) : 0
    this.#wasStruck = false
    const clock = memberClock(time, { wallOffsetMs: this.#wallOffsetMs, driftPpm })
    this.#clockOfFiles = clock
    try {
      await this.#open(number, clock)
    } catch (error) {
      if (number === this.#number) this.#failedToOpen(error)
    } finally {
      if (number === this.#number) this.#isStarting = false
    }
  }

  async #open(number: number, clock: SimulatedClock): Promise<void> {
    const { settings, network, onRefusedFrame } = this.#world
    const files = this.#files
    const common = { files, clock, random: this.#draws.fork(), segmentBytes: settings.segmentBytes }
    const hardStates = await HardStates.open(HARD_FOLDER, common)
    const log = await Log.open(LOG_FOLDER, { ...common, replica: true })
    const hard = hardStates.get('log') ??
      this.#word ?? {
        term: 0,
        vote: 0,
        promised: undefined,
        configurations: [{ point: { term: 0, mark: 0 }, members: this.#initial }],
      }
    const shadow = await this.#shadowOf(log)
    if (number !== this.#number) return
    const watched = this.#world.invariants.watch(this.id, this.#said(hard, log), shadow)
    watched.hard = hard
    this.#watched = watched
    const host = await this.#host(number, clock, log, hardStates, hard, watched)
    if (number !== this.#number) return
    this.lives++
    this.isRotten = isDamaged(log, host)
    const appends = this.#appendPath(clock, log, host)
    this.#life = { clock, log, hardStates, host, watched, appends }
    const inbox = new Inbox(this.#draws.fork(), onRefusedFrame)
    this.#receive = (from, packet) => {
      clock.enter(() => {
        if (packet.connection) appends?.receive(from, packet)
        else for (const message of inbox.receive(from, packet)) host.receive(from, message)
      })
    }
    if (this.#isAttached) return
    this.#isAttached = true
    network.attach(this.id, (from, packet) => this.#receive?.(from, packet))
  }

  #appendPath(clock: SimulatedClock, log: Log, host: ReplicaHost): AppendPath | undefined {
    const { settings, network, appendCounts, nextNumber, onRefusedFrame } = this.#world
    if (!settings.appends) return undefined
    return new AppendPath({
      id: this.id,
      host,
      committed: () => log.highWaterMark,
      clock,
      draws: this.#draws.fork(),
      settings: settings.appends,
      counts: appendCounts,
      nextNumber,
      send: (to, packet) => {
        if (!clock.isStopped) network.send(this.id, to, packet)
      },
      onRefusedFrame,
    })
  }

  /** Of a lost end the replica still speaks. */
  #said(hard: HardState, log: Log): HardState {
    const lost = log.replica.damage.some((range) => range.endPosition === undefined)
    return lost ? { ...hard, promised: { term: hard.term, mark: 0 } } : hard
  }

  #host(
    number: number,
    clock: SimulatedClock,
    log: Log,
    hardStates: HardStates,
    hard: HardState,
    watched: Watched,
  ): Promise<ReplicaHost> {
    const { network, invariants, onStep, onFault } = this.#world
    const guarded = (check: () => void) => {
      if (number !== this.#number) return
      try {
        check()
      } catch (error) {
        onFault(error)
      }
    }
    const outbox = new Outbox(
      (fire) => clock.after(0, fire),
      (to, packet) => network.send(this.id, to, packet),
    )
    let host: ReplicaHost | undefined
    return ReplicaHost.start(
      { ...this.#world.host(), id: this.id },
      {
        log,
        hard,
        clock,
        random: this.#draws.fork(),
        ticker: new Ticker(clock, this.#world.host().tickMs),
        saveHard: async (state) => {
          await hardStates.save('log', state)
          guarded(() => invariants.saved(watched, state))
        },
        send: (envelope) => {
          if (number !== this.#number) return
          guarded(() => invariants.sent(watched, envelope))
          outbox.add(envelope.to, envelope.message)
        },
        onStep: (input, output) => {
          guarded(() => {
            if (host) invariants.stepped(watched, input, output, host.status)
            onStep(this, input, output)
            this.#members = host?.status.members
            if (this.isRotten && host) this.isRotten = isDamaged(log, host)
            this.appends?.stepped()
          })
        },
        onFailure: (error) => {
          if (number === this.#number) this.#failed(error)
        },
      },
    ).then((started) => {
      host = started
      return started
    })
  }

  /** The disk has failed, so the process ends; an invariant of the code itself is a fault of the run. */
  #failed(error: unknown): void {
    if (!this.#wasStruck || (error as Error).name === 'InvariantError') {
      this.#world.onFault(error)
      return
    }
    this.powerLoss()
  }

  #failedToOpen(error: unknown): void {
    this.#isStarting = false
    if (this.#wasStruck) this.powerLoss()
    else this.#world.onFault(error)
  }

  /** The process ends: what it has written stays with the operating system. */
  kill(): void {
    this.#die(cloneAll(this.#files))
  }

  /** The machine loses its power: what was not synced may stay or not. */
  powerLoss(): void {
    this.#die(crashImage(this.#files, this.#draws).files)
  }

  get isUp(): boolean {
    return this.#life !== undefined
  }

  wipe(): void {
    this.#die(new ForgetfulFiles())
    this.isWiped = true
  }

  /** It is no member any more and deletes its replica. The process goes on, and what is under way to it arrives. */
  leave(): void {
    const { hardStates, log } = this.#life ?? {}
    const last = log && { term: log.replica.lastTerm, mark: log.replica.endOffset }
    this.#word = lastWord(hardStates?.get('log'), last)
    this.#die(new ForgetfulFiles(), true)
    this.isWiped = true
  }

  /** As if it had never been, but for its number and its last word: it has deleted what it had. */
  beginAnew(): void {
    this.isWiped = false
    this.isRotten = false
    this.#initial = membersOf([])
    this.#members = undefined
    this.#world.invariants.forget(this.id)
  }

  #die(left: ForgetfulFiles, isConnected = false): void {
    this.#number++
    this.#isStarting = false
    const clock = this.#life?.clock ?? this.#clockOfFiles
    if (clock) this.#wallOffsetMs = clock.wallOffsetMs
    clock?.stop()
    this.#clockOfFiles = undefined
    void this.#life?.host.stop().catch(() => {})
    this.#life = undefined
    this.#receive = undefined
    this.#isAttached &&= isConnected
    if (!this.#isAttached) this.#world.network.detach(this.id)
    this.#files = left
    this.#watchFiles()
  }

  /**
   * Bits turn on the disk of a dead member, in its last segment. True if the log finds out: of the group that was
   * synced last nothing proves that it was (docs/recovery.md), so damage there is none that a quorum could mend.
   */
  async rot(): Promise<boolean> {
    const files = this.#files
    const stores = files.existsSync(LOG_FOLDER)
      ? files.listSync(LOG_FOLDER).filter((name) => name.endsWith('.store'))
      : []
    const name = stores.sort().at(-1)
    if (name === undefined || this.diskFault) return false
    const before = cloneAll(files)
    if (!flipBits(files, `${LOG_FOLDER}/${name}`, this.#draws)) return false
    const number = this.#number
    // As long as it is not known, nobody else may lose anything.
    this.isRotten = true
    this.#isRotting = true
    const least = await damageOf(cloneAll(before), undefined)
    // Damage of what opening needs refuses even a replica: it is as good as wiped, which is another fault.
    const found = await damageOf(cloneAll(files), least).catch(() => undefined)
    this.#isRotting = false
    if (number !== this.#number) return false
    if (!found) this.#files = before
    this.#watchFiles()
    this.isRotten = found !== undefined
    return this.isRotten
  }

  #clockOfFiles: SimulatedClock | undefined

  #watchFiles(): void {
    const files = this.#files
    const wait = (meanMs: number) =>
      new Promise<void>((resolve) => {
        const clock = this.#clockOfFiles
        const ms = this.#draws.exponential(meanMs) * this.slowness
        if (clock && files === this.#files) clock.after(ms, resolve)
      })
    const { writeMs, syncMs } = this.#world.settings
    files.syncDelay = () => wait(syncMs)
    files.writeDelay = () => wait(writeMs)
    files.fault = (op) => {
      if (this.diskFault === 'eio' && op.kind === 'datasync') {
        this.#wasStruck = true
        return errnoError('EIO', op.kind, op.path)
      }
      if (this.diskFault === 'full' && (op.kind === 'write' || op.kind === 'create')) {
        this.#wasStruck = true
        return errnoError('ENOSPC', op.kind, op.path)
      }
      return undefined
    }
  }

  /** What the log holds. Of damage it is known what was lost. */
  async #shadowOf(log: Log): Promise<ShadowLog> {
    const stored = await storedLog(log)
    const shadow = new ShadowLog()
    shadow.low = stored.low
    let from = stored.low.mark
    const batches: Batch[] = []
    for (const hole of [...stored.holes, undefined]) {
      const to = hole?.from ?? stored.last.mark
      if (from < to) batches.push(...(await readBatches(log, from, to, Number.POSITIVE_INFINITY)))
      if (hole) batches.push(...this.#world.invariants.batchesIn(hole))
      from = hole?.to ?? to
    }
    shadow.apply({ number: 0, batches })
    return shadow
  }
}

/** Where the entries of a store begin, at the least. */
const HEADER_BYTES = 96

/** True if any bit was turned. */
function flipBits(files: ForgetfulFiles, path: string, draws: Draws): boolean {
  const file = files.openSync(path, 'write')
  const bytes = Buffer.alloc(file.sizeSync())
  file.readSync(bytes, 0)
  const end = bytes.findLastIndex((byte) => byte !== 0) + 1
  if (end > HEADER_BYTES) {
    for (let i = draws.integer(1, 3); i > 0; i--) {
      bytes[draws.integer(HEADER_BYTES, end - 1)]! ^= 1 << draws.integer(0, 7)
    }
    file.writeSync(bytes, 0)
    file.datasyncSync()
  }
  file.closeSync()
  return end > HEADER_BYTES
}

/** Where a log ends, with what is known to be lost; undefined if it is not damaged or ends before `least`. */
async function damageOf(
  files: ForgetfulFiles,
  least: number | undefined,
): Promise<number | undefined> {
  const log = await Log.open(LOG_FOLDER, { files, replica: true })
  const { damage, endOffset } = log.replica
  await log.close()
  const end = Math.max(endOffset, ...damage.map((range) => range.endOffset))
  if (least === undefined) return end
  return damage.length > 0 && end >= least ? end : undefined
}

/** True while something is missing that the replica once had synced. */
function isDamaged(log: Log, { status }: ReplicaHost): boolean {
  if (status.holes.length > 0 || status.promised !== undefined) return true
  return log.replica.damage.some(({ endOffset }) => endOffset > log.lowWaterMark)
}
