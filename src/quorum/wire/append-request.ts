import { OFFSET_MAX } from '../../base/index.ts'
import type { Acks, ReplicaId } from '../core/index.ts'
import type { BatchEntry } from './batches.ts'
import { garbage } from './byte-reader.ts'
import { BodyReader, BodyWriter } from './frame-body.ts'
import type { Receipt } from './own-entries.ts'

// What a member asks the leader of a log to append, and what comes of it. docs/format.md has the layout.

/** Appends of one member that were gathered: one batch in the log. */
export interface AppendGroup extends Receipt {
  /** Counts up with every leader that is asked, and when one has refused. */
  readonly stream: number
  /** Which of its stream it is, from 0. A leader takes them in this order or not at all. */
  readonly place: number
  /** What was committed when it was asked for first: the group is not below. */
  readonly since: number
  /** False: nobody has been asked before, or whoever was has refused it. */
  readonly isRepeated: boolean
  readonly acks: Acks
  readonly entries: readonly BatchEntry[]
}

export type AppendOutcome =
  /** With the term of its batch, if the batch is committed and was appended in the term that is. */
  | { readonly kind: 'done'; readonly start: number; readonly term?: number }
  /** It was not taken. */
  | { readonly kind: 'refused'; readonly leader: ReplicaId }
  /** It was taken, or may have been, and nobody knows what becomes of it. */
  | { readonly kind: 'lost' }
  /** It may be in the log since longer than anyone here remembers. */
  | { readonly kind: 'uncertain' }

const ACKS: readonly Acks[] = ['quorum', 'leader', 'none']
const OUTCOMES = ['done', 'refused', 'lost', 'uncertain'] as const
/** Beside the entries. */
const HEAD_BYTES = 64

interface Bytes {
  readonly head: Buffer
  readonly data: readonly Uint8Array[]
}

interface Body {
  readonly head: Buffer
  readonly data: Buffer
}

export function encodeAppendRequest(log: number, group: AppendGroup): Bytes {
  const out = new BodyWriter(HEAD_BYTES + 19 * group.entries.length)
  const { head } = out
  head.u48(log)
  head.u48(group.session)
  head.u48(group.request)
  head.u32(group.stream)
  head.u32(group.place)
  head.u64(group.since)
  head.u8(group.isRepeated ? 1 : 0)
  head.u8(ACKS.indexOf(group.acks))
  out.entries(group.entries)
  return { head: head.done(), data: out.data }
}

/** Throws WireError for what {@link encodeAppendRequest} cannot have made. */
export function decodeAppendRequest(body: Body): { log: number; group: AppendGroup } {
  const from = new BodyReader(body)
  const { head } = from
  const log = head.u48()
  const session = head.u48()
  const request = head.u48()
  const stream = head.u32()
  const place = head.u32()
  const since = head.mark()
  const repeated = head.u8()
  const acks = ACKS[head.u8()] ?? garbage('acks that nobody knows')
  if (repeated > 1) garbage(`a flag of ${repeated}`)
  const entries = from.entries()
  from.end()
  if (entries.length === 0) garbage('an append without entries')
  if (entries.some(({ type }) => type > 1 && type < 128))
    garbage('an append of a type of the system')
  const isRepeated = repeated === 1
  return { log, group: { session, request, stream, place, since, isRepeated, acks, entries } }
}

export function encodeAppendOutcome(outcome: AppendOutcome): Bytes {
  const out = new BodyWriter(16)
  out.head.u8(OUTCOMES.indexOf(outcome.kind))
  if (outcome.kind === 'done') {
    out.head.u64(outcome.start)
    out.head.u32(outcome.term ?? 0)
  }
  if (outcome.kind === 'refused') out.head.u32(outcome.leader)
  return { head: out.head.done(), data: [] }
}

/** Throws WireError for what {@link encodeAppendOutcome} cannot have made. */
export function decodeAppendOutcome(body: Body): AppendOutcome {
  const from = new BodyReader(body)
  const kind = OUTCOMES[from.head.u8()] ?? garbage('an outcome that nobody knows')
  const outcome = readOutcome(from, kind)
  from.end()
  return outcome
}

function readOutcome({ head }: BodyReader, kind: AppendOutcome['kind']): AppendOutcome {
  if (kind === 'done') {
    const start = head.u64()
    const term = head.u32()
    if (start > OFFSET_MAX) garbage(`the offset ${start}`)
    return { kind, start, ...(term > 0 && { term }) }
  }
  return kind === 'refused' ? { kind, leader: head.u32() } : { kind }
}
