// What goes wrong in a run, at random moments, as often as its settings say.
import {
  type Draws,
  networkStorm,
  type SimulatedNetwork,
  type SimulatedTime,
} from 'tidemark/testing'
import { everybody, isJoint, type Members, membersOf } from '#dist/quorum/core/index.js'
import { Refused } from '#dist/quorum/replica-host.js'
import type { Packet } from './framing.ts'
import type { SimMember } from './member.ts'
import type { Fault, SimSettings } from './settings.ts'

export interface Victims {
  readonly settings: SimSettings
  readonly time: SimulatedTime
  readonly network: SimulatedNetwork<Packet>
  /** All that are, wiped ones too. */
  readonly members: SimMember[]
  /** A new replica on an empty disk. */
  readonly add: () => SimMember
  /** Of the replica that is sure to know: the last configuration of the furthest. */
  readonly configuration: () => Members
  /** Every configuration that some replica goes by. */
  readonly configurations: () => readonly Members[]
}

export class Nemesis {
  readonly counts: Record<string, number> = {}
  readonly #v: Victims
  readonly #draws: Draws
  #isOver = false

  constructor(victims: Victims, draws: Draws) {
    this.#v = victims
    this.#draws = draws
  }

  start(): void {
    const { settings, time, network, members } = this.#v
    networkStorm(
      time,
      this.#draws.fork(),
      network,
      settings.walk ? [1, 2, 3, 4, 5, 6] : members.map(({ id }) => id),
    )
    this.#every('kill', (draws) => this.#endLife(draws, (member) => member.kill()))
    this.#every('power', (draws) => this.#endLife(draws, (member) => member.powerLoss()))
    this.#every('pause', (draws) => this.#pause(draws))
    this.#every('clock', (draws) => this.#alive(draws)?.clock?.jump(draws.between(-5_000, 5_000)))
    this.#every('slow', (draws) => this.#slow(draws))
    this.#every('eio', (draws) => this.#diskFault(draws, 'eio'))
    this.#every('full', (draws) => this.#diskFault(draws, 'full'))
    this.#every('rot', (draws) => this.#rot(draws))
    this.#every('wipe', (draws) => this.#wipe(draws))
    this.#every('members', (draws) => this.#change(draws))
    this.#every('transfer', (draws) => this.#transfer(draws))
    this.#every('trim', (draws) => this.#trim(draws))
    this.#every('cut', (draws) => {
      if (this.#alive(draws)?.appends?.cutOne()) this.#count('connection cut')
    })
    // Who is down comes back after a while, and who was wiped is replaced.
    const back = this.#draws.fork()
    const look = () => {
      if (this.#isOver) return
      for (const member of members) if (member.isDown && back.chance(0.3)) void member.start()
      if (settings.everyMs.wipe > 0 && back.chance(0.2)) this.#replaceWiped(back)
      time.schedule(back.between(200, 1_500), look)
    }
    time.schedule(500, look)
  }

  stop(): void {
    this.#isOver = true
  }

  #count(what: string): void {
    this.counts[what] = (this.counts[what] ?? 0) + 1
  }

  #every(fault: Fault, strike: (draws: Draws) => unknown): void {
    const { settings, time } = this.#v
    const draws = this.#draws.fork()
    const mean = settings.everyMs[fault]
    if (mean === 0) return
    const next = () => {
      time.schedule(draws.exponential(mean), () => {
        if (this.#isOver) return
        strike(draws)
        next()
      })
    }
    next()
  }

  #alive(draws: Draws): SimMember | undefined {
    const alive = this.#v.members.filter(({ isAlive }) => isAlive)
    return alive.length > 0 ? draws.pick(alive) : undefined
  }

  #endLife(draws: Draws, how: (member: SimMember) => void): void {
    // At times all at once, as when the power of a building goes.
    const all = draws.chance(0.1)
    const victims = all ? this.#v.members.filter(({ isAlive }) => isAlive) : [this.#alive(draws)]
    for (const member of victims) {
      if (!member) continue
      how(member)
      this.#count(how.toString().includes('kill') ? 'kill' : 'power loss')
      if (draws.chance(0.5)) this.#tellUnreachable(draws, member.id)
    }
  }

  /** Its machine says that the process is gone; by then it may be back. */
  #tellUnreachable(draws: Draws, id: number): void {
    this.#v.time.schedule(draws.exponential(50), () => {
      for (const { host, clock } of this.#v.members) {
        if (host && clock && host.status.id !== id && !clock.isPaused) {
          clock.enter(() => host.step({ kind: 'unreachable', id }))
        }
      }
      this.#count('told of a death')
    })
  }

  #pause(draws: Draws): void {
    const clock = this.#alive(draws)?.clock
    if (!clock || clock.isPaused) return
    clock.pause()
    this.#count('pause')
    this.#v.time.schedule(draws.exponential(2_000), () => clock.resume())
  }

  #slow(draws: Draws): void {
    const member = this.#alive(draws)
    if (!member) return
    member.slowness = draws.between(5, 60)
    this.#count('slow disk')
    this.#v.time.schedule(draws.exponential(3_000), () => {
      member.slowness = 1
    })
  }

  #diskFault(draws: Draws, fault: 'eio' | 'full'): void {
    const member = this.#alive(draws)
    if (!member) return
    member.diskFault = fault
    this.#count(fault === 'eio' ? 'failed sync' : 'full disk')
    this.#v.time.schedule(draws.exponential(1_500), () => {
      member.diskFault = undefined
    })
  }

  /** How many replicas may lose what they had, without a quorum losing it. */
  #mayHarm(): boolean {
    const { members, configurations } = this.#v
    const known = new Map(members.map((member) => [member.id, member]))
    const isHarmed = (id: number) => {
      const member = known.get(id)
      return !member || member.isWiped || member.isRotten
    }
    return configurations().every(({ voters, outgoing }) => {
      const mayLose = Math.ceil(voters.length / 2) - 1
      return outgoing.length === 0 && voters.filter(isHarmed).length < mayLose
    })
  }

  #rot(draws: Draws): void {
    const { members } = this.#v
    const candidates = members.filter((member) => member.isAlive && !member.isRotten)
    if (candidates.length === 0 || members.some(({ isRotten }) => isRotten) || !this.#mayHarm())
      return
    const member = draws.pick(candidates)
    member.powerLoss()
    void member.rot().then((did) => {
      if (did) this.#count('rot')
    })
  }

  #wipe(draws: Draws): void {
    const { members, configuration } = this.#v
    if (!this.#mayHarm()) return
    const all = everybody(configuration())
    const candidates = members.filter((member) => !member.isWiped && all.includes(member.id))
    if (candidates.length === 0) return
    draws.pick(candidates).wipe()
    this.#count('wiped disk')
  }

  #leader(): SimMember | undefined {
    const leaders = this.#v.members.filter(({ host }) => host?.status.role === 'leader')
    return leaders.sort((a, b) => b.host!.status.term - a.host!.status.term)[0]
  }

  #propose(what: string, target: Members): void {
    const leader = this.#leader()
    leader?.host?.change(target).then(
      () => this.#count(what),
      (error) => {
        if (!(error instanceof Refused)) throw error
      },
    )
  }

  /** A new replica on a new disk takes the place of one that is gone: first as a learner. */
  #replaceWiped(draws: Draws): void {
    const { members, configuration, add } = this.#v
    const now = configuration()
    if (isJoint(now)) return
    const isWiped = (id: number) => members.find((member) => member.id === id)?.isWiped ?? true
    const gone = now.voters.filter(isWiped)
    const learners = now.learners.filter((id) => !isWiped(id))
    if (gone.length === 0) return
    if (learners.length === 0) {
      // One that was made before and never was taken in will do.
      const spare = members.find(({ id, isWiped, host }) => {
        return !isWiped && host?.status.last.mark === 0 && !everybody(now).includes(id)
      })
      const fresh = spare ?? add()
      if (!spare) void fresh.start()
      this.#propose('learner added', membersOf(now.voters, [fresh.id]))
    } else if (draws.chance(0.7)) {
      const voters = now.voters.filter((id) => id !== gone[0])
      this.#propose('replica replaced', membersOf([...voters, learners[0]!], learners.slice(1)))
    }
  }

  /** Any of those who are members become the voters, and the others learners. */
  #change(draws: Draws): void {
    const { configuration, members } = this.#v
    const now = configuration()
    if (isJoint(now)) return
    const isHarmed = (id: number) => {
      const member = members.find((each) => each.id === id)
      return !member || member.isWiped || member.isRotten
    }
    const all = draws.shuffle(everybody(now).filter((id) => !isHarmed(id)))
    // Who has lost something is not outvoted by fewer: those who were counted on stay.
    const isWhole = !now.voters.some(isHarmed)
    const least = isWhole ? 1 : now.voters.length
    if (all.length < least) return
    const count = draws.integer(least, all.length)
    this.#propose('members changed', membersOf(all.slice(0, count), all.slice(count)))
  }

  #transfer(draws: Draws): void {
    const leader = this.#leader()
    if (!leader) return
    leader.host!.step({ kind: 'transfer', to: draws.pick(this.#v.configuration().voters) })
    this.#count('transfer')
  }

  #trim(draws: Draws): void {
    const leader = this.#leader()
    const log = leader?.log
    if (!leader || !log) return
    const { low, committed } = leader.host!.status
    const ends = leader.batchEnds(low, committed)
    if (ends.length < 4) return
    leader.host!.step({ kind: 'trim', mark: draws.pick(ends) })
    this.#count('trim')
  }
}
