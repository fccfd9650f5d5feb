// A whole simulated run: members, network, clients, what goes wrong, and what must hold.
import { Log } from 'tidemark'
import {
  checkLogHistory,
  Draws,
  ForgetfulFiles,
  type LogViolation,
  SimulatedNetwork,
  SimulatedTime,
  seededRandom,
} from 'tidemark/testing'
import {
  everybody,
  type Input,
  type Members,
  membersOf,
  type Output,
  quorumVerdict,
} from '#dist/quorum/core/index.js'
import { hasArrived } from '#dist/quorum/next-members.js'
import { judgeAppends } from './append-judge.ts'
import type { AppendCounts } from './append-path.ts'
import { Clients } from './clients.ts'
import { copyOf, type Packet } from './framing.ts'
import { Invariants, Violation } from './invariants.ts'
import { SimMember, type World } from './member.ts'
import { Nemesis } from './nemesis.ts'
import { drawSettings, type Fault, type SimSettings } from './settings.ts'
import { Trace } from './trace.ts'
import { Walk } from './walk.ts'

export interface SimReport {
  readonly seed: number
  readonly members: number
  events: number
  simulatedMs: number
  acked: number
  reads: number
  elections: number
  lives: number
  faults: Record<string, number>
  appends: AppendCounts
  trace: string
}

const PATIENCE = 5

/** How long a member tries to append then. */
const PATIENT_MS = 30_000

/** What is appended in the end. */
const FINAL = { count: 2, padding: 0, acks: 'quorum', width: 1 } as const

/** Within so much simulated time a healed majority has to go on. */
const LIVENESS_MS = 120_000

export class SimCluster {
  readonly settings: SimSettings
  readonly #time = new SimulatedTime()
  readonly #network: SimulatedNetwork<Packet>
  readonly #draws: Draws
  readonly #invariants = new Invariants()
  readonly #members: SimMember[] = []
  readonly #clients: Clients
  readonly #nemesis: Nemesis
  readonly #walk: Walk | undefined
  readonly #trace: Trace
  readonly #world: World
  readonly #initial: Members
  #host: SimSettings['host']
  #fault: unknown
  /** Frames in which bits were turned under way, and those that were not believed. */
  #flipped = 0
  #refused = 0
  #leaders = new Set<number>()
  #connections = 0
  readonly #appendCounts: AppendCounts = {
    repeated: 0,
    known: 0,
    uncertain: 0,
    unavailable: 0,
    overloaded: 0,
  }

  constructor(
    seed: number,
    options: { without?: readonly Fault[]; isWalk?: boolean; traceLines?: boolean } = {},
  ) {
    this.settings = drawSettings(seed, options.without, options.isWalk)
    this.#host = this.settings.host
    this.#trace = new Trace(options.traceLines ?? false)
    const draws = new Draws(seededRandom(seed ^ 0x5eed))
    this.#draws = draws
    const flips = new Draws(seededRandom(seed ^ 0xf11b))
    this.#network = new SimulatedNetwork<Packet>(this.#time, draws.fork(), this.settings.network, {
      copy: (packet) => {
        const copy = copyOf(packet, flips, this.#network.isCalm ? 0 : this.settings.flips)
        if (copy.isDamaged && !packet.isDamaged) this.#flipped++
        return copy
      },
    })
    this.#initial = membersOf(Array.from({ length: this.settings.members }, (_, i) => i + 1))
    this.#world = {
      settings: this.settings,
      host: () => this.#host,
      time: this.#time,
      network: this.#network,
      invariants: this.#invariants,
      onStep: (member, input, output) => this.#stepped(member, input, output),
      appendCounts: this.#appendCounts,
      nextNumber: () => ++this.#connections,
      onRefusedFrame: () => {
        this.#refused++
      },
      onFault: (error) => {
        this.#fault ??= error
      },
    }
    for (let i = 0; i < this.settings.members; i++) this.#add(this.#initial)
    this.#clients = new Clients({
      time: this.#time,
      settings: this.settings,
      members: () => this.#members,
      counts: this.#appendCounts,
      onAcked: (end) => {
        this.#invariants.acknowledged = Math.max(this.#invariants.acknowledged, end)
      },
      note: (text) => this.#trace.note(this.#time.now, text),
    })
    this.#nemesis = new Nemesis(
      {
        settings: this.settings,
        time: this.#time,
        network: this.#network,
        members: this.#members,
        add: () => this.#add(membersOf([])),
        configuration: () => this.#configuration(),
        configurations: () => this.#configurations(),
      },
      draws.fork(),
    )
    this.#walk = this.#walkOf()
  }

  get trace(): Trace {
    return this.#trace
  }

  #walkOf(): Walk | undefined {
    const { walk } = this.settings
    if (!walk) return undefined
    return new Walk(
      {
        settings: walk,
        time: this.#time,
        network: this.#network,
        members: this.#members,
        add: () => this.#add(membersOf([])),
      },
      new Draws(seededRandom(this.settings.seed ^ 0x3a1d)),
    )
  }

  async run(): Promise<SimReport> {
    const { settings } = this
    await loadEverything()
    for (const member of this.#members) void member.start()
    this.#clients.start(settings.clients, settings.thinkMs, this.#draws.fork())
    this.#nemesis.start()
    this.#walk?.start()
    while (!this.#isEnough() && this.#time.now < settings.endMs) await this.#runFor(100)
    this.#nemesis.stop()
    this.#walk?.calm()
    await this.#goOnCalmly()
    this.#clients.stop()
    await this.#healMajority()
    await this.#healAll()
    this.#checkHistory()
    return this.report()
  }

  report(): SimReport {
    const { lost, duplicated, overflowed, blocked, clogs, partitions, hangs } = this.#network.faults
    const faults = { lost, duplicated, overflowed, blocked, clogs, partitions, hangs }
    return {
      seed: this.settings.seed,
      members: this.settings.members,
      events: this.#time.events,
      simulatedMs: Math.round(this.#time.now),
      acked: this.#clients.acked,
      reads: this.#clients.reads.length,
      elections: this.#leaders.size,
      lives: this.#members.reduce((sum, { lives }) => sum + lives, 0),
      faults: {
        ...faults,
        flipped: this.#flipped,
        refused: this.#refused,
        ...this.#nemesis.counts,
        ...this.#walk?.counts,
      },
      appends: { ...this.#appendCounts },
      trace: this.#trace.digest(),
    }
  }

  #isEnough(): boolean {
    const { eventsMin, ackedMin } = this.settings
    const isThere = this.#walk?.hasArrived ?? true
    return isThere && this.#time.events >= eventsMin && this.#clients.acked >= ackedMin
  }

  /** What trouble did not let happen happens without it. */
  async #goOnCalmly(): Promise<void> {
    if (this.#isEnough()) return
    await this.#calm()
    this.#makePatient()
    this.#network.heal()
    this.#network.calm()
    for (const member of this.#members) if (member.isDown) await this.#startNow(member)
    await this.#until('enough is appended', () => this.#isEnough())
  }

  async #runFor(ms: number): Promise<void> {
    await this.#time.run(this.#time.now + ms)
    if (this.#fault) throw this.#fault
  }

  #add(initial: Members): SimMember {
    const member = new SimMember(this.#world, this.#members.length + 1, this.#draws.fork(), initial)
    this.#members.push(member)
    return member
  }

  #stepped(member: SimMember, input: Input, output: Output): void {
    const { host } = member
    if (!host) return
    if (host.status.role === 'leader') this.#leaders.add(host.status.term)
    this.#trace.step(this.#time.now, member.id, input, output)
    this.#walk?.stepped(member, output)
  }

  /** The configuration of the replica that leads, or has got furthest. */
  #configuration(): Members {
    let best: SimMember | undefined
    for (const member of this.#members) {
      if (!member.host) continue
      const status = member.host.status
      const other = best?.host?.status
      if (
        !other ||
        status.term > other.term ||
        (status.term === other.term && status.role === 'leader')
      ) {
        best = member
      }
    }
    return best?.host?.status.members ?? this.#initial
  }

  /** Every configuration that some replica still goes by. */
  #configurations(): Members[] {
    const all = this.#members.filter((m) => !m.isWiped).flatMap((m) => m.configurations())
    return all.length > 0 ? all : [this.#initial]
  }

  /** Heals one majority only, leaves the others dead for ever, and waits until it has everything and goes on. */
  async #healMajority(): Promise<void> {
    await this.#calm()
    this.#makePatient()
    // Configurations are known of the living.
    for (const member of this.#members) if (member.isDown) await this.#startNow(member)
    await this.#runFor(1_000)
    const chosen = this.#majority()
    for (const member of this.#members) if (!chosen.includes(member)) member.kill()
    this.#network.healAmong([...chosen.map(({ id }) => id)])
    for (const member of chosen) if (member.isDown) await this.#startNow(member)
    await this.#until('a majority that is healed goes on', () => this.#goesOn(chosen))
    await this.#writes(chosen)
  }

  async #healAll(): Promise<void> {
    this.#network.heal()
    this.#network.calm()
    for (const member of this.#members) {
      if (member.isDown) await this.#startNow(member)
    }
    const all = this.#members.filter(({ isWiped }) => !isWiped)
    await this.#writes(all)
    await this.#until('all come to have the same', () => this.#agree(all))
    this.#checkWalk()
    for (const member of all) {
      if (!everybody(this.#configuration()).includes(member.id)) continue
      const isRead = await this.#reads(member)
      if (!isRead) throw new Violation('Liveness', `replica ${member.id} cannot be read in the end`)
    }
  }

  /** Nobody but those who were wanted last is a member. */
  #checkWalk(): void {
    const walk = this.#walk
    const members = this.#configuration()
    if (!walk || hasArrived(members, walk.target)) return
    throw new Violation('Arrival', `in the end the members are ${JSON.stringify(members)}`)
  }

  /**
   * An election comes to an end only if replicas wait several times as long as a message and a sync take (Raft,
   * 5.6). Where they were drawn not to, an operator starts them again with more patience.
   */
  #makePatient(): void {
    const { appends } = this.settings
    if (appends) appends.pipeline.timeoutMs = PATIENT_MS
    this.#clients.isGentle = true
    const { network, syncMs, host } = this.settings
    const ticks = Math.ceil((PATIENCE * (network.delayMeanMs + syncMs)) / host.tickMs)
    if (this.#host.electionTicks >= ticks) return
    this.#host = { ...host, electionTicks: ticks }
    for (const member of this.#members) if (member.isAlive) member.kill()
  }

  /** Nothing goes wrong any more. */
  async #calm(): Promise<void> {
    for (const member of this.#members) {
      member.diskFault = undefined
      member.slowness = 1
      if (member.clock?.isPaused) member.clock.resume()
    }
    await this.#runFor(10)
  }

  async #startNow(member: SimMember): Promise<void> {
    const started = member.start()
    let isDone = false
    void started.then(() => {
      isDone = true
    })
    await this.#until('a replica starts', () => isDone)
  }

  /** As few as may be: a majority of every configuration that anyone goes by, at random. */
  #majority(): SimMember[] {
    const configurations = this.#configurations()
    const alive = this.#draws.shuffle(this.#members.filter(({ isWiped }) => !isWiped))
    let chosen = alive
    for (const member of alive) {
      const fewer = chosen.filter((other) => other !== member)
      // What rotted somebody who is whole has to be there for.
      const has = (id: number) => fewer.some((other) => other.id === id && !other.isRotten)
      const isQuorum = configurations.every((each) => quorumVerdict(each, has) === 'won')
      if (isQuorum && fewer.length > 0) chosen = fewer
    }
    return chosen
  }

  #goesOn(chosen: readonly SimMember[]): boolean {
    const leader = chosen.find(({ host }) => host?.status.role === 'leader' && host.status.isReady)
    if (!leader) return false
    const { committed } = leader.host!.status
    return committed >= this.#invariants.acknowledged
  }

  #agree(all: readonly SimMember[]): boolean {
    const members = everybody(this.#configuration())
    const statuses = all.filter(({ id }) => members.includes(id)).map(({ host }) => host?.status)
    const first = statuses[0]
    if (!first) return false
    return statuses.every((status) => {
      if (!status || status.holes.length > 0 || status.promised) return false
      return status.committed === first.committed && status.last.mark === status.committed
    })
  }

  async #until(what: string, isSo: () => boolean): Promise<void> {
    const end = this.#time.now + LIVENESS_MS
    while (!isSo()) {
      if (this.#time.now > end)
        throw new Violation('Liveness', `${what}: not within ${LIVENESS_MS} ms\n${this.describe()}`)
      await this.#runFor(50)
    }
  }

  /** An append comes through, whoever has to be asked. */
  async #writes(members: readonly SimMember[]): Promise<void> {
    let isDone = false
    let isAsking = false
    await this.#until('an append comes through', () => {
      const leader = members.find(({ host }) => host?.status.role === 'leader')
      if (leader && !isAsking && !isDone) {
        isAsking = true
        void this.#clients.append(0, leader, FINAL).then((ok) => {
          isDone = ok
          isAsking = false
        })
      }
      return isDone
    })
  }

  async #reads(member: SimMember): Promise<boolean> {
    let isDone = false
    let isAsking = false
    await this.#until('a read comes through', () => {
      if (!isAsking && !isDone && member.isAlive) {
        isAsking = true
        void this.#clients.read(member.id, member, { over: false }, true).then((ok) => {
          isDone = ok
          isAsking = false
        })
      }
      return isDone
    })
    return isDone
  }

  #checkHistory(): void {
    const { appends, reads, sessions } = this.#clients
    judgeAppends(this.#invariants.committed, appends, sessions)
    const violations: LogViolation[] = checkLogHistory({ appends, reads }, { wholeBatches: true })
    const [first] = violations
    if (first) throw new Violation(first.rule, `${first.text} (${violations.length} in all)`)
  }

  describe(): string {
    return this.#members
      .map(({ id, host, isWiped, isRotten }) => {
        if (!host) return `  ${id}: ${isWiped ? 'wiped' : 'down'}`
        const { role, term, last, committed, stable, leader, members, holes, promised } =
          host.status
        const state = `${role} of ${leader} in ${term}, ends ${last.term}/${last.mark}, committed ${committed}, synced ${stable}`
        const damage = `${isRotten ? ' rotten' : ''} holes ${JSON.stringify(holes)} promised ${JSON.stringify(promised)}`
        return `  ${id}: ${state}, members ${JSON.stringify(members)}${damage}`
      })
      .join('\n')
  }
}

let isLoaded: Promise<void> | undefined

/**
 * A log loads the code of its mode when it is first opened: that is real work at a real disk, for which simulated time
 * does not wait.
 */
function loadEverything(): Promise<void> {
  isLoaded ??= (async () => {
    const log = await Log.open('/log', { files: new ForgetfulFiles(), replica: true })
    await log.close()
  })()
  return isLoaded
}
