// What must be true in the end, whatever has struck.
import { setTimeout as delay } from 'node:timers/promises'
import { checkLogHistory, type LogRead } from '#dist/testing/index.js'
import type { Tally } from '../kill/quorum/tally.ts'
import { machineFaults } from '../kill/quorum/verdict.ts'
import type { Cluster, Failure, Place } from './cluster.ts'
import type { Followed } from './followed.ts'
import { LOG_NAMES, type LogName } from './logs.ts'
import { isWhole } from './rot.ts'
import type { Workload } from './workload.ts'

/** Entries that are read at a time. */
const PART = 5000
const WHOLE_WITHIN_MS = 90_000
const ANSWER_WITHIN_MS = 60_000
const AGAIN_MS = 200
/** Whoever waits for a leader may be told so at any time. */
const ALWAYS_EXPECTED = ['UNAVAILABLE', 'UNCERTAIN', 'CLOSED']

/** Everything that is wrong. All faults have been healed, and nobody appends any more. */
export async function judge(
  cluster: Cluster,
  workload: Workload,
  followed: Followed,
): Promise<string[]> {
  const faults = [...followed.faults, ...cluster.deaths, ...unexpected(cluster)]
  const end = performance.now() + WHOLE_WITHIN_MS
  while (!(await isWhole(cluster, cluster.ids))) {
    if (performance.now() > end) {
      faults.push(`not all are whole again: ${await complaints(cluster)}`)
      return faults
    }
    await delay(AGAIN_MS)
  }
  try {
    for (const log of LOG_NAMES) faults.push(...(await judgeLog(cluster, workload, followed, log)))
    faults.push(...(await judgeMachine(cluster, workload)))
  } catch (error) {
    const said = cluster.failures.slice(-3).map(textOfFailure)
    faults.push([`what all hold in the end cannot be read: ${error}`, ...said].join('; '))
  }
  return [...faults, ...unexpected(cluster)].filter((text, i, all) => all.indexOf(text) === i)
}

async function judgeLog(
  cluster: Cluster,
  workload: Workload,
  followed: Followed,
  log: LogName,
): Promise<string[]> {
  const finals: LogRead[] = []
  for (const place of cluster.places) finals.push(await wholeLog(place, log))
  const faults: string[] = []
  const begin = Math.max(...finals.map(({ from }) => from))
  const texts = finals.map(({ entries }) =>
    JSON.stringify(entries.filter(([offset]) => offset >= begin)),
  )
  for (const [i, text] of texts.entries()) {
    if (text === texts[0]) continue
    const [one, other] = [cluster.places[0]!.id, cluster.places[i]!.id]
    faults.push(`${log}: members ${one} and ${other} have other entries`)
  }
  const held = new Map(finals.flatMap(({ entries }) => entries))
  const mark = Math.max(...finals.map(({ highWaterMark }) => highWaterMark))
  for (const [offset, name] of followed.shownOf(log)) {
    if (offset < begin || offset >= mark || held.get(offset) === name) continue
    faults.push(`${log}: a reader was shown ${name} at ${offset}, where ${held.get(offset)} is`)
  }
  const { appends, reads } = workload.histories.get(log)!
  const history = { appends, reads: [...reads, ...finals] }
  for (const { rule, text } of checkLogHistory(history, { wholeBatches: true })) {
    faults.push(`${log}: ${rule}: ${text}`)
  }
  return faults
}

async function judgeMachine(cluster: Cluster, { commands }: Workload): Promise<string[]> {
  const states: Tally[] = []
  for (const { process } of cluster.places) {
    states.push(await insist(() => process.ask('state', {})))
  }
  return machineFaults(states, commands)
}

async function wholeLog({ id, process }: Place, log: LogName): Promise<LogRead> {
  const call = performance.now()
  const entries: (readonly [number, string])[] = []
  let begin: number | undefined
  for (;;) {
    const from = entries.length === 0 ? 0 : entries.at(-1)![0] + 1
    const part = await insist(() => process.ask('read', { log, from, max: PART }))
    begin ??= part.from
    for (const entry of part.entries) entries.push(entry)
    if (part.entries.length === PART) continue
    const { highWaterMark } = part
    const times = { call, return: performance.now() }
    const client = `end ${id}`
    return {
      client,
      from: begin,
      entries,
      highWaterMark,
      ...times,
      linearizable: true,
      final: true,
    }
  }
}

/** A member that has just started may not have opened everything. */
async function insist<T>(ask: () => Promise<T>): Promise<T> {
  const end = performance.now() + ANSWER_WITHIN_MS
  for (;;) {
    try {
      return await ask()
    } catch (error) {
      if (performance.now() > end) throw error
      await delay(AGAIN_MS)
    }
  }
}

async function complaints(cluster: Cluster): Promise<string> {
  const all: string[] = []
  for (const id of cluster.ids) {
    const replicas = await cluster.replicas(id)
    if (!replicas) all.push(`${id} does not answer`)
    for (const { name, holes, failure } of replicas ?? []) {
      if (failure !== undefined || holes > 0) {
        all.push(`${name} of ${id} has ${holes} holes, ${failure ?? 'no failure'}`)
      }
    }
  }
  return [...all, ...cluster.refusedStarts].join('; ')
}

/** Failures, and starts that were refused, for which no fault accounts. */
export function unexpected(cluster: Cluster): string[] {
  const refused = cluster.refusedStarts.filter((text) => {
    const [id, code] = text.split(/[: ]+/)
    return !cluster.places.find((one) => one.id === Number(id))?.expected.has(code!)
  })
  return [
    ...cluster.failures.filter((one) => !isExpected(cluster, one)).map(textOfFailure),
    ...refused.map((text) => `member ${text}, and does not start`),
  ]
}

function isExpected(cluster: Cluster, { member, code, name }: Failure): boolean {
  if (code === undefined || name === 'InvariantError') return false
  const place = cluster.places.find(({ id }) => id === member)
  return ALWAYS_EXPECTED.includes(code) || !place || place.expected.has(code)
}

function textOfFailure({ member, log, code, name, text }: Failure): string {
  return `${log || 'something'} of member ${member} has failed: ${code ?? name}: ${text}`
}
