// The nemesis: members in processes of their own, clients, and faults of all kinds; then what clients were told is judged.
import { setTimeout as delay } from 'node:timers/promises'
import { Availability } from './availability.ts'
import { CHURN } from './churn.ts'
import { Cluster } from './cluster.ts'
import { DISK_FAULTS } from './disk-faults.ts'
import type { Fault, Strike } from './fault.ts'
import { Followed } from './followed.ts'
import { judge } from './judge.ts'
import { LINK_FAULTS } from './link-faults.ts'
import { PROCESS_FAULTS } from './process-faults.ts'
import { ROT_FAULTS } from './rot.ts'
import { storm } from './storm.ts'
import { Workload } from './workload.ts'

export const FAULTS: readonly Fault[] = [
  ...PROCESS_FAULTS,
  ...LINK_FAULTS,
  ...DISK_FAULTS,
  ...ROT_FAULTS,
  CHURN,
]

const WRITERS = 8
const READERS = 2
const SESSIONS = 4
const PROGRESS_MS = 150
const ALIVE_WITHIN_MS = 60_000

export interface NemesisOptions {
  readonly build: URL
  readonly folder: string
  readonly seed: number
  readonly ms: number
  readonly members: number
  /** Names of faults; all that are not off if undefined. */
  readonly only?: readonly string[] | undefined
  readonly onStrike?: (text: string) => void
  readonly onProgress?: (text: string) => void
  /** Ends it at once, and all processes. */
  readonly signal?: AbortSignal
}

export interface NemesisResult {
  readonly seed: number
  readonly members: number
  readonly seconds: number
  /** By the name of each fault, how often it has struck. */
  readonly struck: Readonly<Record<string, number>>
  readonly acknowledged: number
  readonly unknown: number
  readonly refused: number
  readonly reads: number
  readonly followed: number
  readonly commands: number
  readonly commandRetries: number
  /** What members have told of failures of replicas, by code, how often. */
  readonly failures: Readonly<Record<string, number>>
  readonly longestGapMs: number
  readonly codes: Readonly<Record<string, number>>
  readonly faults: readonly string[]
}

/** Those that strike in a run. Throws if one is named that there is not. */
function chosenFaults(only: readonly string[] | undefined): readonly Fault[] {
  for (const name of only ?? []) {
    if (FAULTS.some((one) => one.name === name)) continue
    const names = FAULTS.map((one) => one.name).join(', ')
    throw new Error(`there is no fault ${name}; there is ${names}`)
  }
  return FAULTS.filter(({ name, offBecause }) => {
    return only ? only.includes(name) : offBecause === undefined
  })
}

export async function nemesis(options: NemesisOptions): Promise<NemesisResult> {
  const { build, folder, seed, ms, members, signal } = options
  const faults = chosenFaults(options.only)
  const followed = new Followed()
  const cluster = await Cluster.start({
    build,
    folder,
    seed,
    members,
    hasWrongClocks: faults.some(({ name }) => name === 'clocks'),
    onSeen: (...seen) => followed.take(...seen),
  })
  const beginning = performance.now()
  const struck: Record<string, number> = {}
  const workload = new Workload(cluster, seed)
  const timer = setInterval(
    () => options.onProgress?.(progressOf(workload, beginning)),
    PROGRESS_MS,
  )
  try {
    signal?.throwIfAborted()
    const stopped = new Promise<never>((_, reject) => {
      signal?.addEventListener('abort', () => reject(signal.reason))
    })
    const all = async () => {
      const availability = new Availability(
        () => cluster.ids,
        () => cluster.majority,
      )
      workload.onAcknowledged = () => availability.acknowledged()
      workload.start(WRITERS, READERS, SESSIONS)
      const onStrike = ({ name }: Fault, { text }: Strike) => {
        struck[name] = (struck[name] ?? 0) + 1
        options.onStrike?.(`${secondsSince(beginning).toFixed(1)} s: ${text}`)
      }
      const isOver = () => signal?.aborted === true
      await storm({ cluster, faults, seed, ms, availability, isOver, onStrike })
      const found = await settle(cluster, workload)
      found.push(...(await judge(cluster, workload, followed)))
      return { found, longestGapMs: availability.longestMs }
    }
    const { found, longestGapMs } = await Promise.race([all(), stopped])
    const { acknowledged, unknown, refused, reads, codes, commands, retries } = workload
    const seconds = Math.round(secondsSince(beginning))
    const counts = { seed, members, seconds, struck, acknowledged, unknown, refused, reads, codes }
    return {
      ...counts,
      followed: followed.count,
      commands: commands.length,
      commandRetries: retries,
      failures: countedFailures(cluster),
      longestGapMs,
      faults: found,
    }
  } finally {
    clearInterval(timer)
    // Its clients wait for nobody who is gone.
    void workload.stop()
    await cluster.stop()
  }
}

/** Heals everything, sees that appends are acknowledged again, and restarts all, so that what is judged is on their disks. */
async function settle(cluster: Cluster, workload: Workload): Promise<string[]> {
  await cluster.healAll()
  const faults: string[] = []
  const before = workload.acknowledged
  const end = performance.now() + ALIVE_WITHIN_MS
  while (workload.acknowledged === before) {
    if (performance.now() > end) {
      faults.push(`nothing is acknowledged ${ALIVE_WITHIN_MS} ms after all was healed`)
      break
    }
    await delay(PROGRESS_MS)
  }
  await workload.stop()
  await Promise.all(cluster.ids.map((id) => cluster.place(id).process.end('SIGTERM')))
  await Promise.all(cluster.ids.map((id) => cluster.revive(id)))
  return faults
}

function countedFailures({ failures }: Cluster): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const { log, code, name } of failures) {
    const key = `${code ?? name}${log === '' ? ' at opening' : ''}`
    counts[key] = (counts[key] ?? 0) + 1
  }
  return counts
}

function secondsSince(beginning: number): number {
  return (performance.now() - beginning) / 1000
}

function progressOf({ acknowledged, unknown, refused, reads, commands }: Workload, from: number) {
  return `${secondsSince(from).toFixed(0)} s: ${acknowledged} acknowledged, ${unknown} unknown, ${refused} refused, ${reads} reads, ${commands.length} commands`
}
