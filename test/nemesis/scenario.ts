import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Draws, seededRandom } from '#dist/testing/index.js'
import { Cluster } from './cluster.ts'
import { Followed } from './followed.ts'
import { judge } from './judge.ts'
import { Workload } from './workload.ts'

const WRITERS = 8
const READERS = 1
const SESSIONS = 2

/** A cluster that is written to, as a scenario finds it. */
export interface Stage {
  readonly cluster: Cluster
  readonly workload: Workload
  readonly draws: Draws
  readonly say: (text: string) => void
}

/** What once went wrong in another system, step by step. */
export interface Scenario {
  readonly name: string
  readonly text: string
  readonly members: 3 | 5
  /** Left to `npm run nemesis -- --scenario=all`: it takes longer than a test should. */
  readonly isLong?: boolean
  /** On how many members each log is kept; as many as by default otherwise. */
  readonly replicas?: number
  /** Resolves with what is wrong that the judges of histories would not see. */
  play(stage: Stage): Promise<string[]>
}

export interface Played {
  readonly faults: readonly string[]
  readonly acknowledged: number
  readonly ms: number
}

/** Plays a scenario in a folder of its own, which is kept if anything is wrong. */
export async function play(
  scenario: Scenario,
  build: URL,
  seed: number,
  say: (text: string) => void = () => {},
  signal?: AbortSignal,
): Promise<Played> {
  const beginning = performance.now()
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-scenario-'))
  const followed = new Followed()
  const { members, replicas } = scenario
  const cluster = await Cluster.start({
    build,
    folder,
    seed,
    members,
    hasWrongClocks: false,
    ...(replicas !== undefined && { replicas }),
    onSeen: (...seen) => followed.take(...seen),
  })
  const workload = new Workload(cluster, seed)
  let isKept = true
  try {
    workload.start(WRITERS, READERS, SESSIONS)
    await acknowledgedMore(workload, 200)
    const draws = new Draws(seededRandom(seed))
    const faults = await Promise.race([
      scenario.play({ cluster, workload, draws, say }),
      new Promise<never>((_, reject) => {
        signal?.addEventListener('abort', () => reject(signal.reason))
      }),
    ])
    await cluster.healAll()
    await acknowledgedMore(workload, 50).catch((error: Error) => faults.push(error.message))
    await workload.stop()
    faults.push(...(await judge(cluster, workload, followed)))
    isKept = faults.length > 0
    if (isKept) faults.push(`kept: ${folder}`)
    const ms = performance.now() - beginning
    return { faults, acknowledged: workload.acknowledged, ms }
  } finally {
    // Its clients wait for nobody who is gone.
    void workload.stop()
    await cluster.stop()
    if (!isKept || signal?.aborted) rmSync(folder, { recursive: true, force: true })
  }
}

/** Resolves when so many appends more are acknowledged; rejects if they are not within a while. */
export async function acknowledgedMore(
  workload: Workload,
  count: number,
  withinMs = 30_000,
): Promise<void> {
  const wanted = workload.acknowledged + count
  const end = performance.now() + withinMs
  while (workload.acknowledged < wanted) {
    if (performance.now() > end) throw new Error(`nothing is acknowledged within ${withinMs} ms`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
