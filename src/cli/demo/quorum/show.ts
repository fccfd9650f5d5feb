import { setTimeout as delay } from 'node:timers/promises'
import { TidemarkError } from '../../../base/index.ts'
import type { Random } from '../../../io/index.ts'
import { count, seconds } from '../../format.ts'
import type { LineStream } from '../stream.ts'
import { Cluster, IDS } from './cluster.ts'
import { type Comparison, compareReplicas } from './comparison.ts'
import { Ledger } from './ledger.ts'
import type { Screen } from './screen.ts'
import { Traffic } from './traffic.ts'

const LOOK_MS = 200
const WAITING_MS_MAX = 60_000
const PAUSE_MS_MIN = 500
const PAUSE_MS_MAX = 1200
const CUT_MS_MIN = 2000
const CUT_MS_MAX = 3000

export interface ShowParts {
  readonly folder: string
  readonly lines: LineStream
  readonly random: Random
  readonly screen: Screen
  readonly stop: AbortSignal
}

/** What is done to three members while lines are written: kills, restarts, cuts; and what came of it. */
export class Show {
  readonly #parts: ShowParts
  readonly #failed = new AbortController()
  readonly #stop: AbortSignal
  readonly ledger = new Ledger()
  readonly traffic: Traffic
  /** From the death of each leader to the next acknowledgement of a line that was sent after it, in ms. */
  readonly afterKills: number[] = []
  /** The same, for leaders that were cut off. */
  readonly afterCuts: number[] = []
  kills = 0
  cuts = 0
  #cluster: Cluster | undefined

  constructor(parts: ShowParts) {
    this.#parts = parts
    this.#stop = AbortSignal.any([parts.stop, this.#failed.signal])
    this.traffic = new Traffic(this.ledger, parts.lines, (error) => this.#failed.abort(error))
  }

  get cluster(): Cluster | undefined {
    return this.#cluster
  }

  /** Starts the members, and resolves when lines are acknowledged. */
  async begin(): Promise<void> {
    const { folder, screen } = this.#parts
    this.#cluster = await Cluster.open(folder, {
      onLeader: (member, term) => {
        screen.tell('leader', `member ${member} leads, in term ${term}`, { member, term })
      },
      onFailed: (member, text) => {
        screen.tell('failed', `the replica of member ${member} failed: ${text}`, { member, text })
      },
      onReady: (process) => {
        const { id: member, pid } = process
        screen.tell('ready', `member ${member} is there, process ${pid}`, { member, pid })
        this.traffic.add(process)
      },
      onDeath: (member, errors) => {
        screen.tell('died', `member ${member} ended by itself`, { member, text: errors })
        const text = `the process of member ${member} ended by itself: ${errors}`
        this.#failed.abort(new TidemarkError('IO', text))
      },
    })
    screen.tell('start', 'three members start, each a process of its own')
    for (const id of IDS) this.#cluster.start(id)
    void this.#watch(this.#cluster)
    await this.#until(() => this.ledger.acknowledged > 0, 'a first line is acknowledged')
    await this.#level('all three have it')
  }

  async round(): Promise<void> {
    await this.#pause(PAUSE_MS_MIN, PAUSE_MS_MAX)
    await this.#killLeader()
    await this.#pause(PAUSE_MS_MIN, PAUSE_MS_MAX)
    await this.#cutOne()
  }

  /** Ends writing and all members, and looks into their folders. */
  async end(): Promise<Comparison> {
    const { screen, lines, stop } = this.#parts
    const cluster = this.#cluster!
    await this.#pause(PAUSE_MS_MIN, PAUSE_MS_MAX)
    screen.tell('settle', 'no more lines; a barrier on each member')
    await this.traffic.end()
    const statuses = await cluster.settle()
    await cluster.stop()
    stop.throwIfAborted()
    const end = Math.min(...statuses.map(({ highWaterMark }) => highWaterMark))
    const folders = statuses.map(({ id }, i) => `${cluster.dirOf(IDS[i]!)}/logs/${id}`)
    screen.tell('compare', `the folders are compared, entry by entry, below offset ${count(end)}`, {
      offset: end,
    })
    return compareReplicas(folders, end, this.ledger, lines)
  }

  /** Ends whatever still runs. */
  async close(): Promise<void> {
    this.#failed.abort()
    await this.#cluster?.close()
  }

  async #killLeader(): Promise<void> {
    const { screen } = this.#parts
    const member = await this.#leader()
    this.kills++
    screen.tell('kill', `kill -9 of member ${member}, which leads`, { member })
    const [at, sent] = [performance.now(), this.ledger.sent]
    await this.#cluster!.kill(member)
    this.afterKills.push(await this.#served(at, sent))
    await this.#pause(PAUSE_MS_MIN, PAUSE_MS_MAX)
    screen.tell('restart', `member ${member} is started again`, { member })
    this.#cluster!.start(member)
    await this.#level(`member ${member} has what it missed`)
  }

  async #cutOne(): Promise<void> {
    const { screen, random } = this.#parts
    const member = IDS[random.uint32() % IDS.length]!
    const leads = member === (await this.#leader())
    this.cuts++
    const what = leads ? 'which leads' : 'which follows'
    screen.tell('cut', `member ${member}, ${what}, is cut off from the others`, { member, leads })
    const [at, sent] = [performance.now(), this.ledger.sent]
    this.#cluster!.cut(member)
    if (leads) this.afterCuts.push(await this.#served(at, sent))
    await this.#pause(CUT_MS_MIN, CUT_MS_MAX)
    screen.tell('heal', `member ${member} is connected again`, { member })
    this.#cluster!.heal(member)
    await this.#level(`member ${member} has what it missed`)
  }

  /** Resolves when a line is acknowledged that was sent after so many others, with the time that it took. */
  async #served(at: number, sent: number): Promise<number> {
    await this.#until(() => this.traffic.newest >= sent, 'lines are acknowledged again')
    const ms = performance.now() - at
    const text = `lines are acknowledged again, ${seconds(ms)} later`
    this.#parts.screen.tell('served', text, { ms: Math.round(ms) })
    return ms
  }

  async #leader(): Promise<number> {
    await this.#until(() => this.#cluster!.leader !== undefined, 'a member leads')
    return this.#cluster!.leader!
  }

  async #level(what: string): Promise<void> {
    const at = performance.now()
    await this.#until(() => this.#cluster!.isLevel, what)
    const ms = performance.now() - at
    this.#parts.screen.tell('level', `${what} (${seconds(ms)})`, { ms: Math.round(ms) })
  }

  async #watch(cluster: Cluster): Promise<void> {
    while (!this.#stop.aborted) {
      await cluster.look().catch((error: unknown) => this.#failed.abort(error))
      this.#parts.screen.draw(this)
      await delay(LOOK_MS)
    }
  }

  async #pause(min: number, max: number): Promise<void> {
    const ms = min + (this.#parts.random.uint32() % (max - min))
    await delay(ms, undefined, { signal: this.#stop }).catch(() => {})
    this.#stop.throwIfAborted()
  }

  async #until(isSo: () => boolean, what: string): Promise<void> {
    const end = performance.now() + WAITING_MS_MAX
    while (!isSo()) {
      this.#stop.throwIfAborted()
      if (performance.now() > end) {
        const text = `waited ${seconds(WAITING_MS_MAX)} in vain until ${what}`
        throw new TidemarkError('UNAVAILABLE', text)
      }
      await delay(5)
    }
  }
}
