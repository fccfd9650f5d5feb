// Messages as cores send them, drawn from a seed.
import type { Draws } from 'tidemark/testing'
import type { Batch, Members, Message, Point } from '#dist/quorum/core/index.js'
import {
  type BatchEntry,
  batchOf,
  encodeMembers,
  type LogMessage,
} from '#dist/quorum/wire/index.js'

const MARK_MAX = 2 ** 50

export const MESSAGE_KINDS: readonly Message['kind'][] = [
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

export function drawItem(draws: Draws): LogMessage {
  return { log: draws.integer(0, 2 ** 48 - 1), message: drawMessage(draws) }
}

export function drawMessage(draws: Draws, kind = draws.pick(MESSAGE_KINDS)): Message {
  const term = draws.integer(1, draws.pick([3, 2 ** 32 - 1]))
  const mark = () => draws.integer(0, draws.pick([9, 2 ** 31, MARK_MAX]))
  const point = (): Point => ({ term: draws.integer(0, term), mark: mark() })
  const session = draws.integer(0, 2 ** 48 - 1)
  const low = mark()
  switch (kind) {
    case 'pre-vote':
    case 'vote':
      return { kind, term, last: point(), transfer: draws.chance(0.5) }
    case 'pre-vote-reply':
    case 'vote-reply':
      return { kind, term, granted: draws.chance(0.5) }
    case 'append': {
      const prev = point()
      const batches = drawBatches(draws, prev, term)
      return { kind, term, session, prev, batches, commit: mark(), low }
    }
    case 'append-reply': {
      const [matched, damaged] = [draws.chance(0.5), draws.chance(0.5)]
      return { kind, term, session, matched, mark: mark(), hint: point(), damaged }
    }
    case 'heartbeat':
      return { kind, term, commit: mark(), round: session, low }
    case 'heartbeat-reply':
      return { kind, term, round: session, isWhole: draws.chance(0.5) }
    case 'snapshot': {
      const at = { term: draws.integer(0, term), mark: low + draws.integer(0, 9) }
      const configuration = { point: { term: at.term, mark: low }, members: drawMembers(draws) }
      return { kind, term, session, point: at, configuration, low }
    }
    case 'transfer':
      return { kind, term }
    case 'read':
      return { kind, term, id: draws.integer(0, Number.MAX_SAFE_INTEGER) }
    case 'read-reply':
      return { kind, term, id: draws.integer(0, Number.MAX_SAFE_INTEGER), mark: mark() }
    case 'repair': {
      const to = low + draws.integer(1, 2 ** 20)
      return { kind, term, from: low, to, last: draws.integer(0, term) }
    }
    case 'repair-reply':
      return { kind, term, from: low, batches: drawBatches(draws, { term: 1, mark: low }, term) }
  }
}

function drawMembers(draws: Draws): Members {
  const ids = () => [...new Set([draws.integer(1, 5), draws.integer(6, 2 ** 32 - 1)])]
  const outgoing = draws.chance(0.5) ? ids() : []
  return { voters: ids(), outgoing, learners: [] }
}

function drawBatches(draws: Draws, { term: first, mark }: Point, termMax: number): Batch[] {
  const batches: Batch[] = []
  let term = Math.max(1, first)
  let offset = mark
  for (let i = draws.integer(0, 3); i > 0; i--) {
    term = draws.integer(term, termMax)
    const entries = drawEntries(draws)
    const stored = entries.map((entry, at) => {
      const { data, dataCrc = 0 } = entry
      const more = at < entries.length - 1
      const here = offset
      offset += entry.count
      return { ...entry, data: data as Buffer, dataCrc, term, offset: here, more }
    })
    batches.push({ ...batchOf(stored), payload: entries })
  }
  return batches
}

function drawEntries(draws: Draws): BatchEntry[] {
  const timestamp = draws.integer(0, 2 ** 48 - 1)
  if (draws.chance(0.1)) return [{ type: 2, timestamp, count: 1, data: Buffer.alloc(0) }]
  if (draws.chance(0.1)) {
    return [{ type: 3, timestamp, count: 1, data: encodeMembers(drawMembers(draws)) }]
  }
  return Array.from({ length: draws.integer(1, 3) }, () => {
    const data = Buffer.alloc(draws.integer(0, draws.pick([3, 40, 2000])), draws.integer(1, 255))
    const count = draws.integer(1, draws.pick([1, 9, 2 ** 30]))
    return { type: draws.integer(4, 255), timestamp, count, data }
  })
}
