import { TidemarkError } from '../../base/index.ts'
import type { Append, Configuration, Members, MessageOf, Point } from '../core/index.ts'
import { readBatches, writeBatches } from './batch-list.ts'
import { type ByteReader, garbage } from './byte-reader.ts'
import { type Fields, readPoint, writePoint } from './fields.ts'
import { decodeMembers, encodeMembers } from './own-entries.ts'

// The kinds of messages that carry parts of a log, or speak of them.

export const append: Fields<Append> = {
  flagsMask: 0,
  termMin: 1,
  write: (out, { session, prev, batches, commit, low }) => {
    out.head.u48(session)
    writePoint(out.head, prev)
    out.head.u64(commit)
    out.head.u64(low)
    writeBatches(out, batches)
  },
  read: (input, term) => {
    const { head } = input
    const session = head.u48()
    const prev = readPoint(head, term)
    const commit = head.mark()
    const low = head.mark()
    const batches = readBatches(input, prev, term)
    return { kind: 'append', term, session, prev, batches, commit, low }
  },
}

export const appendReply: Fields<MessageOf<'append-reply'>> = {
  flags: ({ matched, damaged }) => (matched ? 1 : 0) + (damaged ? 2 : 0),
  flagsMask: 3,
  termMin: 1,
  write: ({ head }, { session, mark, hint }) => {
    head.u48(session)
    head.u64(mark)
    writePoint(head, hint)
  },
  read: ({ head }, term, flags) => {
    const session = head.u48()
    const mark = head.mark()
    const hint = readPoint(head, term)
    const matched = (flags & 1) !== 0
    const damaged = (flags & 2) !== 0
    return { kind: 'append-reply', term, session, matched, mark, hint, damaged }
  },
}

export const snapshot: Fields<MessageOf<'snapshot'>> = {
  flagsMask: 0,
  termMin: 1,
  write: ({ head }, { session, point, configuration, low }) => {
    head.u48(session)
    writePoint(head, point)
    head.u64(low)
    writePoint(head, configuration.point)
    head.sized(encodeMembers(configuration.members))
  },
  read: ({ head }, term) => {
    const session = head.u48()
    const point = readPoint(head, term)
    const low = head.mark()
    const configuration = readConfiguration(head, point, term)
    if (low > point.mark) garbage(`a log that begins at ${point.mark}, and one from ${low} on`)
    return { kind: 'snapshot', term, session, point, configuration, low }
  },
}

/** What is in force where a log begins. Nobody may be a member there yet. */
function readConfiguration(head: ByteReader, at: Point, term: number): Configuration {
  const point = readPoint(head, term)
  if (point.mark > at.mark) garbage(`members from ${point.mark} on are in force at ${at.mark}`)
  return { point, members: readMembers(head.sized()) }
}

function readMembers(bytes: Buffer): Members {
  try {
    return decodeMembers(bytes)
  } catch (error) {
    if (error instanceof TidemarkError) garbage(error.message)
    throw error
  }
}

export const repair: Fields<MessageOf<'repair'>> = {
  flagsMask: 0,
  termMin: 0,
  write: ({ head }, { from, to, last }) => {
    head.u64(from)
    head.u64(to)
    head.u32(last)
  },
  read: ({ head }, term) => {
    const from = head.mark()
    const to = head.mark()
    const last = head.u32()
    // Who has the end of a hole looks for a batch at its start.
    if (from >= to || last > term) garbage(`a hole from ${from} to ${to} of term ${last}`)
    return { kind: 'repair', term, from, to, last }
  },
}

export const repairReply: Fields<MessageOf<'repair-reply'>> = {
  flagsMask: 0,
  termMin: 0,
  write: (out, { from, batches }) => {
    out.head.u64(from)
    writeBatches(out, batches)
  },
  read: (input, term) => {
    const from = input.head.mark()
    const batches = readBatches(input, { term: 0, mark: from }, term)
    return { kind: 'repair-reply', term, from, batches }
  },
}
