import type { Message, MessageOf } from '../core/index.ts'
import { garbage } from './byte-reader.ts'
import { type Fields, readPoint, writePoint } from './fields.ts'
import type { BodyReader, BodyWriter } from './frame-body.ts'
import { append, appendReply, repair, repairReply, snapshot } from './log-fields.ts'

// Each kind of message: a number (its place in KINDS), flags, the term, and then fields of its own.

/** Never put in another order: docs/format.md. */
const KINDS: readonly Message['kind'][] = [
  'pre-vote',
  'vote',
  'pre-vote-reply',
  'vote-reply',
  'append',
  'append-reply',
  'heartbeat',
  'heartbeat-reply',
  'snapshot',
  'transfer',
  'read',
  'read-reply',
  'repair',
  'repair-reply',
]

const NUMBERS = Object.fromEntries(KINDS.map((kind, i) => [kind, i + 1])) as Readonly<
  Record<Message['kind'], number>
>

function voteRequest(kind: 'pre-vote' | 'vote'): Fields<MessageOf<'pre-vote' | 'vote'>> {
  return {
    flags: ({ transfer }) => (transfer ? 1 : 0),
    flagsMask: 1,
    termMin: 1,
    write: ({ head }, { last }) => writePoint(head, last),
    read: ({ head }, term, flags) => {
      return { kind, term, last: readPoint(head, term), transfer: flags === 1 }
    },
  }
}

function voteReply(
  kind: 'pre-vote-reply' | 'vote-reply',
): Fields<MessageOf<'pre-vote-reply' | 'vote-reply'>> {
  return {
    flags: ({ granted }) => (granted ? 1 : 0),
    flagsMask: 1,
    termMin: 0,
    write: () => {},
    read: (_input, term, flags) => ({ kind, term, granted: flags === 1 }),
  }
}

const heartbeat: Fields<MessageOf<'heartbeat'>> = {
  flagsMask: 0,
  termMin: 1,
  write: ({ head }, { commit, round, low }) => {
    head.u64(commit)
    head.u48(round)
    head.u64(low)
  },
  read: ({ head }, term) => {
    const commit = head.mark()
    const round = head.u48()
    return { kind: 'heartbeat', term, commit, round, low: head.mark() }
  },
}

const heartbeatReply: Fields<MessageOf<'heartbeat-reply'>> = {
  flags: ({ isWhole }) => (isWhole ? 1 : 0),
  flagsMask: 1,
  termMin: 1,
  write: ({ head }, { round }) => head.u48(round),
  read: ({ head }, term, flags) => {
    return { kind: 'heartbeat-reply', term, round: head.u48(), isWhole: flags === 1 }
  },
}

const transfer: Fields<MessageOf<'transfer'>> = {
  flagsMask: 0,
  termMin: 1,
  write: () => {},
  read: (_input, term) => ({ kind: 'transfer', term }),
}

const read: Fields<MessageOf<'read'>> = {
  flagsMask: 0,
  termMin: 1,
  write: ({ head }, { id }) => head.u64(id),
  read: ({ head }, term) => ({ kind: 'read', term, id: head.u64() }),
}

const readReply: Fields<MessageOf<'read-reply'>> = {
  flagsMask: 0,
  termMin: 1,
  write: ({ head }, { id, mark }) => {
    head.u64(id)
    head.u64(mark)
  },
  read: ({ head }, term) => {
    const id = head.u64()
    return { kind: 'read-reply', term, id, mark: head.mark() }
  },
}

const FIELDS: Readonly<Record<Message['kind'], Fields<never>>> = {
  'pre-vote': voteRequest('pre-vote'),
  vote: voteRequest('vote'),
  'pre-vote-reply': voteReply('pre-vote-reply'),
  'vote-reply': voteReply('vote-reply'),
  append,
  'append-reply': appendReply,
  heartbeat,
  'heartbeat-reply': heartbeatReply,
  snapshot,
  transfer,
  read,
  'read-reply': readReply,
  repair,
  'repair-reply': repairReply,
}

export function writeMessage(out: BodyWriter, message: Message): void {
  const { kind, term } = message
  const fields = FIELDS[kind]
  out.head.u8(NUMBERS[kind])
  out.head.u8(fields.flags?.(message as never) ?? 0)
  out.head.u32(term)
  fields.write(out, message as never)
}

/** Throws WireError for what no core sends. */
export function readMessage(input: BodyReader): Message {
  const { head } = input
  const number = head.u8()
  const flags = head.u8()
  const term = head.u32()
  const kind = KINDS[number - 1]
  if (kind === undefined) garbage(`a message of kind ${number}`)
  const { flagsMask, termMin, read } = FIELDS[kind]
  if ((flags & ~flagsMask) !== 0) garbage(`the flags ${flags} of a message of kind ${number}`)
  if (term < termMin) garbage(`a message of kind ${number} and term ${term}`)
  return read(input, term, flags)
}
