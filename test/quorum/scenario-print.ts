import {
  type Batch,
  type Hole,
  isJoint,
  type Members,
  type Message,
  type MessageKind,
  type MessageOf,
  type Persist,
  type Point,
  type Status,
} from '#dist/quorum/core/index.js'
import type { ArrayReplica } from './array-replica.ts'

// What scenarios print. Logs are written as the Raft paper draws them: the term of each batch.

export function point({ mark, term }: Point): string {
  return `${mark}@t${term}`
}

export function members({ voters, outgoing, learners }: Members): string {
  const joint = outgoing.length > 0 ? ` and ${outgoing.join(' ')}` : ''
  const others = learners.length > 0 ? ` learners ${learners.join(' ')}` : ''
  return `${voters.join(' ') || 'nobody'}${joint}${others}`
}

export function batch({ term, start, end, kind, members: who }: Batch): string {
  const width = end - start > 1 ? `x${end - start}` : ''
  return `${term}${width}${kind === 'members' && who ? `[${members(who)}]` : ''}`
}

function batches(list: readonly Batch[]): string {
  return list.length > 0 ? ` + ${list.map(batch).join(' ')}` : ''
}

function yes(value: boolean): string {
  return value ? 'yes' : 'no'
}

function above(low: number): string {
  return low > 0 ? ` low ${low}` : ''
}

const PRINT: { readonly [K in MessageKind]: (message: MessageOf<K>) => string } = {
  'pre-vote': ({ last }) => `log ends ${point(last)}`,
  'pre-vote-reply': ({ granted }) => yes(granted),
  vote: ({ last, transfer }) => `log ends ${point(last)}${transfer ? ' by transfer' : ''}`,
  'vote-reply': ({ granted }) => yes(granted),
  append: ({ prev, batches: list, commit, low }) =>
    `at ${point(prev)}${batches(list)} commit ${commit}${above(low)}`,
  'append-reply': ({ matched, mark, hint, damaged }) =>
    matched ? `has ${mark}` : `no at ${mark}, perhaps ${point(hint)}${damaged ? ', damaged' : ''}`,
  heartbeat: ({ commit, round, low }) =>
    `commit ${commit}${round > 0 ? ` round ${round}` : ''}${above(low)}`,
  'heartbeat-reply': ({ round, isWhole }) =>
    [round > 0 ? `round ${round}` : '', isWhole ? '' : 'not whole'].filter(Boolean).join(', '),
  snapshot: ({ point: at, configuration }) =>
    `at ${point(at)} members ${members(configuration.members)} of ${point(configuration.point)}`,
  transfer: () => '',
  read: ({ id }) => `#${id}`,
  'read-reply': ({ id, mark }) => `#${id} at ${mark}`,
  repair: ({ from, to, last }) => `from ${from} to ${to}@t${last}`,
  'repair-reply': ({ from, batches: list }) => `from ${from}${batches(list)}`,
}

export function message(it: Message): string {
  const print = PRINT[it.kind] as (message: Message) => string
  return `${it.kind} t${it.term} ${print(it)}`.trimEnd()
}

export function piece({
  number,
  hard,
  reset,
  fill,
  truncate,
  batches: list,
  trim,
}: Persist): string {
  const parts: string[] = []
  if (hard) parts.push(`term ${hard.term}${hard.vote ? ` vote ${hard.vote}` : ''}`)
  if (hard?.promised) parts.push(`promise ${point(hard.promised)}`)
  if (reset) parts.push(`reset to ${point(reset)}`)
  if (fill) parts.push(`fill ${fill.hole.from}-${fill.hole.to}${batches(fill.batches)}`)
  if (truncate !== undefined) parts.push(`cut at ${truncate}`)
  if (list.length > 0) parts.push(`at ${list[0].start}${batches(list)}`)
  if (trim !== undefined) parts.push(`trim to ${trim}`)
  return `piece ${number}: ${parts.join(', ')}`
}

function holeAt(holes: readonly Hole[], { start, end }: Batch): boolean {
  return holes.some(({ from, to }) => start >= from && end <= to)
}

/** The batches of a log, `?` where damage is, with marks where it is committed and where it is synced. */
export function log(replica: ArrayReplica): string {
  const { disk, pieces, core } = replica
  const status = core?.status
  let list = [...disk.batches]
  for (const { reset, truncate, batches: more } of pieces) {
    if (reset) list = []
    list = [...list.filter(({ end }) => truncate === undefined || end <= truncate), ...more]
  }
  const low = status?.low ?? disk.low.mark
  const words = low > 0 ? [`${low}..`] : []
  const bars = (mark: number) => {
    if (mark === (status?.stable ?? mark) && pieces.length > 0) words.push('/')
    if (mark === (status?.committed ?? disk.shown)) words.push('|')
  }
  bars(low)
  for (const each of list.filter(({ start }) => start >= low)) {
    words.push(holeAt(status?.holes ?? disk.holes(), each) ? '?' : batch(each))
    bars(each.end)
  }
  return words.join(' ')
}

/** Who a replica is now, for the lines about changes. */
export function role({ role: name, term, leader, id }: Status): string {
  if (name === 'leader') return `leads term ${term}`
  if (name !== 'follower') return `is ${name} at term ${term}`
  return leader === 0 || leader === id
    ? `follows nobody at term ${term}`
    : `follows ${leader} at term ${term}`
}

export function status(replica: ArrayReplica): string {
  if (!replica.core) return `${replica.id} is down`
  const { hasFailed, promised, members: who, ...rest } = replica.core.status
  const flags = [
    hasFailed ? ' failed' : '',
    promised ? ` promised ${point(promised)}` : '',
    isJoint(who) ? ` joint ${members(who)}` : '',
  ]
  const all = { hasFailed, promised, members: who, ...rest }
  return `${rest.id} ${role(all)}${flags.join('')}: ${log(replica)}`
}
