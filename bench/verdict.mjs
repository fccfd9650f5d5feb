import { median } from './measure.mjs'

export const OURS = 'Tidemark'

/**
 * Tidemark's value divided by the peer's: the median over the runs of the ratio within each, because
 * what disturbs a run disturbs its neighbours too.
 */
function pairedRatio(ours, theirs) {
  return median(ours.map((value, i) => value / theirs[i]))
}

function isMet(value, bar) {
  if (bar.atMost !== undefined && value > bar.atMost) return false
  if (bar.below !== undefined && value >= bar.below) return false
  return bar.atLeast === undefined || value >= bar.atLeast
}

/**
 * The medians of a row, and how Tidemark compares: with each contestant (`against`), or with an absolute
 * limit (no `against`).
 */
export function judge(row, values) {
  const medians = Object.fromEntries(
    Object.entries(values).map(([name, all]) => [name, median(all)]),
  )
  const comparisons = []
  const limit = row.bars.find((bar) => bar.against === undefined)
  if (limit) comparisons.push({ bar: limit, met: isMet(medians[OURS], limit) })
  for (const { name } of row.contestants) {
    if (name === OURS) continue
    const bar = row.bars.find((one) => one.against === name && !values[one.without])
    const theirs = values[name]
    const ratio = theirs ? pairedRatio(values[OURS], theirs) : undefined
    const met = bar && ratio !== undefined ? isMet(ratio, bar) : undefined
    comparisons.push({ against: name, ratio, bar, met })
  }
  return { medians, comparisons }
}
