import { setTimeout as delay } from 'node:timers/promises'
import { parseAddress } from '../../io/index.ts'
import { type Arguments, quoted, UsageError } from '../arguments.ts'
import { type Context, EXIT_DONE } from '../command.ts'
import { counted } from '../format.ts'
import { Progress } from '../progress.ts'
import { Asking, isUnavailable } from './asking.ts'
import { type ClusterView, look } from './view.ts'

const LOOK_MS = 500
const ID_MAX = 2 ** 32 - 1

export function add(args: Arguments, context: Context): Promise<number> {
  const [word = '', address = ''] = args.words('words')
  const id = memberOf(word)
  return change(args, context, {
    command: { do: 'add', id, address: addressOf(address) },
    id,
    isDone: (state, view, asking) => state === 'member' && hasItsVotes(view, asking, id),
    texts: [`member ${id} is being added`, `member ${id} is a member`],
  })
}

export function remove(args: Arguments, context: Context): Promise<number> {
  const id = memberOf(args.words('words')[0] ?? '')
  return change(args, context, {
    command: { do: 'remove', id },
    id,
    isDone: (state) => state === undefined,
    texts: [`member ${id} is being removed`, `member ${id} is no member any more`],
  })
}

/** Throws {@link UsageError}. */
export function memberOf(word: string): number {
  const id = /^\d{1,10}$/.test(word) ? Number(word) : 0
  if (id >= 1 && id <= ID_MAX) return id
  throw new UsageError(`a member is a number from 1 to ${ID_MAX}, not ${quoted(word)}`)
}

function addressOf(word: string): string {
  try {
    if (parseAddress(word, 'it').port > 0) return word
  } catch {
    // Said below.
  }
  throw new UsageError(`where a member listens is <host:port>, not ${quoted(word)}`)
}

interface Change {
  readonly command: Parameters<Asking['any']>[0]
  readonly id: number
  /** By the state that the member has; undefined: it is none. */
  readonly isDone: (
    state: string | undefined,
    view: ClusterView,
    asking: Asking,
  ) => boolean | Promise<boolean>
  /** While it is under way, and when it is done. */
  readonly texts: readonly [string, string]
}

async function change(args: Arguments, context: Context, asked: Change): Promise<number> {
  const { out } = context
  const { command, id, isDone, texts } = asked
  const asking = new Asking(args, context.interrupted)
  try {
    await asking.any(command)
    const view = args.flag('wait')
      ? await waitFor(asked, asking, context)
      : await look(asking).catch(() => undefined)
    const state = view && stateIn(view, id)
    const isOver = view !== undefined && (await isDone(state, view, asking))
    const said = isOver ? (state ?? 'gone') : (state ?? 'asked')
    if (args.flag('json')) out.line(JSON.stringify({ id, state: said }))
    else out.line(isOver ? texts[1] : `${texts[0]}; cluster status shows how far it is`)
    return EXIT_DONE
  } finally {
    await asking.close()
  }
}

/** As long as it takes; but not if nobody has answered for the time that an answer may take. */
async function waitFor(
  { id, isDone, texts }: Change,
  asking: Asking,
  { err, interrupted }: Context,
): Promise<ClusterView> {
  const progress = new Progress(err, 'changed')
  let heardAt = performance.now()
  try {
    for (;;) {
      try {
        const view = await look(asking)
        heardAt = performance.now()
        if (await isDone(stateIn(view, id), view, asking)) return view
        progress.say(() => `${texts[0]}: ${votesText(view, id)}`)
      } catch (error) {
        // The one that was asked may be the one that goes.
        const isPatient = performance.now() - heardAt < asking.timeoutMs
        if (!isUnavailable(error) || !isPatient) throw error
        progress.say(() => `${texts[0]}: nobody answers`)
      }
      await delay(LOOK_MS, undefined, { signal: interrupted }).catch(() => {
        throw interrupted.reason
      })
    }
  } finally {
    progress.clear()
  }
}

function stateIn({ members }: ClusterView, id: number): string | undefined {
  return members.find((member) => member.id === id)?.state
}

/** As the new member knows itself: it votes on all that it is to vote on, and no change is under way there. */
async function hasItsVotes(view: ClusterView, asking: Asking, id: number): Promise<boolean> {
  const address = view.members.find((member) => member.id === id)?.address
  const own = await look(asking, address).catch(() => undefined)
  if (!own) return false
  const due = own.placements.filter(({ replicas }) => replicas.includes(id))
  return due.every(({ name }) => {
    const members = own.logs.find((log) => log.name === name)?.members
    return members?.voters.includes(id) && members.outgoing.length === 0
  })
}

function votesText({ logs }: ClusterView, id: number): string {
  const having = logs.filter(({ members }) => members.voters.includes(id)).length
  return `it has a vote in ${having} of ${counted(logs.length, 'log', 'logs')}`
}
