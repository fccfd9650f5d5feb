import { count, seconds } from '../../format.ts'
import type { Output } from '../../output.ts'
import { lagOf, type Place } from './cluster.ts'
import type { Show } from './show.ts'

/** Without a terminal, a table every so often. */
const TABLE_MS = 5000
const RATE_MS = 1000

interface Row {
  readonly place: Place
  readonly leader: Place | undefined
}

/** Name, width, content; 77 columns in all. */
const COLUMNS: readonly (readonly [string, number, (row: Row) => string])[] = [
  ['member', 6, ({ place }) => String(place.id)],
  ['state', 8, ({ place }) => stateOf(place)],
  ['role', 9, ({ place }) => place.status?.role ?? ''],
  ['term', 4, ({ place }) => of(place.status?.term)],
  ['low', 7, ({ place }) => of(place.status?.lowWaterMark)],
  ['high', 9, ({ place }) => of(place.status?.highWaterMark)],
  ['end', 9, ({ place }) => of(place.status?.endOffset)],
  ['lag', 9, (row) => lag(row)],
]

function of(value: number | undefined): string {
  return value === undefined ? '' : count(value)
}

function stateOf({ process, isCut }: Place): string {
  if (!process) return 'killed'
  if (isCut) return 'cut off'
  return process.isReady ? 'up' : 'starting'
}

function lag({ place, leader }: Row): string {
  return place.status && leader?.status ? of(lagOf(place.status, leader.status)) : ''
}

/** Events as they happen, and a table of the members: drawn again in place on a terminal. Or all as JSON. */
export class Screen {
  readonly #out: Output
  readonly #isJson: boolean
  readonly #startedAt = performance.now()
  /** Lines of the table that the cursor stands below. */
  #drawn: readonly string[] = []
  #tableAt = 0
  #rateAt = 0
  #rateFrom = 0
  #rate = 0

  constructor(out: Output, isJson: boolean) {
    this.#out = out
    this.#isJson = isJson
  }

  get elapsedMs(): number {
    return performance.now() - this.#startedAt
  }

  /** An event: its name and what belongs to it for programs, the text for people. */
  tell(event: string, text: string, details: Readonly<Record<string, unknown>> = {}): void {
    if (this.#isJson) this.json({ event, atMs: Math.round(this.elapsedMs), ...details })
    else this.#above(`${seconds(this.elapsedMs).padStart(7)}  ${text}`)
  }

  json(value: unknown): void {
    this.#out.line(JSON.stringify(value))
  }

  /** Text between the events; not in JSON. */
  text(text: string): void {
    if (!this.#isJson) this.#above(text)
  }

  draw(show: Show): void {
    if (this.#isJson || !show.cluster) return
    this.#measure(show)
    const now = performance.now()
    if (!this.#out.isTerminal && now - this.#tableAt < TABLE_MS) return
    this.#tableAt = now
    const lines = ['', ...table(show), ...this.#summary(show), '']
    if (this.#out.isTerminal) this.#redraw(lines)
    else for (const line of lines) this.#out.line(line)
  }

  /** What is drawn stays as it is. */
  leave(): void {
    this.#drawn = []
  }

  #measure({ ledger }: Show): void {
    const now = performance.now()
    if (now - this.#rateAt < RATE_MS) return
    this.#rate = ((ledger.acknowledged - this.#rateFrom) * 1000) / (now - this.#rateAt)
    this.#rateFrom = ledger.acknowledged
    this.#rateAt = now
  }

  #summary({ ledger, traffic, afterKills, afterCuts }: Show): string[] {
    const counts = `${count(ledger.acknowledged)} acknowledged, ${count(this.#rate)}/s, the last ${seconds(traffic.gapMs)} ago`
    return [
      `lines: ${counts}; ${ledger.refused} refused`,
      `after kills ${times(afterKills)}; after cuts of a leader ${times(afterCuts)}`,
    ]
  }

  #above(text: string): void {
    const table = this.#drawn
    this.#erase()
    this.#out.line(text)
    this.#redraw(table)
  }

  #redraw(lines: readonly string[]): void {
    this.#erase()
    if (lines.length > 0) this.#out.write(`${lines.join('\n')}\n`)
    this.#drawn = lines
  }

  /** Up to where the table begins, and away with what follows. */
  #erase(): void {
    if (this.#drawn.length > 0) this.#out.write(`\x1b[${this.#drawn.length}A\x1b[J`)
    this.#drawn = []
  }
}

function table({ cluster }: Show): string[] {
  const { places, leader: id } = cluster!
  const leader = places.find((place) => place.id === id)
  const rows = places.map((place) => ({ place, leader }))
  return [
    COLUMNS.map(([name, width]) => name.padStart(width)).join('  '),
    ...rows.map((row) =>
      COLUMNS.map(([, width, content]) => content(row).padStart(width)).join('  '),
    ),
  ]
}

/** The last few: a line has to fit. */
function times(all: readonly number[]): string {
  return all.length === 0 ? '-' : all.slice(-3).map(seconds).join(', ')
}
