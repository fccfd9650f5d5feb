// One seed, and what to say of it.
import { SimCluster, type SimReport } from './cluster.ts'
import { FAULTS, type Fault } from './settings.ts'

export interface SeedResult {
  readonly report: SimReport
  /** What went wrong, with its stack; undefined if nothing did. */
  readonly fault: string | undefined
  /** The first words of it: the same for the same fault. */
  readonly kind: string | undefined
}

export async function runSeed(
  seed: number,
  without: readonly Fault[] = [],
  isWalk = false,
): Promise<SeedResult> {
  const cluster = new SimCluster(seed, { without, isWalk })
  try {
    return { report: await cluster.run(), fault: undefined, kind: undefined }
  } catch (error) {
    const { message, stack } = error as Error
    const kind = message.split(':')[0]!
    const fault = `${stack ?? message}\n${cluster.describe()}`
    return { report: cluster.report(), fault, kind }
  }
}

/** The trace of a run, a line for each step that did something. */
export async function traceSeed(
  seed: number,
  without: readonly Fault[],
  isWalk: boolean,
): Promise<string[]> {
  const cluster = new SimCluster(seed, { without, isWalk, traceLines: true })
  await cluster.run().catch((error) => cluster.trace.lines.push(String(error.stack ?? error)))
  return cluster.trace.lines
}

/** As many kinds of faults as can be left out, one after the other, while the same goes wrong. */
export async function shrink(
  seed: number,
  first: SeedResult,
  without: readonly Fault[],
  isWalk: boolean,
): Promise<{ without: Fault[]; result: SeedResult }> {
  let best = { without: [...without], result: first }
  for (const fault of FAULTS) {
    if (best.without.includes(fault)) continue
    const fewer = [...best.without, fault]
    const result = await runSeed(seed, fewer, isWalk)
    if (result.kind === first.kind) best = { without: fewer, result }
  }
  return best
}

export function commandOf(seed: number, without: readonly Fault[], isWalk: boolean): string {
  const left = without.length > 0 ? ` --without=${without.join(',')}` : ''
  return `npm run sim -- ${isWalk ? '--walk ' : ''}--seed=${seed} --seeds=1${left}`
}
