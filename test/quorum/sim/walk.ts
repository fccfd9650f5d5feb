// Members that walk: whoever leads takes the next step, as the keeper of a member does (src/quorum/keeper.ts), and at
// each stage of the way somebody is struck.
import type { Draws, SimulatedNetwork, SimulatedTime } from 'tidemark/testing'
import { everybody, type Members, type Output } from '#dist/quorum/core/index.js'
import { hasArrived, nextMembers, type Target } from '#dist/quorum/next-members.js'
import { Refused } from '#dist/quorum/replica-host.js'
import type { Packet } from './framing.ts'
import type { SimMember } from './member.ts'
import type { WalkSettings } from './walk-settings.ts'

/** What a change of members comes by. */
type Stage = 'learner caught up' | `${'learner' | 'joint' | 'settled'} ${'appended' | 'committed'}`

interface Awaited {
  readonly stage: Stage
  readonly by: number
  readonly term: number
  readonly mark: number
}

export interface WalkParts {
  readonly settings: WalkSettings
  readonly time: SimulatedTime
  readonly network: SimulatedNetwork<Packet>
  /** All that are, wiped ones too. */
  readonly members: readonly SimMember[]
  /** A new replica on an empty disk. */
  readonly add: () => SimMember
}

export class Walk {
  /** How often each stage was reached, and who was struck how. */
  readonly counts: Record<string, number> = {}
  readonly #p: WalkParts
  readonly #draws: Draws
  /** What each leader has seen at its last look. */
  readonly #seen = new Map<number, { readonly term: number; readonly committed: number }>()
  #awaited: Awaited[] = []
  #at = 0
  #isCalm = false
  #hasArrived = false

  constructor(parts: WalkParts, draws: Draws) {
    this.#p = parts
    this.#draws = draws
  }

  /** The members are those that were wanted last. */
  get hasArrived(): boolean {
    return this.#hasArrived
  }

  get target(): Target {
    return { replicas: this.#p.settings.targets[this.#at]!, learners: [] }
  }

  start(): void {
    const { settings, time } = this.#p
    this.#bring()
    const look = () => {
      for (const member of this.#p.members) {
        const { clock } = member
        if (clock && !clock.isPaused) clock.enter(() => this.#look(member))
      }
      if (this.#draws.chance(settings.haste)) this.#next()
      time.schedule(settings.lookMs, look)
    }
    time.schedule(settings.lookMs, look)
  }

  /** Nobody is struck any more; the members walk on. */
  calm(): void {
    this.#isCalm = true
  }

  /** After each step of a replica. */
  stepped(member: SimMember, { persist }: Output): void {
    const { host } = member
    if (!host) return
    const { term } = host
    for (const batch of persist?.batches ?? []) {
      const isOwn = host.isLeader && batch.term === term
      if (!isOwn || batch.kind !== 'members' || !batch.members) continue
      const what = this.#stepOf(batch.members)
      this.#reached(`${what} appended`, member)
      this.#awaited.push({ stage: `${what} committed`, by: member.id, term, mark: batch.end })
    }
    if (this.#awaited.length === 0) return
    const { committed } = host.status
    // It may have committed what it leads no more by.
    const isDone = (each: Awaited) =>
      each.by === member.id && each.term === term && each.mark <= committed
    for (const { stage } of this.#awaited.filter(isDone)) this.#reached(stage, member)
    // What a leader of before has appended is nobody’s stage any more.
    this.#awaited = this.#awaited.filter((each) => each.term >= term && !isDone(each))
  }

  #stepOf({ outgoing, learners }: Members): 'learner' | 'joint' | 'settled' {
    if (outgoing.length > 0) return 'joint'
    return learners.length > 0 ? 'learner' : 'settled'
  }

  #look(member: SimMember): void {
    const { host } = member
    if (!host?.isLeader) return
    const { members, isSettled, isReady, committed, term } = host.status
    if (!isReady) return
    const seen = this.#seen.get(member.id)
    this.#seen.set(member.id, { term, committed })
    if (!isSettled) return
    if (hasArrived(members, this.target)) {
      this.#arrived()
      return
    }
    const isCaughtUp = (id: number) => {
      const progress = host.progress.get(id)
      if (seen?.term !== term || progress?.state !== 'replicate') return false
      return progress.match >= seen.committed
    }
    const next = nextMembers(members, this.target, isCaughtUp)
    if (!next) return
    if (next.learners.length === 0) this.#reached('learner caught up', member)
    host.change({ ...next, outgoing: [] }).catch((error) => {
      if (!(error instanceof Refused)) throw error
    })
  }

  #arrived(): void {
    const { settings, members } = this.#p
    const isLast = this.#at === settings.targets.length - 1
    if (this.#hasArrived) return
    this.#hasArrived = isLast
    for (const member of members) {
      const hasLeft = !this.target.replicas.includes(member.id)
      if (hasLeft && settings.forgets && !member.isWiped && member.isUp) {
        member.leave()
        this.#count('left and deleted')
      }
    }
    this.#next()
  }

  #next(): void {
    if (this.#at === this.#p.settings.targets.length - 1) return
    this.#at++
    this.#bring()
  }

  /** Who is wanted and is not there, or has deleted what it had, begins with nothing. */
  #bring(): void {
    const { members, add, time } = this.#p
    for (const id of this.target.replicas) {
      while (members.length < id) add()
      const member = members[id - 1]!
      if (member.isWiped) member.beginAnew()
      time.schedule(this.#draws.exponential(100), () => void member.start())
    }
  }

  #reached(stage: Stage, leader: SimMember): void {
    this.#count(stage)
    if (this.#isCalm || !this.#draws.chance(this.#p.settings.strike)) return
    const members = leader.host!.status.members
    for (let left = this.#draws.chance(0.25) ? 2 : 1; left > 0; left--) {
      const victim = this.#victim(leader, members)
      const inMs = this.#draws.pick([0, 2, 20, 100])
      const strike = this.#strikeOf(victim)
      this.#p.time.schedule(this.#draws.exponential(inMs), () => {
        if (!this.#isCalm) strike()
      })
    }
  }

  #victim(leader: SimMember, now: Members): SimMember {
    const { replicas } = this.target
    const before = now.outgoing.length > 0 ? now.outgoing : now.voters
    const all = everybody(now)
    const newcomers = all.filter((id) => !before.includes(id))
    const leavers = all.filter((id) => !replicas.includes(id))
    const kind = this.#draws.pick(['leader', 'newcomer', 'leaver', 'anybody'])
    const among = { leader: [leader.id], newcomer: newcomers, leaver: leavers, anybody: all }
    const some = among[kind as keyof typeof among]
    const id = this.#draws.pick(some.length > 0 ? some : all)
    return this.#p.members[id - 1]!
  }

  #strikeOf(victim: SimMember): () => void {
    const { time, network, members } = this.#p
    const how = this.#draws.pick(['kill', 'power loss', 'pause', 'cut off'])
    const lastMs = this.#draws.exponential(800)
    return () => {
      const { clock } = victim
      if (!clock) return
      this.#count(how)
      if (how === 'kill') victim.kill()
      else if (how === 'power loss') victim.powerLoss()
      else if (how === 'pause') {
        if (clock.isPaused) return
        clock.pause()
        time.schedule(lastMs, () => clock.resume())
      } else {
        const others = members.map(({ id }) => id).filter((id) => id !== victim.id)
        const each = (what: 'block' | 'unblock') => {
          for (const id of others) {
            network[what](id, victim.id)
            network[what](victim.id, id)
          }
        }
        each('block')
        time.schedule(lastMs, () => each('unblock'))
      }
    }
  }

  #count(what: string): void {
    const name = `walk: ${what}`
    this.counts[name] = (this.counts[name] ?? 0) + 1
  }
}
