// The ring of a quorum: three members in three processes, of which one after the other is killed, while clients append and read.
import { setTimeout as delay } from 'node:timers/promises'
import { type Random, seededRandom } from '#dist/io/index.js'
import { Clients } from './clients.js'
import type { MemberHandle } from './member-handle.js'
import { Members } from './members.js'
import { judgeRing, type Verdict } from './verdict.js'

export interface QuorumRingOptions {
  readonly build: URL
  readonly folder: string
  readonly seed: number
  readonly ms: number
  readonly onKill?: (kill: Kill) => void
}

export interface Kill {
  readonly number: number
  readonly member: number
  readonly isLeader: boolean
  readonly acknowledged: number
}

export interface QuorumRingResult extends Verdict {
  readonly acknowledged: number
  readonly unknown: number
  readonly refused: number
  readonly reads: number
  readonly commands: number
  readonly kills: number
  /** From the death of a leader to the first acknowledgement of an append that was called after it, in ms, ascending. */
  readonly failoverMs: readonly number[]
  readonly codes: Readonly<Record<string, number>>
}

const WRITERS = 8
const READERS = 2
const SNAPSHOT_ENTRIES = 2000

export async function quorumRing(options: QuorumRingOptions): Promise<QuorumRingResult> {
  const { build, folder, seed, ms } = options
  const members = await Members.start(build, folder, 1, SNAPSHOT_ENTRIES)
  try {
    const clients = new Clients(members, seed + 1)
    clients.start(WRITERS, READERS)
    const { kills, deaths } = await killInTurn(members, clients, seededRandom(seed), ms, options)
    await clients.stop()
    const verdict = await judgeRing(members, clients)
    const faults = members.all.flatMap(({ fault }) => fault ?? [])
    const count = (kind: string) =>
      clients.appends.filter((one) => one.outcome.kind === kind).length
    return {
      ...verdict,
      faults: [...verdict.faults, ...faults],
      acknowledged: count('ok'),
      unknown: count('unknown'),
      refused: count('failed'),
      reads: clients.reads.length,
      commands: clients.commands.filter(({ result }) => result !== undefined).length,
      kills,
      failoverMs: failovers(clients, deaths),
      codes: clients.codes,
    }
  } finally {
    await members.stop()
  }
}

async function killInTurn(
  members: Members,
  clients: Clients,
  random: Random,
  ms: number,
  { onKill }: QuorumRingOptions,
): Promise<{ kills: number; deaths: number[] }> {
  const end = performance.now() + ms
  const deaths: number[] = []
  let kills = 0
  for (;;) {
    const wait = between(random, 2000, 5000)
    if (performance.now() + wait > end) return { kills, deaths }
    await delay(wait)
    const leader = await members.leader()
    const member = chosen(random, members, leader)
    // From before the signal: nothing that was on its way then counts.
    const at = performance.now()
    await member.end('SIGKILL')
    if (member === leader) deaths.push(at)
    kills++
    const acknowledged = clients.appends.filter(({ outcome }) => outcome.kind === 'ok').length
    onKill?.({ number: kills, member: member.id, isLeader: member === leader, acknowledged })
    await delay(between(random, 500, 2000))
    await member.start()
  }
}

/** Every other time the leader. */
function chosen(random: Random, { all }: Members, leader: MemberHandle | undefined): MemberHandle {
  if (random.uint32() % 2 === 0 && leader) return leader
  return all[random.uint32() % all.length]!
}

function between(random: Random, min: number, max: number): number {
  return min + (random.uint32() % (max - min + 1))
}

function failovers({ appends }: Clients, deaths: readonly number[]): number[] {
  const times = deaths.map((at) => {
    let first = Number.POSITIVE_INFINITY
    for (const { outcome, call, return: end } of appends) {
      if (outcome.kind === 'ok' && call >= at) first = Math.min(first, end)
    }
    return first - at
  })
  return times.filter(Number.isFinite).sort((a, b) => a - b)
}
