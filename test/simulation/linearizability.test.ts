import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  checkLinearizable,
  describeLinearization,
  type HistoryOperation,
  type KeyValueInput,
  type KeyValueOutput,
  keyValueModel,
  type LogInput,
  type LogModelState,
  type LogOutput,
  logModel,
  type Random,
  rollingHash,
  seededRandom,
} from 'tidemark/testing'
import { faultOfOrder, isLinearizableByForce } from './brute-force.ts'

const SEED = Number(process.env.TIDEMARK_SEED ?? 20_261_121)
const NEVER = Number.POSITIVE_INFINITY

type KeyValueOperation = HistoryOperation<KeyValueInput, KeyValueOutput>
type LogOperation = HistoryOperation<LogInput, LogOutput>

type Span = readonly [call: number, end: number]

function set([call, end]: Span, value: string, key = 'k'): KeyValueOperation {
  return { client: 'w', input: { op: 'set', key, value }, call, return: end }
}

function get([call, end]: Span, value: string | null, key = 'k'): KeyValueOperation {
  return { client: 'r', input: { op: 'get', key }, output: { value }, call, return: end }
}

function remove([call, end]: Span, applied: boolean): KeyValueOperation {
  return { client: 'd', input: { op: 'delete', key: 'k' }, output: { applied }, call, return: end }
}

/** A swap of which the outcome is unknown, if `applied` is not given. */
function cas(
  [call, end]: Span,
  expected: string | null,
  value: string | null,
  applied?: boolean,
): KeyValueOperation {
  const operation = { client: 'c', input: { op: 'cas', key: 'k', expected, value }, call } as const
  if (applied === undefined) return { ...operation, return: end }
  return { ...operation, output: { applied }, return: end }
}

function append([call, end]: Span, value: string, offset?: number): LogOperation {
  const operation = { client: 'w', input: { op: 'append', value }, call, return: end } as const
  return offset === undefined ? operation : { ...operation, output: { offset } }
}

function read([call, end]: Span, ...values: string[]): LogOperation {
  const hash = values.reduce(rollingHash, '')
  const output = { end: values.length, hash }
  return { client: 'r', input: { op: 'read' }, output, call, return: end }
}

function verdictOf(history: readonly KeyValueOperation[]): string {
  const report = checkLinearizable(keyValueModel, history)
  const isRight = history.length > 7 || isLinearizableByForceByKey(history)
  if (history.length <= 7) assert.equal(report.verdict, isRight ? 'linearizable' : 'not')
  return report.verdict
}

function isLinearizableByForceByKey(history: readonly KeyValueOperation[]): boolean {
  const keys = new Set(history.map(({ input }) => input.key))
  return [...keys].every((key) =>
    isLinearizableByForce(
      keyValueModel,
      history.filter(({ input }) => input.key === key),
    ),
  )
}

describe('checkLinearizable with keys and values accepts', () => {
  const right: Record<string, KeyValueOperation[]> = {
    'no operation': [],
    'a sequence': [set([0, 1], 'a'), get([2, 3], 'a'), set([4, 5], 'b'), get([6, 7], 'b')],
    'a read of a write that runs': [set([0, 10], 'a'), get([1, 2], 'a'), get([3, 4], 'a')],
    'a read from before a write that runs': [set([0, 10], 'a'), get([1, 2], null)],
    'writes in the other order than their calls': [
      set([0, 10], 'a'),
      set([1, 10], 'b'),
      get([11, 12], 'a'),
    ],
    'operations that touch, in either order': [get([1, 2], 'a'), set([2, 3], 'a')],
    'calls and returns all at one moment': [get([5, 5], 'a'), set([5, 5], 'a'), get([5, 5], null)],
    'an unknown write that did not happen': [set([0, NEVER], 'a'), get([1, 2], null)],
    'an unknown write that happens late': [
      set([0, NEVER], 'a'),
      set([1, 2], 'b'),
      get([3, 4], 'b'),
      get([5, 6], 'a'),
    ],
    'an unknown swap that happened': [cas([0, NEVER], null, 'a'), get([1, 2], 'a')],
    'a swap of what is there': [set([0, 1], 'a'), cas([2, 3], 'a', 'b', true), get([4, 5], 'b')],
    'a swap that is refused': [set([0, 1], 'a'), cas([2, 3], 'b', 'c', false), get([4, 5], 'a')],
    'a swap that deletes': [set([0, 1], 'a'), cas([2, 3], 'a', null, true), get([4, 5], null)],
    'a deletion': [
      remove([0, 1], false),
      set([2, 3], 'a'),
      remove([4, 5], true),
      get([6, 7], null),
    ],
    'keys that know nothing of each other': [
      set([0, 1], 'a', 'x'),
      get([2, 3], null, 'y'),
      get([4, 5], 'a', 'x'),
    ],
  }
  for (const [name, history] of Object.entries(right)) {
    it(name, () => assert.equal(verdictOf(history), 'linearizable'))
  }
})

describe('checkLinearizable with keys and values refuses', () => {
  const wrong: Record<string, KeyValueOperation[]> = {
    'a stale read': [set([0, 1], 'a'), set([2, 3], 'b'), get([4, 5], 'a')],
    'a read of nothing after a write': [set([0, 1], 'a'), get([2, 3], null)],
    'a value that nobody wrote': [set([0, 1], 'a'), get([0, 1], 'b')],
    'a read that goes back': [set([0, 10], 'a'), get([1, 2], 'a'), get([3, 4], null)],
    'a lost update': [
      set([0, 1], 'a'),
      cas([2, 9], 'a', 'b', true),
      cas([3, 9], 'a', 'c', true),
      get([10, 11], 'c'),
    ],
    'a swap that was refused and made': [cas([0, 1], 'x', 'a', false), get([2, 3], 'a')],
    'a swap that was refused although it fits': [set([0, 1], 'a'), cas([2, 3], 'a', 'b', false)],
    'a deletion of nothing that says it did': [remove([0, 1], true)],
    'a deletion that says it did nothing': [set([0, 1], 'a'), remove([2, 3], false)],
    'a set that says it was not applied': [{ ...set([0, 1], 'a'), output: { applied: false } }],
    'an unknown write that happens before its call': [get([0, 1], 'a'), set([2, NEVER], 'a')],
    'an unknown write that happens twice': [
      set([0, NEVER], 'a'),
      get([1, 2], 'a'),
      set([3, 4], 'b'),
      get([5, 6], 'a'),
    ],
    'an unknown swap that could not be made': [
      set([0, 1], 'a'),
      cas([2, NEVER], 'b', 'c'),
      get([3, 4], 'c'),
    ],
    'an unknown swap that would have to come before what returned before its call': [
      set([0, NEVER], 'a'),
      cas([1, 2], null, 'q', false),
      cas([2.5, NEVER], null, 'b'),
      get([3, 4], 'b'),
    ],
    'two readers that see two orders': [
      set([0, 10], 'a'),
      set([0, 10], 'b'),
      get([11, 12], 'a'),
      get([13, 14], 'b'),
    ],
    'one bad key among good ones': [
      set([0, 1], 'a', 'x'),
      set([0, 1], 'a', 'y'),
      get([2, 3], 'a', 'x'),
      get([2, 3], null, 'y'),
    ],
  }
  for (const [name, history] of Object.entries(wrong)) {
    it(name, () => assert.equal(verdictOf(history), 'not'))
  }
})

describe('checkLinearizable with a log', () => {
  const verdict = (history: readonly LogOperation[]) => checkLinearizable(logModel, history).verdict

  it('accepts appends in any order that their offsets and the reads allow', () => {
    assert.equal(
      verdict([
        append([0, 9], 'a', 1),
        append([0, 9], 'b', 0),
        read([1, 2], 'b'),
        read([10, 11], 'b', 'a'),
      ]),
      'linearizable',
    )
    assert.equal(
      verdict([append([0, NEVER], 'a'), append([1, 2], 'b', 0), read([3, 4], 'b', 'a')]),
      'linearizable',
    )
    assert.equal(verdict([append([0, NEVER], 'a'), append([1, 2], 'b', 0)]), 'linearizable')
  })

  it('accepts an append that returned without saying where', () => {
    assert.equal(verdict([append([0, 1], 'a'), append([2, 3], 'b', 1)]), 'linearizable')
    assert.equal(verdict([append([0, 1], 'a'), append([2, 3], 'b', 0)]), 'not')
  })

  it('refuses lost entries, gaps, offsets given twice, stale reads and other contents', () => {
    assert.equal(verdict([append([0, 1], 'a', 0), read([2, 3])]), 'not')
    assert.equal(verdict([append([0, 1], 'a', 1)]), 'not')
    assert.equal(verdict([{ ...read([0, 1]), output: { end: 1, hash: '' } }]), 'not')
    assert.equal(verdict([append([0, 9], 'a', 0), append([0, 9], 'b', 0)]), 'not')
    assert.equal(verdict([append([0, 1], 'a', 0), read([2, 3], 'b')]), 'not')
    assert.equal(
      verdict([append([0, 1], 'a', 0), append([2, 3], 'b', 1), read([4, 5], 'b', 'a')]),
      'not',
    )
    assert.equal(verdict([append([0, 1], 'a', 1), append([2, 3], 'b', 0)]), 'not')
  })
})

describe('the report of checkLinearizable', () => {
  it('has the longest order, its state, and what could not be placed', () => {
    const history = [
      set([0, 1], 'a'),
      set([2, NEVER], 'z'),
      set([2, 3], 'b'),
      get([4, 20], 'q'),
      get([5, 6], 'a'),
      set([7, 8], 'c'),
    ]
    const { verdict, longest } = checkLinearizable(keyValueModel, history)
    assert.equal(verdict, 'not')
    assert.deepEqual(longest, {
      partition: 'k',
      verdict: 'not',
      order: [history[0], history[2]],
      state: '=b',
      unplaced: [history[1], history[3], history[4]],
    })
    const text = describeLinearization(longest!)
    assert.equal(
      text,
      [
        'not, partition k: 2 placed',
        '  [0, 1] client w: {"op":"set","key":"k","value":"a"} -> ?',
        '  [2, 3] client w: {"op":"set","key":"k","value":"b"} -> ?',
        'state =b',
        '  not placed: [2, Infinity] client w: {"op":"set","key":"k","value":"z"} -> ?',
        '  not placed: [4, 20] client r: {"op":"get","key":"k"} -> {"value":"q"}',
        '  not placed: [5, 6] client r: {"op":"get","key":"k"} -> {"value":"a"}',
      ].join('\n'),
    )
  })

  it('shows the end of an order that is long', () => {
    const history = Array.from({ length: 30 }, (_, index) =>
      set([index * 2, index * 2 + 1], String(index)),
    )
    const report = checkLinearizable(keyValueModel, [...history, get([99, 99], 'no')])
    const lines = describeLinearization(report.longest!).split('\n')
    assert.equal(lines[0], 'not, partition k: 30 placed')
    assert.equal(lines[1], '  ... 10 before')
    assert.match(lines[2]!, /"value":"10"/)
    assert.equal(lines.length, 2 + 20 + 2)
  })

  it('names the partition that is not linearizable, and looks at none after it', () => {
    const history = ['x', 'y', 'z'].map((key) => get([0, 1], key === 'x' ? null : 'no', key))
    const { partitions, longest } = checkLinearizable(keyValueModel, history)
    assert.deepEqual(
      partitions.map(({ partition, verdict }) => [partition, verdict]),
      [
        ['x', 'linearizable'],
        ['y', 'not'],
      ],
    )
    assert.equal(longest, partitions[1])
  })

  it('is unknown when the steps do not suffice, and never takes more', () => {
    const writes = Array.from({ length: 12 }, (_, index) => set([0, 100], String(index)))
    const history = [...writes, get([101, 102], 'no')]
    const short = checkLinearizable(keyValueModel, history, { maxSteps: 500 })
    assert.equal(short.verdict, 'unknown')
    assert.equal(short.steps, 500)
    assert.equal(short.longest?.order.length, 12)
    assert.equal(checkLinearizable(keyValueModel, history).verdict, 'not')
  })

  it('shares the steps among the partitions', () => {
    const history = ['x', 'y'].map((key) => get([0, 1], null, key))
    const { verdict, partitions, steps } = checkLinearizable(keyValueModel, history, {
      maxSteps: 1,
    })
    assert.deepEqual([verdict, steps], ['unknown', 1])
    assert.deepEqual(
      partitions.map((each) => each.verdict),
      ['linearizable', 'unknown'],
    )
  })

  it('takes one step for each operation of a long history that is in order', () => {
    const history = Array.from({ length: 5000 }, (_, index) =>
      append([index * 2, index * 2 + 1], 'v', index),
    )
    const { verdict, steps } = checkLinearizable(logModel, history)
    assert.deepEqual([verdict, steps], ['linearizable', 5000])
  })

  it('does not try the subsets of many unknown writes that nobody saw', () => {
    const unknown = Array.from({ length: 60 }, (_, index) => set([index, NEVER], `u${index}`))
    const known = Array.from({ length: 50 }, (_, index) => [
      set([100 + index * 4, 101 + index * 4], String(index)),
      get([102 + index * 4, 103 + index * 4], index % 10 === 9 ? `u${index}` : String(index)),
    ]).flat()
    const { verdict, steps } = checkLinearizable(keyValueModel, [...unknown, ...known])
    assert.equal(verdict, 'linearizable')
    assert(steps < 20_000, `${steps} steps`)
  })

  it('leaves out unknown operations that change nothing', () => {
    const unknown = Array.from({ length: 25 }, () => cas([0, NEVER], 'x', 'y'))
    const history = [...unknown, get([1, 2], 'no')]
    const { verdict, steps } = checkLinearizable(keyValueModel, history)
    assert.deepEqual([verdict, steps], ['not', history.length])
  })

  it('needs no more than the memo for operations that all run at once', () => {
    const history = [
      ...Array.from({ length: 14 }, () => set([0, 100], 'same')),
      get([101, 102], 'no'),
    ]
    const { verdict, steps } = checkLinearizable(keyValueModel, history)
    assert.equal(verdict, 'not')
    assert(steps <= 14 * 2 ** 14 + 1, `${steps} steps`)
  })
})

describe('checkLinearizable rejects', () => {
  const invalid = { code: 'INVALID_ARGUMENT' }

  it('times that cannot be, and bounds that are none', () => {
    const check = (operation: KeyValueOperation, maxSteps = 10) =>
      checkLinearizable(keyValueModel, [operation], { maxSteps })
    for (const span of [
      [NEVER, NEVER],
      [Number.NaN, 1],
      [0, Number.NaN],
      [2, 1],
    ] as const) {
      assert.throws(() => check(set(span, 'a')), invalid)
    }
    for (const maxSteps of [0, -1, 1.5, Number.NaN, NEVER]) {
      assert.throws(() => check(set([0, 1], 'a'), maxSteps), invalid)
    }
  })

  it('outputs of another operation', () => {
    const broken = { name: 'InvariantError' }
    const value: KeyValueOperation = { ...set([0, 1], 'a'), output: { value: 'a' } }
    assert.throws(() => checkLinearizable(keyValueModel, [value]), broken)
    const applied: KeyValueOperation = { ...get([0, 1], 'a'), output: { applied: true } }
    assert.throws(() => checkLinearizable(keyValueModel, [applied]), broken)
    const end: LogOperation = { ...append([0, 1], 'a'), output: { end: 0, hash: '' } }
    assert.throws(() => checkLinearizable(logModel, [end]), broken)
    const offset: LogOperation = { ...read([0, 1]), output: { offset: 0 } }
    assert.throws(() => checkLinearizable(logModel, [offset]), broken)
  })
})

const CASES = 4000
const OPERATIONS_MAX = 6
const MOMENTS = 20
const SPREAD = 3

interface Case<State, Input, Output> {
  readonly call: number
  readonly end: number
  readonly moment: number
  readonly input: Input
  readonly step: (state: State) => readonly [State, Output]
}

/** Operations that do happen at a moment within them, with some answers replaced by those of others. */
function randomHistory<State, Input, Output>(
  random: Random,
  initial: State,
  pick: () => Pick<Case<State, Input, Output>, 'input' | 'step'>,
): HistoryOperation<Input, Output>[] {
  const below = (limit: number) => random.uint32() % limit
  const cases = Array.from({ length: OPERATIONS_MAX - below(3) }, () => {
    const moment = below(MOMENTS)
    const call = moment - below(SPREAD)
    const end = moment + below(SPREAD)
    return { call, moment, end, ...pick() }
  }).sort((a, b) => a.moment - b.moment)
  let state = initial
  const states = [initial]
  const isCorrupt = below(4) > 0
  return cases.map(({ call, end, input, step }, client) => {
    const isUnknown = below(5) === 0
    const [after, output] = step(state)
    if (!isUnknown || below(2) === 0) state = after
    states.push(after)
    const at = { client, input, call }
    if (isUnknown) return { ...at, return: NEVER }
    if (below(8) === 0) return { ...at, return: end }
    return {
      ...at,
      output: isCorrupt && below(2) === 0 ? step(states[below(states.length)]!)[1] : output,
      return: end,
    }
  })
}

function randomKeyValues(random: Random): KeyValueOperation[] {
  const below = (limit: number) => random.uint32() % limit
  const values = [null, 'a', 'b'] as const
  return randomHistory<string | null, KeyValueInput, KeyValueOutput>(random, null, () => {
    const kind = below(7)
    const value = ['a', 'b', 'c'][below(3)]!
    const expected = values[below(3)]!
    const key = 'k'
    if (kind >= 4) return { input: { op: 'get', key }, step: (state) => [state, { value: state }] }
    if (kind < 2) {
      return { input: { op: 'set', key, value }, step: () => [value, { applied: true }] }
    }
    if (kind === 2) {
      return {
        input: { op: 'delete', key },
        step: (state) => [null, { applied: state !== null }],
      }
    }
    return {
      input: { op: 'cas', key, expected, value },
      step: (state) => [state === expected ? value : state, { applied: state === expected }],
    }
  })
}

function randomLogs(random: Random): LogOperation[] {
  const below = (limit: number) => random.uint32() % limit
  const initial: LogModelState = { end: 0, hash: '' }
  return randomHistory<LogModelState, LogInput, LogOutput>(random, initial, () => {
    const value = ['a', 'b'][below(2)]!
    if (below(2) === 0) return { input: { op: 'read' }, step: (state) => [state, state] }
    return {
      input: { op: 'append', value },
      step: ({ end, hash }) => [{ end: end + 1, hash: rollingHash(hash, value) }, { offset: end }],
    }
  })
}

describe('checkLinearizable agrees with the definition', () => {
  function compare<State, Input, Output>(
    model: typeof keyValueModel | typeof logModel,
    make: (random: Random) => HistoryOperation<Input, Output>[],
  ) {
    const counts = { linearizable: 0, not: 0, unknown: 0 }
    const random = seededRandom(SEED)
    const generic = model as unknown as Parameters<
      typeof checkLinearizable<State, Input, Output>
    >[0]
    for (let number = 0; number < CASES; number += 1) {
      const history = make(random)
      const { verdict, partitions } = checkLinearizable(generic, history)
      const expected = isLinearizableByForce(generic, history) ? 'linearizable' : 'not'
      const text = `TIDEMARK_SEED=${SEED}, history ${number}: ${JSON.stringify(history)}`
      assert.equal(verdict, expected, text)
      counts[verdict] += 1
      if (verdict === 'linearizable') {
        assert.equal(faultOfOrder(generic, history, partitions[0]!.order), undefined, text)
      }
    }
    assert(counts.linearizable > CASES / 20 && counts.not > CASES / 20, JSON.stringify(counts))
    return `TIDEMARK_SEED=${SEED}: ${JSON.stringify(counts)}`
  }

  it('on random histories of a key', (t) => t.diagnostic(compare(keyValueModel, randomKeyValues)))

  it('on random histories of a log', (t) => t.diagnostic(compare(logModel, randomLogs)))
})
