import type { FlipsResult } from './flips.ts'

function counted(counts: object): string {
  const parts = Object.entries(counts).map(([name, count]) => `${name} ${count}`)
  return parts.join(', ') || 'none'
}

/** What a ring of flips has come to, in lines. */
export function reportOf(result: FlipsResult): string {
  const { flips, seed, seconds, entries, outcomes, kinds, majorities, losses, codes, faults } =
    result
  const { repaired, lost, rewritten, harmless } = outcomes
  return [
    `${flips} bits in ${seconds} s, seed ${seed}; ${entries} entries acknowledged`,
    `in: ${counted(kinds)}`,
    `repaired in place ${repaired}, begun anew ${lost}, written over ${rewritten}, harmless ${harmless}`,
    `the same entry on a majority ${majorities} times, on all ${losses} times (then appends were refused: ${counted(codes)})`,
    faults.length === 0 ? 'all promises kept' : `${faults.length} FAULTS`,
  ].join('\n')
}
