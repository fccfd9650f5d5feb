// The table as Markdown, and where it goes in the README.
import { readFileSync, writeFileSync } from 'node:fs'
import { barText, metText, quantity } from './table.mjs'
import { OURS } from './verdict.mjs'

const BEGIN = '<!-- figures:begin -->'
const END = '<!-- figures:end -->'
const HEAD = ['work', OURS, 'beside it, in the same run', 'ratio', 'bar', 'met']

function line(cells) {
  return `| ${cells.join(' | ')} |`
}

/** One line for each peer that the row has a bar for, or the first; a limit of its own has no peer. */
function linesOf(row) {
  const ours = quantity(row.medians[OURS], row.unit)
  const barred = row.comparisons.filter(({ bar }) => bar)
  const shown = barred.length > 0 ? barred : row.comparisons.slice(0, 1)
  return shown.map((comparison, i) => {
    const { against, ratio, bar } = comparison
    const peer =
      ratio === undefined ? '' : `${against}: ${quantity(row.medians[against], row.unit)}`
    return line([
      i === 0 ? row.title : '',
      i === 0 ? ours : '',
      peer,
      ratio === undefined ? '' : ratio.toFixed(2),
      barText(bar, row.unit).replace('<=', '≤').replace('>=', '≥').replace(' x', ' ×'),
      metText(comparison).toLowerCase(),
    ])
  })
}

export function renderMarkdown({ machine, options, rows }) {
  const { cpu, cores, fileSystem, node, date } = machine
  return [
    `${cpu}, ${cores} cores, ${fileSystem}, Node ${node}, ${date.slice(0, 10)}. 128-byte entries unless said; medians of ${options.runs} runs, all in one`,
    `go. Ratios are those within a run; on a shared machine they move by a third from one time to the next.`,
    '',
    line(HEAD),
    line(HEAD.map(() => '---')),
    ...rows.filter((row) => !row.error).flatMap(linesOf),
  ].join('\n')
}

/** Puts the table between the two marks of a file. Throws if they are not there. */
export function replaceFigures(path, report) {
  const text = readFileSync(path, 'utf8')
  const begin = text.indexOf(BEGIN)
  const end = text.indexOf(END)
  if (begin < 0 || end < begin) throw new Error(`${path} has no ${BEGIN} before an ${END}`)
  const table = renderMarkdown(report)
  writeFileSync(path, `${text.slice(0, begin)}${BEGIN}\n${table}\n${text.slice(end)}`)
}
