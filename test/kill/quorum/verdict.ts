// What must be true in the end, whatever was killed.
import { checkLogHistory, type LogRead } from '#dist/simulation/index.js'
import type { Clients, Command } from './clients.js'
import type { MemberHandle } from './member-handle.js'
import type { Members } from './members.js'
import type { Tally } from './tally.js'

/** Entries that are read at a time. */
const PART = 5000

export interface Verdict {
  readonly faults: readonly string[]
  readonly entries: number
  readonly lost: number
  readonly twice: number
}

export async function judgeRing(members: Members, clients: Clients): Promise<Verdict> {
  const logs: LogRead[] = []
  for (const member of members.all) logs.push(await wholeLog(member))
  const [first, ...others] = logs
  const faults: string[] = []
  for (const [i, other] of others.entries()) {
    if (JSON.stringify(other.entries) === JSON.stringify(first!.entries)) continue
    faults.push(`members 1 and ${i + 2} have other entries`)
  }
  const { appends, reads } = clients
  const violations = checkLogHistory(
    { appends, reads: [...reads, ...logs] },
    { wholeBatches: true },
  )
  for (const { rule, text } of violations) faults.push(`${rule}: ${text}`)
  const states: Tally[] = []
  for (const member of members.all) states.push(await member.ask('state', { machine: 0 }))
  faults.push(...machineFaults(states, clients.commands))
  const count = (rule: string) => violations.filter((one) => one.rule === rule).length
  return {
    faults,
    entries: first!.entries.length,
    lost: count('lost'),
    twice: count('duplicate'),
  }
}

async function wholeLog(member: MemberHandle): Promise<LogRead> {
  const call = performance.now()
  const entries: [number, string][] = []
  for (;;) {
    const from = entries.length === 0 ? 0 : entries.at(-1)![0] + 1
    const part = await member.ask('read', { from, max: PART })
    for (const entry of part.entries) entries.push(entry)
    if (part.entries.length === PART) continue
    const { highWaterMark } = part
    const client = `end ${member.id}`
    const times = { call, return: performance.now() }
    return { client, from: 0, entries, highWaterMark, ...times, linearizable: true, final: true }
  }
}

/** All replicas have the same state, in which each acknowledged command was executed once, and none twice. */
export function machineFaults(states: readonly Tally[], commands: readonly Command[]): string[] {
  const faults: string[] = []
  const [first] = states
  for (const [i, state] of states.entries()) {
    if (state.count !== first!.count || !isSame(state.times, first!.times)) {
      faults.push(`machine: members 1 and ${i + 1} have other states`)
    }
  }
  const { times } = first!
  const results = new Set<number>()
  for (const { name, result } of commands) {
    const done = times[name] ?? 0
    if (done > 1) faults.push(`machine: ${name} was executed ${done} times`)
    if (result === undefined) continue
    if (done === 0) faults.push(`machine: ${name} is lost`)
    if (results.has(result)) faults.push(`machine: the result ${result} was given twice`)
    results.add(result)
  }
  return faults
}

function isSame(a: Tally['times'], b: Tally['times']): boolean {
  const names = Object.keys(a)
  return names.length === Object.keys(b).length && names.every((name) => a[name] === b[name])
}
