import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Draws, seededRandom } from 'tidemark/testing'
import * as wire from '#dist/quorum/wire/index.js'

const SEED = Number(process.env.TIDEMARK_SEED ?? 1)

interface Bytes {
  readonly head: Buffer
  readonly data: readonly Uint8Array[]
}

const GROUP: wire.AppendGroup = {
  session: 7,
  request: 8,
  stream: 2,
  place: 3,
  since: 40,
  isRepeated: true,
  acks: 'leader',
  entries: [{ type: 128, timestamp: 5, count: 1, data: Buffer.from('hi') }],
}

function arrived({ head, data }: Bytes) {
  return { head: Buffer.from(head), data: Buffer.concat(data) }
}

/** Each request and answer with a value of it and how it is read. */
type Case = readonly [name: string, bytes: Bytes, decode: (body: never) => unknown, of: unknown]

const CASES: readonly Case[] = [
  [
    'an append',
    wire.encodeAppendRequest(9, GROUP),
    wire.decodeAppendRequest,
    { log: 9, group: GROUP },
  ],
  ...(
    [
      { kind: 'done', start: 2 ** 40 },
      { kind: 'done', start: 2 ** 40, term: 7 },
      { kind: 'refused', leader: 3 },
      { kind: 'lost' },
      { kind: 'uncertain' },
    ] as const
  ).map((outcome) => {
    const bytes = wire.encodeAppendOutcome(outcome)
    return [outcome.kind, bytes, wire.decodeAppendOutcome, outcome] as const
  }),
  ['a place', wire.encodeLogPlace({ log: 9, mark: 7 }), wire.decodeLogPlace, { log: 9, mark: 7 }],
  ['a mark', wire.encodeMark(7), wire.decodeMark, 7],
  ['no mark', wire.encodeMark(undefined), wire.decodeMark, undefined],
  ['offsets', wire.encodeOffsets([1, 2 ** 40]), wire.decodeOffsets, [1, 2 ** 40]],
  [
    'a request of a part',
    wire.encodeSnapshotPartRequest({ log: 9, mark: 7, reading: 5, part: 6 }),
    wire.decodeSnapshotPartRequest,
    { log: 9, mark: 7, reading: 5, part: 6 },
  ],
  [
    'a part',
    wire.encodeSnapshotPart({ bytes: Buffer.from('hi'), isLast: true }),
    wire.decodeSnapshotPart,
    { bytes: Buffer.from('hi'), isLast: true },
  ],
  ['no part', wire.encodeSnapshotPart(undefined), wire.decodeSnapshotPart, undefined],
]

describe('requests between members', () => {
  for (const [name, bytes, decode, value] of CASES) {
    it(`${name}: comes back as it was`, () => {
      assert.deepEqual(decode(arrived(bytes) as never), value)
    })

    it(`${name}: nothing but WireError for what it cannot be`, () => {
      const draws = new Draws(seededRandom(SEED))
      for (let i = 0; i < 2_000; i++) {
        const body = arrived(bytes)
        for (let n = draws.integer(1, 3); n > 0; n--) {
          body.head[draws.integer(0, body.head.length - 1)] = draws.integer(0, 255)
        }
        const head = body.head.subarray(0, draws.integer(0, body.head.length))
        try {
          decode({ head: draws.chance(0.5) ? head : body.head, data: body.data } as never)
        } catch (error) {
          assert(error instanceof wire.WireError, String((error as Error).stack))
        }
      }
    })

    it(`${name}: is refused with one byte more or less`, () => {
      const { head, data } = arrived(bytes)
      const more = Buffer.concat([head, Buffer.alloc(1)])
      assert.throws(() => decode({ head: more, data } as never), wire.WireError)
      assert.throws(() => decode({ head: head.subarray(0, -1), data } as never), wire.WireError)
    })
  }

  it('are the same byte for byte', () => {
    const [, append] = CASES[0]!
    assert.equal(Buffer.concat(append.data).toString(), 'hi')
    const place =
      '090000000000' +
      '070000000000' +
      '080000000000' +
      '02000000' +
      '03000000' +
      '2800000000000000'
    assert.equal(append.head.toString('hex').slice(0, 72), `${place}0101`.slice(0, 72))
    const hex = CASES.slice(1).map(([, { head }]) => head.toString('hex'))
    assert.deepEqual(hex, [
      '00000000000001000000000000',
      '00000000000001000007000000',
      '0103000000',
      '02',
      '03',
      '0900000000000700000000000000',
      '010700000000000000',
      '000000000000000000',
      '0200000001000000000000000000000000010000',
      '090000000000' + '0700000000000000' + '0500000006000000',
      '02020000006869',
      '0000000000',
    ])
  })

  it('an append without entries, or of a type of the system, is none', () => {
    const decode = (group: wire.AppendGroup) =>
      wire.decodeAppendRequest(arrived(wire.encodeAppendRequest(9, group)))
    assert.throws(() => decode({ ...GROUP, entries: [] }), wire.WireError)
    for (const type of [2, 3, 4, 127]) {
      const entries = [{ ...GROUP.entries[0]!, type }]
      assert.throws(() => decode({ ...GROUP, entries }), wire.WireError)
    }
  })
})
