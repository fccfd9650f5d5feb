import { count, counted } from '../format.ts'
import type { ClusterView, LogView, MemberView } from './view.ts'

type Column<T> = readonly [name: string, side: 'left' | 'right', content: (row: T) => string]

const LOG_COLUMNS: readonly Column<LogView>[] = [
  ['log', 'left', ({ name }) => name],
  ['leader', 'right', ({ leader }) => (leader === undefined ? 'nobody' : String(leader))],
  ['term', 'right', ({ term }) => count(term)],
  ['low', 'right', ({ lowWaterMark }) => count(lowWaterMark)],
  ['high', 'right', ({ highWaterMark }) => count(highWaterMark)],
  ['lag', 'left', lagsOf],
  ['here', 'left', ({ role }) => role],
  ['damage', 'left', damageOf],
]

/** Lines for people, at most one for each member and each log besides the headings. */
export function tablesOf(view: ClusterView): string[] {
  const connected = new Map(view.peers.map(({ id, isConnected }) => [id, isConnected]))
  const memberColumns: readonly Column<MemberView>[] = [
    ['member', 'right', ({ id }) => String(id)],
    ['address', 'left', ({ address }) => address],
    ['state', 'left', ({ state }) => state],
    ['connected', 'left', ({ id }) => connectedText(id, view.id, connected)],
  ]
  return [
    `cluster ${view.cluster}, as member ${view.id} at ${view.address} sees it`,
    '',
    ...table(view.members, memberColumns),
    '',
    ...table(view.logs, LOG_COLUMNS),
  ]
}

function connectedText(id: number, own: number, connected: ReadonlyMap<number, boolean>): string {
  if (id === own) return 'was asked'
  return connected.get(id) ? 'yes' : 'no'
}

/** How many offsets each of the others lacks on its disk. */
function lagsOf({ followers, endOffset, highWaterMark }: LogView): string {
  if (!followers) return '-'
  const end = Math.max(endOffset, highWaterMark)
  return followers.map(({ id, synced }) => `${id}: ${count(Math.max(0, end - synced))}`).join(', ')
}

function damageOf({ holes, failure }: LogView): string {
  const lost = holes.reduce((sum, { from, to }) => sum + to - from, 0)
  const text = lost > 0 ? `${counted(lost, 'entry', 'entries')} to get back` : ''
  return [failure ?? '', text].filter((part) => part !== '').join(', ')
}

function table<T>(rows: readonly T[], columns: readonly Column<T>[]): string[] {
  const cells = [
    columns.map(([name]) => name),
    ...rows.map((row) => columns.map(([, , content]) => content(row))),
  ]
  const widths = columns.map((_, i) => Math.max(...cells.map((line) => line[i]!.length)))
  return cells.map((line) => {
    const padded = line.map((cell, i) => {
      const width = widths[i]!
      return columns[i]![1] === 'left' ? cell.padEnd(width) : cell.padStart(width)
    })
    return padded.join('  ').trimEnd()
  })
}
