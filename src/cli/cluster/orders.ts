import { setTimeout as delay } from 'node:timers/promises'
import { TidemarkError } from '../../base/index.ts'
import { type Arguments, quoted, UsageError } from '../arguments.ts'
import { type Context, EXIT_DONE, EXIT_FAILED } from '../command.ts'
import { columns, count, seconds, size } from '../format.ts'
import { Asking, isUnavailable } from './asking.ts'
import { memberOf } from './membership.ts'
import { statusOf } from './view.ts'

const LOOK_MS = 100
const SCRUB_MS = 3_600_000

/** Has a member lead a log from now on, and waits until it does. Whichever member is asked sees to it. */
export async function transfer(args: Arguments, context: Context): Promise<number> {
  const { out, interrupted } = context
  const [name = '', word = ''] = args.words('words')
  const to = memberOf(word)
  const asking = new Asking(args, interrupted)
  try {
    const end = performance.now() + asking.timeoutMs
    // Also to who leads by chance: from now on it is to lead.
    await asking.any({ do: 'transfer', log: name, to })
    while (!(await leads(to, name, asking))) {
      if (performance.now() > end) {
        const text = `member ${to} does not lead ${name} yet; it may be behind, or not there`
        throw new TidemarkError('UNAVAILABLE', text)
      }
      await delay(LOOK_MS, undefined, { signal: interrupted }).catch(() => {
        throw interrupted.reason
      })
    }
    const text = `member ${to} leads ${name}`
    out.line(args.flag('json') ? JSON.stringify({ log: name, leader: to }) : text)
    return EXIT_DONE
  } finally {
    await asking.close()
  }
}

/** True if the member that is asked says so, or, if that has no replica of the log, the one that is to lead. */
async function leads(id: number, name: string, asking: Asking): Promise<boolean> {
  const command = { do: 'status' } as const
  try {
    const { logs, members } = statusOf(await asking.any(command))
    const own = logs.find((log) => log.name === name)
    if (own) return own.leader === id
    const member = members.find((each) => each.id === id)
    const its = member && statusOf(await asking.at(member.address, command))
    return its?.logs.find((log) => log.name === name)?.role === 'leader'
  } catch (error) {
    if (isUnavailable(error)) return false
    throw error
  }
}

/** For good, on all members: so it has to be said twice. */
export async function deleteLog(args: Arguments, { out, interrupted }: Context): Promise<number> {
  const [log = ''] = args.words('words')
  if (!args.flag('yes')) {
    throw new UsageError(`cluster delete removes ${quoted(log)} on all members; add --yes`)
  }
  const asking = new Asking(args, interrupted)
  try {
    await asking.any({ do: 'delete', log })
    const text = `${log} is deleted`
    out.line(args.flag('json') ? JSON.stringify({ log, state: 'deleted' }) : text)
    return EXIT_DONE
  } finally {
    await asking.close()
  }
}

/** What `member.scrub` reports, as far as it is of use here. */
interface ScrubView {
  readonly logs: number
  readonly entries: number
  readonly bytes: number
  readonly damaged: readonly { readonly log: string; readonly from: number; readonly to: number }[]
  readonly durationMs: number
}

/** Ends with 1 if something is damaged. */
export async function scrub(args: Arguments, { out, interrupted }: Context): Promise<number> {
  const [log] = args.words('words')
  const asking = new Asking(args, interrupted)
  try {
    const ms = args.flag('timeout') ? asking.timeoutMs : SCRUB_MS
    const report = await asking.any({ do: 'scrub', ...(log !== undefined && { log }) }, ms)
    const view = report as ScrubView
    if (args.flag('json')) out.line(JSON.stringify(report))
    else out.write(scrubText(view))
    return view.damaged.length > 0 ? EXIT_FAILED : EXIT_DONE
  } finally {
    await asking.close()
  }
}

function scrubText({ logs, entries, bytes, damaged, durationMs }: ScrubView): string {
  const facts = columns([
    ['logs', count(logs)],
    ['sound entries', count(entries)],
    ['read', `${size(bytes)} in ${seconds(durationMs)}`],
    ['damaged', damaged.length === 0 ? 'nothing' : 'is got back from others:'],
  ])
  const lines = damaged.map(({ log, from, to }) => `  ${log}: ${count(from)} to ${count(to - 1)}\n`)
  return `${facts}${lines.join('')}`
}
