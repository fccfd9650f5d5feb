import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  checkLogHistory,
  type LogAppend,
  type LogHistory,
  type LogHistoryOptions,
  type LogRead,
  type LogRule,
  seededRandom,
} from 'tidemark/testing'

const SEED = Number(process.env.TIDEMARK_SEED ?? 20_261_121)

type Span = readonly [call: number, end: number]

/** An append that was acknowledged at these offsets, one for each value unless `last` is given. */
function ok([call, end]: Span, values: string, first: number, last?: number): LogAppend {
  const list = values.split(' ')
  const outcome = { kind: 'ok', first, last: last ?? first + list.length - 1 } as const
  return { client: 'w', values: list, outcome, call, return: end }
}

function not(kind: 'failed' | 'unknown', [call, end]: Span, values: string): LogAppend {
  return { client: 'w', values: values.split(' '), outcome: { kind }, call, return: end }
}

/** A read of `entries` such as `0a 1b`; its mark is the offset after the last unless it is given. */
function read([call, end]: Span, entries: string, more: Partial<LogRead> = {}): LogRead {
  const list = entries.split(' ').filter(Boolean)
  const pairs = list.map(
    (entry) => [Number.parseInt(entry, 10), entry.replace(/^\d+/, '')] as const,
  )
  const first = pairs[0]?.[0] ?? 0
  const mark = (pairs.at(-1)?.[0] ?? -1) + 1
  const base = { client: 'r', from: first, entries: pairs, highWaterMark: mark }
  return { ...base, call, return: end, linearizable: false, ...more }
}

function rulesOf(
  appends: readonly LogAppend[],
  reads: readonly LogRead[],
  options?: LogHistoryOptions,
): LogRule[] {
  return checkLogHistory({ appends, reads }, options).map(({ rule }) => rule)
}

interface Example {
  readonly name: string
  readonly appends: readonly LogAppend[]
  readonly reads: readonly LogRead[]
  readonly options?: LogHistoryOptions
}

const FINAL = { final: true, from: 0, client: 'f', linearizable: true }
const WHOLE = { wholeBatches: true }

describe('checkLogHistory accepts', () => {
  const right: Example[] = [
    { name: 'nothing', appends: [], reads: [] },
    {
      name: 'a log in order',
      appends: [ok([0, 1], 'a', 0), ok([2, 3], 'b', 1)],
      reads: [read([4, 5], '0a 1b', FINAL)],
    },
    {
      name: 'offsets against the order of calls, where appends overlap or touch',
      appends: [ok([0, 5], 'a', 1), ok([5, 6], 'b', 0)],
      reads: [read([7, 8], '0b 1a')],
    },
    {
      name: 'gaps between offsets',
      appends: [ok([0, 1], 'a', 3), ok([2, 3], 'b', 7)],
      reads: [read([4, 5], '3a 7b', FINAL)],
    },
    {
      name: 'unknown appends that happened, late, or not at all',
      appends: [not('unknown', [0, 1], 'a'), not('unknown', [0, 1], 'x'), ok([2, 3], 'b', 0)],
      reads: [read([4, 5], '0b', { linearizable: true }), read([6, 7], '0b 1a', FINAL)],
    },
    {
      name: 'a failed append that is not there',
      appends: [not('failed', [0, 1], 'a'), ok([2, 3], 'b', 0)],
      reads: [read([4, 5], '0b', FINAL)],
    },
    {
      name: 'a read that sees an append before its acknowledgement',
      appends: [ok([0, 9], 'a', 0)],
      reads: [read([1, 2], '0a')],
    },
    {
      name: 'a read that is old, but need not be new',
      appends: [ok([0, 1], 'a', 0)],
      reads: [read([2, 3], '')],
    },
    {
      name: 'a linearizable read that overlaps or touches the append',
      appends: [ok([0, 5], 'a', 0)],
      reads: [read([5, 6], '', { linearizable: true })],
    },
    {
      name: 'clients that are ahead of each other',
      appends: [ok([0, 1], 'a', 0)],
      reads: [read([2, 3], '0a', { client: 1 }), read([4, 5], '', { client: 2 })],
    },
    {
      name: 'overlapping reads of one client',
      appends: [ok([0, 1], 'a', 0)],
      reads: [read([2, 5], '0a'), read([5, 6], '')],
    },
    {
      name: 'final reads in pages, from where the log was trimmed',
      appends: [ok([0, 1], 'a b c d', 0)],
      reads: [
        read([2, 3], '1b 2c', { ...FINAL, from: 1, highWaterMark: 4 }),
        read([4, 5], '3d', { ...FINAL, from: 3 }),
      ],
      options: WHOLE,
    },
    {
      name: 'what was acknowledged behind the mark of the final reads',
      appends: [ok([0, 9], 'a', 0)],
      reads: [read([1, 2], '', FINAL)],
    },
    {
      name: 'a batch in part, if nothing else was promised',
      appends: [not('unknown', [0, 1], 'a b')],
      reads: [read([2, 3], '0a', FINAL)],
    },
    {
      name: 'a batch of which the begin was trimmed',
      appends: [not('unknown', [0, 1], 'a b')],
      reads: [read([2, 3], '1b', { ...FINAL, from: 1 })],
      options: WHOLE,
    },
    {
      name: 'a batch of which the end is not committed yet',
      appends: [not('unknown', [0, 1], 'a b')],
      reads: [read([2, 3], '0a', { final: true, highWaterMark: 1 })],
      options: WHOLE,
    },
  ]
  for (const { name, appends, reads, options } of right) {
    it(name, () => assert.deepEqual(checkLogHistory({ appends, reads }, options), []))
  }
})

describe('checkLogHistory finds by exactly one rule', () => {
  const wrong: (Example & { readonly rule: LogRule })[] = [
    {
      rule: 'one-value',
      name: 'an offset that two readers see with two values',
      appends: [not('unknown', [0, 1], 'a'), not('unknown', [0, 1], 'b')],
      reads: [read([2, 3], '0a'), read([2, 3], '0b')],
    },
    {
      rule: 'one-value',
      name: 'an offset that two appends were given',
      appends: [ok([0, 9], 'a', 0), ok([0, 9], 'b', 0)],
      reads: [],
    },
    {
      rule: 'duplicate',
      name: 'a value that is there twice',
      appends: [ok([0, 1], 'a', 0)],
      reads: [read([2, 3], '0a 1a')],
    },
    {
      rule: 'duplicate',
      name: 'a value that is not where its acknowledgement said',
      appends: [ok([0, 9], 'a', 4)],
      reads: [read([2, 3], '5a')],
    },
    {
      rule: 'phantom',
      name: 'a value that nobody appended',
      appends: [],
      reads: [read([0, 1], '0a')],
    },
    {
      rule: 'phantom',
      name: 'a value of which the append has failed',
      appends: [not('failed', [0, 1], 'a')],
      reads: [read([2, 3], '0a'), read([4, 5], '0a')],
    },
    {
      rule: 'lost',
      name: 'an acknowledged value that is not there in the end',
      appends: [ok([0, 1], 'a', 0), ok([0, 1], 'b', 1)],
      reads: [read([2, 3], '0a', { ...FINAL, highWaterMark: 2 })],
    },
    {
      rule: 'lost',
      name: 'an acknowledged value that was there once',
      appends: [ok([0, 1], 'a', 0), ok([0, 1], 'b', 1)],
      reads: [read([2, 3], '0a 1b'), read([4, 5], '0a', { ...FINAL, highWaterMark: 2 })],
    },
    {
      rule: 'skip',
      name: 'a read that leaves out what another has seen',
      appends: [not('unknown', [0, 1], 'a'), ok([0, 1], 'b', 1)],
      reads: [read([2, 3], '0a 1b'), read([2, 3], '1b', { from: 0 })],
    },
    {
      rule: 'skip',
      name: 'a read that leaves out what was acknowledged, in the middle',
      appends: [ok([0, 1], 'a b c', 0)],
      reads: [read([2, 3], '0a 2c')],
    },
    {
      rule: 'disorder',
      name: 'entries that do not ascend',
      appends: [ok([0, 1], 'a b', 0)],
      reads: [read([2, 3], '1b 0a', { from: 1, highWaterMark: 2 })],
    },
    {
      rule: 'disorder',
      name: 'an entry before the one that was asked for',
      appends: [ok([0, 1], 'a b', 0)],
      reads: [read([2, 3], '0a 1b', { from: 1 })],
    },
    {
      rule: 'disorder',
      name: 'an entry that is shown twice',
      appends: [ok([0, 1], 'a', 0)],
      reads: [read([2, 3], '0a 0a')],
    },
    {
      rule: 'uncommitted',
      name: 'an entry above the mark of its read',
      appends: [ok([0, 1], 'a b', 0)],
      reads: [read([2, 3], '0a 1b', { highWaterMark: 1 })],
    },
    {
      rule: 'acknowledged',
      name: 'an acknowledgement of fewer offsets than values',
      appends: [ok([0, 1], 'a b', 0, 0)],
      reads: [read([2, 3], '0a 5b')],
    },
    {
      rule: 'acknowledged',
      name: 'an acknowledgement of more offsets than values',
      appends: [ok([0, 1], 'a b', 0, 2)],
      reads: [],
    },
    {
      rule: 'batch',
      name: 'a batch with something in between',
      appends: [not('unknown', [0, 1], 'a b'), not('unknown', [0, 1], 'x')],
      reads: [read([2, 3], '0a 1x 2b')],
      options: WHOLE,
    },
    {
      rule: 'batch',
      name: 'a batch in another order',
      appends: [not('unknown', [0, 1], 'a b')],
      reads: [read([2, 3], '0b 1a')],
      options: WHOLE,
    },
    {
      rule: 'batch',
      name: 'a batch of which the end is missing',
      appends: [not('unknown', [0, 1], 'a b')],
      reads: [read([2, 3], '0a', { ...FINAL, highWaterMark: 2 })],
      options: WHOLE,
    },
    {
      rule: 'batch',
      name: 'a batch of which the begin is missing',
      appends: [not('unknown', [0, 1], 'a b')],
      reads: [read([2, 3], '1b', FINAL)],
      options: WHOLE,
    },
    {
      rule: 'real-time',
      name: 'an append in front of one that was acknowledged before its call',
      appends: [ok([0, 1], 'a', 1), ok([2, 3], 'b', 0)],
      reads: [],
    },
    {
      rule: 'real-time',
      name: 'an unknown append that is found in front of one acknowledged before its call',
      appends: [ok([0, 1], 'a', 1), not('unknown', [2, 3], 'b')],
      reads: [read([4, 5], '0b 1a')],
    },
    {
      rule: 'real-time',
      name: 'an append below a mark that was shown before its call',
      appends: [ok([2, 3], 'b', 0)],
      reads: [read([0, 1], '', { highWaterMark: 1 })],
    },
    {
      rule: 'real-time',
      name: 'a batch that reaches in front of what was acknowledged long ago',
      appends: [ok([0, 1], 'a', 5), ok([2, 3], 'b', 6), not('unknown', [4, 5], 'x y')],
      reads: [read([6, 7], '4y 5a 6b 7x')],
    },
    {
      rule: 'real-time',
      name: 'a batch that begins in front of what was acknowledged long ago',
      appends: [ok([0, 1], 'a', 5), ok([2, 3], 'b', 6), not('unknown', [4, 5], 'x y')],
      reads: [read([6, 7], '4x 5a 6b 7y')],
    },
    {
      rule: 'stale',
      name: 'a linearizable read that does not see what was acknowledged',
      appends: [ok([0, 1], 'a b', 0)],
      reads: [read([2, 3], '0a', { linearizable: true })],
    },
    {
      rule: 'stale',
      name: 'a linearizable read below a mark that another client has seen',
      appends: [not('unknown', [0, 1], 'a')],
      reads: [
        read([2, 3], '0a', { client: 1 }),
        read([4, 5], '', { client: 2, linearizable: true }),
      ],
    },
    {
      rule: 'backwards',
      name: 'a mark that falls',
      appends: [ok([0, 1], 'a b', 0)],
      reads: [read([2, 3], '0a 1b'), read([2, 3], '0a'), read([4, 5], '0a')],
    },
  ]
  for (const { rule, name, appends, reads, options } of wrong) {
    it(`${rule}: ${name}`, () => assert.deepEqual(rulesOf(appends, reads, options), [rule]))
  }

  it('and has an example for every rule', () => {
    assert.equal(new Set(wrong.map(({ rule }) => rule)).size, 12)
  })
})

describe('the violations of checkLogHistory', () => {
  it('say who was told what, when, and by whom it is contradicted', () => {
    const violations = checkLogHistory({
      appends: [ok([0, 1], 'a', 0)],
      reads: [read([2, 3], '', { linearizable: true })],
    })
    assert.deepEqual(violations, [
      {
        rule: 'stale',
        text: 'the read of client r in [2, 3] from 0 has the mark 0, but before its call the append of client w in [0, 1] was given 0',
      },
    ])
  })

  it('are told once for each value, however many reads show them', () => {
    const reads = Array.from({ length: 5 }, () => read([0, 1], '0x 1y'))
    assert.deepEqual(rulesOf([], reads), ['phantom', 'phantom'])
  })

  it('are two where a value is read before it is appended', () => {
    const rules = rulesOf([not('unknown', [4, 5], 'a')], [read([2, 3], '0a')])
    assert.deepEqual(rules, ['phantom', 'real-time'])
  })

  it('are all told', () => {
    const appends = [ok([0, 1], 'a', 0), ok([2, 3], 'b', 0)]
    const reads = [read([4, 5], '0b 1b', { linearizable: true, highWaterMark: 0 })]
    assert.deepEqual(
      new Set(rulesOf(appends, reads)),
      new Set<LogRule>(['one-value', 'duplicate', 'uncommitted', 'real-time', 'stale']),
    )
  })
})

describe('checkLogHistory rejects', () => {
  it('histories that cannot be', () => {
    const cases: LogHistory[] = [
      { appends: [ok([0, 1], 'a', 0), ok([0, 1], 'a', 1)], reads: [] },
      { appends: [{ ...ok([0, 1], 'a', 0), values: [] }], reads: [] },
      { appends: [ok([0, 1], 'a', -1)], reads: [] },
      { appends: [ok([0, 1], 'a', 0, 0.5)], reads: [] },
      { appends: [ok([1, 0], 'a', 0)], reads: [] },
      { appends: [ok([0, Number.POSITIVE_INFINITY], 'a', 0)], reads: [] },
      { appends: [not('unknown', [Number.NaN, 1], 'a')], reads: [] },
      { appends: [], reads: [read([1, 0], '')] },
      { appends: [], reads: [read([0, 1], '', { from: -1 })] },
      { appends: [], reads: [read([0, 1], '', { highWaterMark: Number.NaN })] },
      { appends: [], reads: [read([0, 1], '', { entries: [[-1, 'a']] })] },
    ]
    for (const history of cases) {
      assert.throws(() => checkLogHistory(history), { code: 'INVALID_ARGUMENT' })
    }
    const open = not('unknown', [0, Number.POSITIVE_INFINITY], 'a')
    assert.deepEqual(checkLogHistory({ appends: [open], reads: [] }), [])
  })
})

describe('checkLogHistory on a log that is run', () => {
  /** What clients see of a log that keeps its promises: each operation happens at `moment`. */
  function run(count: number, seed: number): { appends: LogAppend[]; reads: LogRead[] } {
    const random = seededRandom(seed)
    const below = (limit: number) => random.uint32() % limit
    const log: (readonly [number, string])[] = []
    const appends: LogAppend[] = []
    const reads: LogRead[] = []
    let end = 0
    for (let moment = 0; moment < count; moment += 1) {
      const call = moment - below(20)
      const span: Span = [call, moment + below(20)]
      if (below(3) === 0) {
        const start = below(log.length + 1)
        const from = log[start]?.[0] ?? end
        const entries = log.slice(start, start + below(20))
        const own = { client: moment, from, entries, highWaterMark: end, linearizable: true }
        reads.push(read(span, '', own))
        continue
      }
      const values = Array.from({ length: 1 + below(3) }, (_, index) => `${moment}.${index}`)
      const kind = (['failed', 'unknown', 'ok', 'ok'] as const)[below(4)]!
      if (kind !== 'ok') appends.push(not(kind, span, values.join(' ')))
      if (kind === 'failed' || (kind === 'unknown' && below(2) === 0)) continue
      end += below(5) === 0 ? 1 : 0
      if (kind === 'ok') appends.push(ok(span, values.join(' '), end))
      for (const value of values) log.push([end++, value])
    }
    const all = { from: 0, entries: log, highWaterMark: end, linearizable: true, final: true }
    reads.push(read([count + 20, count + 21], '', all))
    return { appends, reads }
  }

  it('finds nothing, and anything that is made wrong', (t) => {
    t.diagnostic(`TIDEMARK_SEED=${SEED}`)
    for (let number = 0; number < 300; number += 1) {
      const seed = SEED + number
      const { appends, reads } = run(60, seed)
      const text = `TIDEMARK_SEED=${SEED}, history ${number}`
      assert.deepEqual(checkLogHistory({ appends, reads }, WHOLE), [], text)
      const final = reads.pop()!
      const acknowledged = appends.filter(({ outcome }) => outcome.kind === 'ok')
      const { values } = acknowledged[seed % acknowledged.length]!
      const entries = final.entries.filter(([, value]) => value !== values[0])
      const rules = rulesOf(appends, [...reads, { ...final, entries }])
      assert(rules.includes('lost'), text)
      const stale = { ...final, final: false, entries: [], highWaterMark: final.highWaterMark - 1 }
      const isAcknowledged = appends.some(
        ({ outcome }) => outcome.kind === 'ok' && outcome.last === final.highWaterMark - 1,
      )
      const expected = isAcknowledged ? ['stale'] : []
      const late = rulesOf(appends, [stale])
      assert.deepEqual(late, expected, text)
    }
  })

  it('takes a history of 100,000 operations in its stride', () => {
    assert.deepEqual(checkLogHistory(run(100_000, SEED), WHOLE), [])
  })
})
