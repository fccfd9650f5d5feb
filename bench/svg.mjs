import { OURS } from './verdict.mjs'

// The table as a picture: a bar for each row that has a bar to meet, scaled so that all bars to meet lie on
// one line. What reaches the line meets it; longer is better everywhere.

const ROW = 34
const TOP = 64
const LABELS = 350
const PLOT = 360
const WIDTH = 940
/** So many times its bar is the end of the scale. */
const SCALE_MAX = 2

const STYLE = `
  text { font: 13px system-ui, sans-serif; fill: #24292f }
  .small { font-size: 11px; fill: #57606a }
  .met { fill: #2da44e } .missed { fill: #bf8700 } .line { stroke: #cf222e; stroke-width: 1.5 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .small { fill: #9198a1 } .met { fill: #3fb950 } .missed { fill: #d29922 }
  }`

function escaped(text) {
  return text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`)
}

function quantity(value, unit) {
  if (unit === '/s' && value >= 1e6) return `${(value / 1e6).toFixed(2)} M/s`
  if (unit === '/s' && value >= 1e3) return `${(value / 1e3).toFixed(0)} k/s`
  return `${value >= 100 ? value.toFixed(0) : value.toFixed(1)} ${unit}`
}

/** How many times the bar is reached: 1 meets it, whether more or less of the figure is better. */
function scoreOf(value, { atLeast, atMost, below }) {
  return atLeast === undefined ? (atMost ?? below) / value : value / atLeast
}

/** One entry for each comparison that has a bar. */
function barsOf(row) {
  if (row.error) return []
  return row.comparisons.flatMap(({ against, ratio, bar, met }) => {
    if (!bar || (against !== undefined && ratio === undefined)) return []
    const ours = row.medians[OURS]
    const value = against === undefined ? ours : ratio
    const limit = bar.atLeast ?? bar.atMost ?? bar.below
    const text =
      against === undefined
        ? `${quantity(ours, row.unit)}, bar ${quantity(limit, row.unit)}`
        : `${quantity(ours, row.unit)}, ${ratio.toFixed(2)} x, bar ${limit} x`
    return [{ title: row.title, against: against ?? '', text, score: scoreOf(value, bar), met }]
  })
}

function drawn({ title, against, text, score, met }, i) {
  const y = TOP + i * ROW
  const width = Math.max(2, (Math.min(score, SCALE_MAX) / SCALE_MAX) * PLOT)
  return `  <text x="12" y="${y + 12}">${escaped(title)}</text>
  <text x="12" y="${y + 26}" class="small">${escaped(against && `beside ${against}`)}</text>
  <rect x="${LABELS}" y="${y + 3}" width="${width.toFixed(0)}" height="18" rx="2" class="${met ? 'met' : 'missed'}"/>
  <text x="${LABELS + PLOT + 14}" y="${y + 17}" class="small">${escaped(text)}</text>`
}

/** The report as an SVG document. */
export function renderSvg({ machine, options, rows }) {
  const bars = rows.flatMap(barsOf)
  const height = TOP + bars.length * ROW + 16
  const x = LABELS + PLOT / SCALE_MAX
  const { cpu, cores, fileSystem, node, date } = machine
  const where = `${cpu}, ${cores} cores, ${fileSystem}, Node ${node}, ${date.slice(0, 10)}, medians of ${options.runs} runs`
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="Tidemark beside its bars">
  <style>${STYLE}
  </style>
  <text x="12" y="22">Tidemark beside the bars that it set itself: what reaches the line meets its bar</text>
  <text x="12" y="40" class="small">${escaped(where)}; bars end at ${SCALE_MAX} times the line</text>
${bars.map(drawn).join('\n')}
  <line x1="${x}" x2="${x}" y1="${TOP - 8}" y2="${height - 12}" class="line"/>
</svg>
`
}
