import { OFFSET_MAX, TidemarkError } from '../../base/index.ts'
import { type CursorInfo, type CursorStart, Log } from '../../log/index.ts'
import { type Arguments, quoted, UsageError } from '../arguments.ts'
import { type Command, type Context, EXIT_DONE, EXIT_FAILED } from '../command.ts'
import { count } from '../format.ts'

const HEADINGS = ['cursor', 'position', 'lag', 'missed', 'committed', 'held by']

function holderText({ isHeld, holderPid }: CursorInfo): string {
  if (!isHeld) return '-'
  return holderPid === undefined ? 'somebody' : `process ${holderPid}`
}

function rowOf(cursor: CursorInfo): string[] {
  const { name, position, lag, missed, committedAt } = cursor
  const time = committedAt === undefined ? '-' : new Date(committedAt).toISOString()
  const place = position === undefined ? 'damaged' : String(position)
  const behind = lag === undefined ? '-' : count(lag)
  return [name, place, behind, count(missed), time, holderText(cursor)]
}

function table(rows: readonly string[][]): string {
  const widths = HEADINGS.map((_, i) => Math.max(...rows.map((row) => row[i]!.length)))
  const line = (row: string[]) => row.map((cell, i) => cell.padEnd(widths[i]!)).join('  ')
  return rows.map((row) => `${line(row).trimEnd()}\n`).join('')
}

function asText(cursors: readonly CursorInfo[]): string {
  if (cursors.length === 0) return 'there are no cursors\n'
  const problems = cursors.flatMap(({ problem }) =>
    problem ? [`damaged: ${problem.message}\n`] : [],
  )
  return table([HEADINGS, ...cursors.map(rowOf)]) + problems.join('')
}

function asJson(cursor: CursorInfo): string {
  const { name, position = null, lag = null, missed, committedAt = null } = cursor
  const holder = cursor.isHeld ? (cursor.holderPid ?? true) : null
  const facts = { name, position, lag, missed, committedAt, holder }
  const problem = cursor.problem?.message
  return `${JSON.stringify(problem === undefined ? facts : { ...facts, problem })}\n`
}

/** `<name>=<offset>`, or `start` or `end` in the place of an offset. */
function assignment(text: string): { name: string; to: CursorStart } {
  const at = text.lastIndexOf('=')
  const name = text.slice(0, Math.max(0, at))
  const to = text.slice(at + 1)
  if (name !== '' && (to === 'start' || to === 'end')) return { name, to }
  if (name !== '' && /^\d{1,16}$/.test(to) && Number(to) <= OFFSET_MAX)
    return { name, to: Number(to) }
  throw new UsageError(
    `--set must be <name>=<offset>, <name>=start or <name>=end, not ${quoted(text)}`,
  )
}

/** Puts a cursor somewhere, and makes it if there is none. */
async function set(log: Log, name: string, to: CursorStart): Promise<void> {
  try {
    await log.cursors.reset(name, to)
  } catch (error) {
    if (!(error instanceof TidemarkError && error.code === 'NOT_FOUND')) throw error
    await (await log.cursor(name, { from: to })).close()
  }
}

async function remove(log: Log, name: string): Promise<void> {
  const names = (await log.cursors.list()).map((cursor) => cursor.name)
  if (!names.includes(name)) {
    const there = names.length === 0 ? 'there are none' : `there is ${names.join(', ')}`
    throw new TidemarkError('NOT_FOUND', `no cursor ${quoted(name)} in ${log.folder}; ${there}`)
  }
  await log.cursors.delete(name)
}

async function run(args: Arguments, { out }: Context): Promise<number> {
  args.exclude('set', 'delete')
  const change = args.text('set')
  const target = change === undefined ? undefined : assignment(change)
  const unwanted = args.text('delete')
  const log = await Log.open(args.positional('log'), { mode: 'read' })
  try {
    if (target) await set(log, target.name, target.to)
    if (unwanted !== undefined) await remove(log, unwanted)
    const cursors = await log.cursors.list()
    out.write(args.flag('json') ? cursors.map(asJson).join('') : asText(cursors))
    return cursors.some(({ problem }) => problem) ? EXIT_FAILED : EXIT_DONE
  } finally {
    await log.close()
  }
}

export const cursors: Command = {
  name: 'cursors',
  summary: 'list the cursors of a log, and move or delete them',
  details: [
    'The lag is what a cursor has before it; missed is what the log gave up before it came there.',
    'A cursor that somebody holds can be listed, but neither moved nor deleted. Ends with 1 if one is damaged.',
  ],
  positionals: [{ name: 'log', help: 'the folder of the log' }],
  options: {
    set: {
      value: 'name=offset',
      help: 'put a cursor at an offset, or at start or end; makes it if there is none',
    },
    delete: { value: 'name', help: 'delete a cursor' },
    json: {
      help: 'one object a line: name, position, lag, missed, committedAt (ms), holder (process id or null), problem if damaged',
    },
  },
  examples: [
    'tidemark cursors ./orders',
    'tidemark cursors ./orders --set billing=1200',
    'tidemark cursors ./orders --set billing=start --json',
  ],
  run,
}
