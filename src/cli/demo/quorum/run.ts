import { type Random, seededRandom } from '../../../io/index.ts'
import { type Context, EXIT_DONE, EXIT_FAILED } from '../../command.ts'
import { count, counted, seconds } from '../../format.ts'
import { demoSource } from '../source.ts'
import { LineStream } from '../stream.ts'
import type { Comparison } from './comparison.ts'
import { Screen } from './screen.ts'
import { Show } from './show.ts'

export interface QuorumDemoOptions {
  readonly rounds: number
  readonly seed: number
  readonly isJson: boolean
  readonly folder: string
}

const INTRODUCTION = `Lines are written through all three at once, 8 under way through each. In each round the leader is
killed with SIGKILL and started again, and one member is cut off from the network for a while.`

/** Kills and cuts, compares, and says whether the quorum kept its promise. */
export async function demoQuorum(
  { rounds, seed, isJson, folder }: QuorumDemoOptions,
  { out, interrupted }: Context,
): Promise<number> {
  const lines = new LineStream(await demoSource('', interrupted))
  const screen = new Screen(out, isJson)
  const random: Random = seededRandom(seed)
  screen.text(`Three members keep one log in ${folder}.\n${INTRODUCTION} Seed ${seed}.\n`)
  const stop = AbortSignal.any([interrupted, out.ended])
  const show = new Show({ folder, lines, random, screen, stop })
  try {
    await show.begin()
    for (let i = 0; i < rounds; i++) await show.round()
    const comparison = await show.end()
    screen.leave()
    const kept = isKept(comparison)
    if (isJson) screen.json({ event: 'summary', kept, seed, ...figures(show), ...comparison })
    else screen.text(`\n${verdict(show, comparison, screen.elapsedMs)}`)
    return kept ? EXIT_DONE : EXIT_FAILED
  } catch (error) {
    screen.leave()
    // Whoever has read enough has not asked for a verdict.
    if (out.ended.aborted && !interrupted.aborted) return EXIT_DONE
    throw error
  } finally {
    await show.close()
  }
}

function isKept({ different, lost, twice, disordered, wrong }: Comparison): boolean {
  return different + lost + twice + disordered + wrong === 0
}

function figures({ ledger, kills, cuts, afterKills, afterCuts }: Show) {
  return {
    kills,
    cuts,
    sent: ledger.sent,
    acknowledged: ledger.acknowledged,
    refused: ledger.refused,
    unknown: ledger.unknown,
    afterKillsMs: afterKills.map(Math.round),
    afterCutsMs: afterCuts.map(Math.round),
  }
}

function verdict(show: Show, comparison: Comparison, elapsedMs: number): string {
  const { kills, cuts, ledger, afterKills } = show
  const { same, different, found, lost, twice, disordered, wrong, extra } = comparison
  const text = [
    `${counted(kills, 'kill', 'kills')}, ${counted(cuts, 'cut', 'cuts')}, ${counted(ledger.acknowledged, 'line', 'lines')} acknowledged: ${count(found)} found, ${count(lost)} lost, ${count(twice)} twice, ${count(disordered)} out of order, ${count(wrong)} wrong;`,
    `${counted(extra, 'line', 'lines')} kept besides, of which nobody was told.`,
    `${counted(same, 'entry', 'entries')} on all three members, byte for byte; ${count(different)} not.`,
    `After the death of a leader lines were acknowledged again within ${seconds(Math.max(...afterKills))} at most.`,
  ]
  const end = isKept(comparison)
    ? 'the quorum kept its promise.'
    : 'THE QUORUM BROKE ITS PROMISE. Please report this, with the seed.'
  return `${text.join('\n')}\n${seconds(elapsedMs)}: ${end}`
}
