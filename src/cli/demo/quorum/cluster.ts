import { join } from 'node:path'
import { TidemarkError } from '../../../base/index.ts'
import type { LogStatus } from '../../../quorum/index.ts'
import type { Notice } from './member-main.ts'
import { Gone, MemberProcess } from './member-process.ts'
import { Network } from './network.ts'

export const IDS = [1, 2, 3] as const
/** An append that finds no leader is given up after so long. */
const TIMEOUT_MS = 10_000

export interface ClusterEvents {
  readonly onLeader: (leader: number, term: number) => void
  /** A replica has failed, and says why. */
  readonly onFailed: (member: number, text: string) => void
  readonly onReady: (process: MemberProcess) => void
  /** A process has ended that nobody has killed. */
  readonly onDeath: (member: number, errors: string) => void
}

/** One member: its process, if it has one, and what it last said of itself. */
export interface Place {
  readonly id: number
  process: MemberProcess | undefined
  isCut: boolean
  status: LogStatus | undefined
}

/** Three members in processes of their own, and the network between them. */
export class Cluster {
  readonly places: readonly Place[] = IDS.map((id) => {
    return { id, process: undefined, isCut: false, status: undefined }
  })
  readonly #folder: string
  readonly #network: Network
  readonly #events: ClusterEvents
  #term = 0

  private constructor(folder: string, network: Network, events: ClusterEvents) {
    this.#folder = folder
    this.#network = network
    this.#events = events
  }

  static async open(folder: string, events: ClusterEvents): Promise<Cluster> {
    return new Cluster(folder, await Network.open(IDS), events)
  }

  /** The member that leads, if one does that the others can hear. */
  get leader(): number | undefined {
    const leading = this.places.filter(({ process, isCut, status }) => {
      return process && !isCut && status?.role === 'leader'
    })
    return leading.sort((a, b) => b.status!.term - a.status!.term)[0]?.id
  }

  /** True if all are there and have all that is safe. */
  get isLevel(): boolean {
    const leader = this.places.find(({ id }) => id === this.leader)?.status
    return this.places.every(({ process, status }) => {
      if (!process?.isReady || !leader || !status) return false
      return status.term === leader.term && lagOf(status, leader) < LEVEL_LAG_MAX
    })
  }

  dirOf(id: number): string {
    return join(this.#folder, `member-${id}`)
  }

  start(id: number): void {
    const place = this.#place(id)
    const peers = { ...this.#network.addressesFor(id), [id]: '127.0.0.1:0' }
    const start = { id, dir: this.dirOf(id), peers, timeoutMs: TIMEOUT_MS }
    const process = new MemberProcess(
      start,
      (notice) => this.#hear(process, notice),
      (errors) => this.#events.onDeath(id, errors),
    )
    place.process = process
  }

  async kill(id: number): Promise<void> {
    const place = this.#place(id)
    const { process } = place
    place.process = undefined
    place.status = undefined
    this.#network.isDown(id)
    await process?.kill()
  }

  cut(id: number): void {
    this.#place(id).isCut = true
    this.#network.cut(id)
  }

  heal(id: number): void {
    this.#place(id).isCut = false
    this.#network.heal(id)
  }

  /** Asks every member how it is. */
  async look(): Promise<void> {
    await Promise.all(
      this.places.map(async (place) => {
        const { process } = place
        if (!process?.isReady) return
        try {
          const status = await process.status()
          if (place.process === process) place.status = status
        } catch (error) {
          if (!(error instanceof Gone)) throw error
        }
      }),
    )
  }

  /** Resolves with what all of them are like when each can read all that was acknowledged. */
  async settle(): Promise<LogStatus[]> {
    return Promise.all(
      this.places.map(async ({ id, process }) => {
        if (!process) throw new TidemarkError('IO', `member ${id} is not running`)
        await process.ask({ order: 'barrier' })
        return process.status()
      }),
    )
  }

  /** Ends the members in good order. */
  async stop(): Promise<void> {
    await Promise.all(this.places.map(({ process }) => process?.stop()))
    for (const place of this.places) place.process = undefined
  }

  /** Ends whatever still runs, at once. */
  async close(): Promise<void> {
    this.#network.close()
    await Promise.all(this.places.map(({ process }) => process?.kill()))
  }

  #hear(process: MemberProcess, notice: Notice): void {
    const { id } = process
    if (notice.notice === 'listening') {
      this.#network.isUp(id, Number(notice.address.split(':').at(-1)))
    } else if (notice.notice === 'ready') {
      this.#events.onReady(process)
    } else if (notice.notice === 'failed') {
      this.#events.onFailed(id, notice.text)
    } else if (notice.leader !== undefined && notice.term > this.#term) {
      // All members tell of it; once is enough.
      this.#term = notice.term
      this.#events.onLeader(notice.leader, notice.term)
    }
  }

  #place(id: number): Place {
    return this.places.find((place) => place.id === id)!
  }
}

/** While lines are being written a follower is always a little behind. */
const LEVEL_LAG_MAX = 500

/** How many offsets a member is behind its leader. */
export function lagOf(status: LogStatus, leader: LogStatus): number {
  return Math.max(0, leader.highWaterMark - status.highWaterMark)
}
