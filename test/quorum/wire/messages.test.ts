import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Draws } from 'tidemark/testing'
import { type Batch, type Message, membersOf } from '#dist/quorum/core/index.js'
import {
  decodeMessages,
  encodeMembers,
  encodeMessages,
  type LogMessage,
  WireError,
} from '#dist/quorum/wire/index.js'
import { ArrayReplica, TUNING } from '../array-replica.ts'
import { seededCases } from '../seeded-cases.ts'
import { drawItem, drawMessage, MESSAGE_KINDS } from './random-messages.ts'

/** Version, count and log, as in all of docs/format.md's examples. */
const START = '01000000' + '01000000' + '070000000000'
const POINT = { term: 2, mark: 9 }
const POINT_HEX = '02000000' + '0900000000000000'
const ENTRY = {
  type: 128,
  timestamp: 1000,
  count: 2,
  data: Buffer.from('tide'),
  dataCrc: 0xbe56230c,
}
const BATCH: Batch = { term: 3, start: 9, end: 11, bytes: 44, kind: 'data', payload: [ENTRY] }
const BATCHES_HEX = [
  '01000000' + '03000000' + '0900000000000000' + '0b00000000000000',
  '01000000' + '80' + 'e80300000000' + '02000000' + '04000000' + '0c2356be',
].join('')
const MEMBERS = membersOf([1, 2, 3])

/** Kind, flags, term, and what is its own. */
const GOLDEN: readonly (readonly [Message, string])[] = [
  [{ kind: 'pre-vote', term: 3, last: POINT, transfer: false }, `010003000000${POINT_HEX}`],
  [{ kind: 'vote', term: 3, last: POINT, transfer: true }, `020103000000${POINT_HEX}`],
  [{ kind: 'pre-vote-reply', term: 3, granted: true }, '030103000000'],
  [{ kind: 'vote-reply', term: 3, granted: false }, '040003000000'],
  [
    { kind: 'append', term: 3, session: 4, prev: POINT, batches: [BATCH], commit: 8, low: 5 },
    `050003000000${'040000000000'}${POINT_HEX}${'0800000000000000'}${'0500000000000000'}${BATCHES_HEX}`,
  ],
  [
    {
      kind: 'append-reply',
      term: 3,
      session: 4,
      matched: false,
      mark: 8,
      hint: POINT,
      damaged: true,
    },
    `060203000000${'040000000000'}${'0800000000000000'}${POINT_HEX}`,
  ],
  [
    { kind: 'heartbeat', term: 3, commit: 8, round: 6, low: 5 },
    `070003000000${'0800000000000000'}${'060000000000'}${'0500000000000000'}`,
  ],
  [{ kind: 'heartbeat-reply', term: 3, round: 6, isWhole: true }, `080103000000${'060000000000'}`],
  [
    {
      kind: 'snapshot',
      term: 3,
      session: 4,
      point: POINT,
      configuration: { point: { term: 1, mark: 4 }, members: MEMBERS },
      low: 9,
    },
    `090003000000${'040000000000'}${POINT_HEX}${'0900000000000000'}${'01000000'}${'0400000000000000'}${'14000000'}${encodeMembers(MEMBERS).toString('hex')}`,
  ],
  [{ kind: 'transfer', term: 3 }, '0a0003000000'],
  [{ kind: 'read', term: 3, id: 2 ** 50 + 1 }, `0b0003000000${'0100000000000400'}`],
  [
    { kind: 'read-reply', term: 3, id: 1, mark: 9 },
    `0c0003000000${'0100000000000000'}${'0900000000000000'}`,
  ],
  [
    { kind: 'repair', term: 3, from: 9, to: 11, last: 3 },
    `0d0003000000${'0900000000000000'}${'0b00000000000000'}${'03000000'}`,
  ],
  [
    { kind: 'repair-reply', term: 3, from: 9, batches: [BATCH] },
    `0e0003000000${'0900000000000000'}${BATCHES_HEX}`,
  ],
]

function encoded(items: readonly LogMessage[]): { head: Buffer; data: Buffer } {
  const { head, data } = encodeMessages(items)
  return { head: Buffer.from(head), data: Buffer.concat(data) }
}

/** A replica that knows nothing yet takes whatever comes in the right form. */
function take(items: readonly LogMessage[], draws: Draws): void {
  for (const { message } of items) {
    const replica = new ArrayReplica(1, [1, 2, 3], TUNING, draws)
    replica.start()
    replica.step({ kind: 'message', from: 2, message })
  }
}

/** Sound messages of another content, or WireError. */
function takeOrRefuse(head: Buffer, data: Buffer, draws: Draws): void {
  let items: LogMessage[]
  try {
    items = decodeMessages(head, data)
  } catch (error) {
    assert(error instanceof WireError, String((error as Error).stack))
    return
  }
  take(items, draws)
  const again = encoded(items)
  assert.deepEqual(again, { head, data }, 'there is one way to write it')
}

describe('messages as bytes', () => {
  for (const [message, hex] of GOLDEN) {
    it(`are the same byte for byte: ${message.kind}`, () => {
      const items = [{ log: 7, message }]
      const { head, data } = encoded(items)
      assert.equal(head.toString('hex'), START + hex)
      assert.equal(data.toString(), 'batches' in message ? 'tide' : '')
      assert.deepEqual(decodeMessages(head, data), items)
    })
  }

  it('are all kinds that there are', () => {
    assert.deepEqual(
      GOLDEN.map(([{ kind }]) => kind),
      MESSAGE_KINDS,
    )
  })

  it('come back as they were', (t) => {
    seededCases(t, 3000, (draws) => {
      const items = Array.from({ length: draws.integer(0, 20) }, () => drawItem(draws))
      const { head, data } = encoded(items)
      const decoded = decodeMessages(head, data)
      assert.deepEqual(decoded, items)
      take(decoded, draws)
    })
  })

  it('are refused when they end at any other byte', () => {
    for (const [message] of GOLDEN) {
      const { head, data } = encoded([{ log: 7, message }])
      for (let end = 0; end < head.length; end++) {
        assert.throws(() => decodeMessages(head.subarray(0, end), data), WireError)
      }
      for (let end = 0; end < data.length; end++) {
        assert.throws(() => decodeMessages(head, data.subarray(0, end)), WireError)
      }
      const more = Buffer.alloc(1)
      assert.throws(() => decodeMessages(Buffer.concat([head, more]), data), WireError)
      assert.throws(() => decodeMessages(head, Buffer.concat([data, more])), WireError)
    }
  })

  it('with bits turned are others that can be, or refused', (t) => {
    seededCases(t, 20_000, (draws) => {
      const { head, data } = encoded([{ log: 7, message: drawMessage(draws) }])
      for (let i = draws.integer(1, 3); i > 0; i--) {
        head[draws.integer(0, head.length - 1)]! ^= 1 << draws.integer(0, 7)
      }
      takeOrRefuse(head, data, draws)
    })
  })

  it('that are any bytes are refused', (t) => {
    seededCases(t, 20_000, (draws) => {
      const head = Buffer.from(
        Array.from({ length: draws.integer(0, 90) }, () => draws.integer(0, 255)),
      )
      // As far as the kind they are taken.
      if (draws.chance(0.8)) {
        const kind = Buffer.from([draws.integer(1, 14), draws.integer(0, 3)])
        takeOrRefuse(Buffer.concat([Buffer.from(START, 'hex'), kind, head]), head, draws)
      } else takeOrRefuse(head, head, draws)
    })
  })

  it('with one bit of data turned are refused for their checksum', (t) => {
    seededCases(t, 1000, (draws) => {
      const { head, data } = encoded([{ log: 7, message: drawMessage(draws, 'append') }])
      if (data.length === 0) return
      data[draws.integer(0, data.length - 1)]! ^= 1 << draws.integer(0, 7)
      assert.throws(() => decodeMessages(head, data), { name: 'WireError', reason: 'checksum' })
    })
  })
})

describe('messages that no core sends', () => {
  const append = { kind: 'append', term: 3, session: 4, prev: POINT, commit: 8, low: 5 } as const
  const withEntries = (...payload: object[]): Message => {
    const end = payload.length === 0 ? 10 : 9 + payload.length
    return { ...append, batches: [{ ...BATCH, end, payload }] }
  }
  const own = { ...ENTRY, count: 1, data: Buffer.alloc(0), dataCrc: 0 }
  const members = (hex: string) => {
    const { dataCrc: _, ...entry } = own
    return withEntries({ ...entry, type: 3, data: Buffer.from(hex, 'hex') })
  }
  const CASES: Readonly<Record<string, Message>> = {
    'a term that nobody leads': { ...append, term: 0, prev: { term: 0, mark: 9 }, batches: [] },
    'a place of a later term': { ...append, prev: { term: 4, mark: 9 }, batches: [] },
    'a batch of a later term': { ...append, batches: [{ ...BATCH, term: 4 }] },
    'a batch of an earlier term than what is before': {
      ...append,
      batches: [{ ...BATCH, term: 1 }],
    },
    'a batch at another place': { ...append, prev: { term: 2, mark: 8 }, batches: [BATCH] },
    'a batch after a gap': { ...append, batches: [BATCH, { ...BATCH, start: 12, end: 14 }] },
    'a batch whose entries take another number of offsets': {
      ...append,
      batches: [{ ...BATCH, end: 12 }],
    },
    'a batch without entries': withEntries(),
    'an entry that takes no offset': withEntries({ ...own, count: 0 }, { ...own, count: 2 }),
    'an entry of no type': withEntries({ ...own, type: 0 }),
    'a leader’s first entry among others': withEntries({ ...own, type: 2 }, own),
    'a change of members among others': withEntries(own, { ...own, type: 3 }),
    'a leader’s first entry with data': withEntries({ ...ENTRY, count: 1, type: 2 }),
    'members that are none': members('00'),
    'members without a voter': members('0100000000000000'),
    'a member 0': members('010001000000000000000000'),
    'members out of order': members('01000200000000000200000001000000'),
    'a voter that is a learner too': members('01000100000001000100000001000000'),
    'a hole without anything in it': { kind: 'repair', term: 3, from: 9, to: 9, last: 3 },
    'members from behind where the log begins': {
      kind: 'snapshot',
      term: 3,
      session: 1,
      point: POINT,
      configuration: { point: { term: 2, mark: 10 }, members: MEMBERS },
      low: 9,
    },
  }
  for (const [name, message] of Object.entries(CASES)) {
    it(`are refused: ${name}`, () => {
      const { head, data } = encoded([{ log: 7, message }])
      assert.throws(() => decodeMessages(head, data), { name: 'WireError', reason: 'garbage' })
    })
  }

  it('are refused: another version', () => {
    const { head, data } = encoded([])
    head[0] = 2
    assert.throws(() => decodeMessages(head, data), { name: 'WireError', reason: 'version' })
  })

  it('are refused before memory is taken for what they claim', () => {
    const head = Buffer.from('01000000ffffffff', 'hex')
    assert.throws(() => decodeMessages(head, Buffer.alloc(0)), { reason: 'garbage' })
  })
})

describe('the limits of fields', () => {
  const marks = { commit: Number.MAX_SAFE_INTEGER - 1, low: 0 }
  it('are those of terms, marks, rounds, logs and reads', () => {
    const items: LogMessage[] = [
      {
        log: 2 ** 48 - 1,
        message: { kind: 'heartbeat', term: 2 ** 32 - 1, round: 2 ** 48 - 1, ...marks },
      },
      { log: 0, message: { kind: 'read', term: 1, id: Number.MAX_SAFE_INTEGER } },
    ]
    const { head, data } = encoded(items)
    assert.deepEqual(decodeMessages(head, data), items)
  })

  it('are kept by who writes', () => {
    const beat = { kind: 'heartbeat', term: 1, round: 1, ...marks } as const
    for (const message of [
      { ...beat, term: 2 ** 32 },
      { ...beat, round: 2 ** 48 },
      { ...beat, low: -1 },
      { ...beat, low: 2 ** 53 },
      { ...beat, low: 0.5 },
    ]) {
      assert.throws(() => encodeMessages([{ log: 1, message }]), { name: 'InvariantError' })
    }
  })

  it('make one checksum for an entry, however often it is sent', () => {
    const entry: { dataCrc?: number } = { ...ENTRY }
    delete entry.dataCrc
    const message: Message = {
      kind: 'repair-reply',
      term: 3,
      from: 9,
      batches: [{ ...BATCH, payload: [entry] }],
    }
    const first = encoded([{ log: 1, message }])
    assert.equal(entry.dataCrc, ENTRY.dataCrc)
    assert.deepEqual(encoded([{ log: 1, message }]), first)
    delete entry.dataCrc
    Object.freeze(entry)
    assert.deepEqual(encoded([{ log: 1, message }]), first)
  })
})
