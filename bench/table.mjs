import { isInMemory } from './machine.mjs'
import { OURS } from './verdict.mjs'

const HEAD = ['work', 'Tidemark', 'peers', 'ratio', 'bar', 'met']

/** A value with its unit, three digits of it significant. */
export function quantity(value, unit) {
  if (unit === '/s' && value >= 1e6) return `${(value / 1e6).toFixed(2)} M/s`
  if (unit === '/s' && value >= 1e3) return `${(value / 1e3).toFixed(1)} k/s`
  return `${value >= 100 ? value.toFixed(0) : value.toFixed(1)} ${unit}`
}

export function barText(bar, unit) {
  if (!bar) return '-'
  const times = bar.against === undefined ? ` ${unit}` : ' x'
  if (bar.atMost !== undefined) return `<= ${bar.atMost}${times}`
  if (bar.below !== undefined) return `< ${bar.below}${times}`
  return `>= ${bar.atLeast}${times}`
}

export function metText({ bar, met }) {
  if (!bar) return '-'
  if (met === undefined) return '?'
  return met ? 'yes' : 'NO'
}

/** The lines of a row: the first has its name and Tidemark's figure, each has one comparison. */
function linesOf(row) {
  if (row.error) return [[row.title, `failed: ${row.error.split('\n')[0]}`, '', '', '', '']]
  const ours = quantity(row.medians[OURS], row.unit)
  const comparisons = row.comparisons.length > 0 ? row.comparisons : [{}]
  return comparisons.map((comparison, i) => {
    const { against, ratio, bar } = comparison
    let peer = '-'
    if (against !== undefined && ratio === undefined) {
      peer = `peer not installed: ${row.missing[against] ?? 'unknown'}`
    } else if (against !== undefined) {
      peer = `${against}: ${quantity(row.medians[against], row.unit)}`
    }
    return [
      i === 0 ? row.title : '',
      i === 0 ? ours : '',
      peer,
      ratio === undefined ? '-' : ratio.toFixed(2),
      barText(bar, row.unit),
      metText(comparison),
    ]
  })
}

/** The whole report as text. */
export function renderTable({ machine, options, rows, seconds }) {
  const groups = rows.map(linesOf)
  const all = [HEAD, ...groups.flat()]
  const widths = HEAD.map((_, column) => Math.max(...all.map((line) => line[column].length)))
  const format = (line) =>
    line
      .map((cell, i) => cell.padEnd(widths[i]))
      .join(' | ')
      .trimEnd()
  const rule = widths.map((width) => '-'.repeat(width)).join('-|-')
  const { cpu, cores, memoryGiB, kernel, fileSystem, node, date } = machine
  const text = [
    `${cpu}, ${cores} cores, ${memoryGiB} GiB, ${kernel}, ${fileSystem}, Node ${node}, ${date}`,
    `128-byte entries unless said; medians of ${options.runs} runs, all in one go (${seconds} s)`,
    '',
    format(HEAD),
    rule,
    ...groups.flat().map(format),
    '',
  ]
  for (const row of rows) if (row.note) text.push(`${row.title}: ${row.note}`)
  if (isInMemory(fileSystem)) {
    text.push(`WARNING: ${fileSystem} has no disk: durable rows mean nothing here. Use --dir=.`)
  }
  return `${text.join('\n')}\n`
}
