import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { Draws, seededRandom } from '#dist/testing/index.js'
import { MemberError, ProcessHandle } from '../kill/quorum/process-handle.ts'
import { freePorts } from '../quorum/members/trio.ts'
import { HEALTHY } from './disk.ts'
import type { Asked, ProcessOptions, ReplicaState } from './member-process.ts'
import { Network } from './network.ts'
import type { DamageNotice, FailedNotice, SeenNotice } from './notices.ts'

const ELECTION_MS = 600
const HEARTBEAT_MS = 60
const TIMEOUT_MS = 6000
const AHEAD_MS_MAX = 10 * 60_000
const PROGRAM = new URL('member-process.js', import.meta.url)

export type Process = ProcessHandle<Asked>

/** A failure that a member has told of, and when. */
export interface Failure extends FailedNotice {
  readonly member: number
}

/** One member, in all its lives. */
export interface Place {
  readonly id: number
  readonly port: number
  readonly process: Process
  /** The lives that it has had. */
  lives: number
  isPaused: boolean
  /** What has it in hand: nothing else strikes it meanwhile. */
  claim: string | undefined
  /** Codes that what struck it accounts for. */
  readonly expected: Set<string>
  /** Of a member that came later. */
  readonly isJoining: boolean
}

export interface ClusterOptions {
  readonly build: URL
  readonly folder: string
  readonly seed: number
  readonly members: number
  readonly hasWrongClocks: boolean
  /** On how many members each log is kept; as many as by default otherwise. */
  readonly replicas?: number
  /** How long a member waits for a leader, or for what is damaged. */
  readonly timeoutMs?: number
  /** `isDamaged`: bits have turned in its store, and a replica may have to begin anew. */
  readonly onSeen?: (member: number, life: number, seen: SeenNotice, isDamaged: boolean) => void
  readonly onDamage?: (member: number, notice: DamageNotice) => void
}

/** Members in processes of their own, with a network and disks that do what they are told. */
export class Cluster {
  readonly network = new Network()
  /** Members are being added and removed. */
  isChanging = false
  readonly failures: Failure[] = []
  /** Starts that were refused, by code. */
  readonly refusedStarts: string[] = []
  readonly #options: ClusterOptions
  readonly #draws: Draws
  readonly #places = new Map<number, Place>()
  readonly #gone: Place[] = []
  /** Nobody starts any more: a process that nobody ends would outlive its test. */
  #isOver = false

  private constructor(options: ClusterOptions) {
    this.#options = options
    this.#draws = new Draws(seededRandom(options.seed + 77))
  }

  static async start(options: ClusterOptions): Promise<Cluster> {
    const cluster = new Cluster(options)
    try {
      for (const port of await freePorts(options.members)) cluster.add(port, false)
      await Promise.all(cluster.ids.map((id) => cluster.revive(id)))
      return cluster
    } catch (error) {
      await cluster.stop()
      throw error
    }
  }

  get places(): readonly Place[] {
    return [...this.#places.values()]
  }

  get ids(): readonly number[] {
    return [...this.#places.keys()]
  }

  get majority(): number {
    return Math.floor(this.#places.size / 2) + 1
  }

  place(id: number): Place {
    const place = this.#places.get(id)
    if (!place) throw new Error(`there is no member ${id}`)
    return place
  }

  dirOf(id: number): string {
    return join(this.#options.folder, String(id))
  }

  /** A place for another member, which has no process yet. */
  add(port: number, isJoining: boolean): Place {
    const id = 1 + Math.max(0, ...this.#places.keys(), ...this.#gone.map((one) => one.id))
    const process: Process = new ProcessHandle<Asked>(id, PROGRAM, (notice) => {
      if (notice.notice === 'seen') {
        const isDamaged = place.expected.has('CORRUPT')
        this.#options.onSeen?.(id, place.lives, notice as SeenNotice, isDamaged)
      } else if (notice.notice === 'damage') {
        this.#options.onDamage?.(id, notice as DamageNotice)
      } else this.failures.push({ ...(notice as FailedNotice), member: id })
    })
    const place: Place = {
      id,
      port,
      process,
      lives: 0,
      isPaused: false,
      claim: undefined,
      expected: new Set(),
      isJoining,
    }
    this.#places.set(id, place)
    return place
  }

  /** A member that belongs to the cluster no more. */
  async forget(id: number): Promise<void> {
    const place = this.place(id)
    this.#places.delete(id)
    this.#gone.push(place)
    await place.process.end('SIGKILL')
  }

  /** Starts a member that has no process. Resolves with whether it is ready. */
  async revive(id: number): Promise<boolean> {
    const place = this.place(id)
    if (place.process.isAlive) return place.process.isReady
    place.isPaused = false
    place.lives++
    const words = [this.#options.build.href, JSON.stringify(await this.#optionsOf(place))]
    // Meanwhile it may have been forgotten, and what is not there is not ended.
    if (this.#isOver || this.#places.get(id) !== place) return false
    if (place.process.isAlive) return place.process.isReady
    try {
      await place.process.run(words)
      return true
    } catch (error) {
      if (!(error instanceof MemberError)) throw error
      if (error.code !== 'GONE') this.refusedStarts.push(`${id}: ${error.code} ${error.message}`)
      return false
    }
  }

  async #optionsOf({ id, port, lives, isJoining }: Place): Promise<ProcessOptions> {
    const dir = this.dirOf(id)
    mkdirSync(dir, { recursive: true })
    const peers: Record<number, string> = {}
    for (const other of this.places) {
      const isOwn = other.id === id
      peers[other.id] = isOwn
        ? `127.0.0.1:${port}`
        : await this.network.open(id, other.id, other.port)
    }
    const isWrong = this.#options.hasWrongClocks && this.#draws.chance(0.5)
    const aheadMs = this.#draws.integer(-AHEAD_MS_MAX, AHEAD_MS_MAX)
    const rate = this.#draws.between(0.7, 1.3)
    return {
      id,
      dir,
      listen: peers[id]!,
      peers,
      electionMs: ELECTION_MS,
      heartbeatMs: HEARTBEAT_MS,
      timeoutMs: this.#options.timeoutMs ?? TIMEOUT_MS,
      replicas: this.#options.replicas,
      seed: this.#options.seed + 1000 * id + lives,
      aheadMs: isWrong ? aheadMs : 0,
      rate: isWrong ? rate : 1,
      graves: join(this.#options.folder, `${id}-graves`),
      ...(isJoining && { join: true }),
    }
  }

  async kill(id: number): Promise<void> {
    await this.place(id).process.end('SIGKILL')
  }

  pause(id: number): void {
    this.place(id).isPaused = true
    this.place(id).process.signal('SIGSTOP')
  }

  resume(id: number): void {
    const place = this.#places.get(id)
    if (!place) return
    place.isPaused = false
    place.process.signal('SIGCONT')
  }

  /** Members that run and that nothing has in hand. */
  get free(): number[] {
    return this.places
      .filter(({ claim, process }) => claim === undefined && process.isReady)
      .map(({ id }) => id)
  }

  /** What the replicas of a member are like; undefined if it does not answer. */
  async replicas(id: number): Promise<readonly ReplicaState[] | undefined> {
    const { process, isPaused } = this.place(id)
    if (isPaused) return undefined
    return (await process.ask('status', {}).catch(() => undefined))?.logs
  }

  /** The member that leads a log, as far as those say who answer. */
  async leader(log: string): Promise<number | undefined> {
    let found: { id: number; term: number } | undefined
    for (const id of this.ids) {
      const state = (await this.replicas(id))?.find(({ name }) => name === log)
      if (state?.role === 'leader' && state.term > (found?.term ?? 0)) {
        found = { id, term: state.term }
      }
    }
    return found?.id
  }

  /** Ends whatever is wrong with any member, and starts those that have no process. */
  async healAll(): Promise<void> {
    this.network.heal()
    await Promise.all(
      this.places.map(async (place) => {
        this.resume(place.id)
        place.claim = undefined
        await place.process.ask('disk', HEALTHY).catch(() => {})
        await this.revive(place.id)
      }),
    )
  }

  /** Why processes have ended that nobody has ended. */
  get deaths(): string[] {
    return [...this.places, ...this.#gone].flatMap(({ process }) => process.fault ?? [])
  }

  async stop(): Promise<void> {
    this.#isOver = true
    await Promise.all(this.places.map(({ process }) => process.end('SIGKILL')))
    this.network.close()
  }
}
