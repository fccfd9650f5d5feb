import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { Log } from 'tidemark'
import { DurableMap } from 'tidemark/machine'
import { cloneAll, crashImage, ForgetfulFiles, ManualClock, seededRandom } from 'tidemark/testing'
import { caseCount } from '../cases.ts'
import { openOn } from '../log/fixtures.ts'
import { type MapEntry, MapModel, type MapOperation, perform, type Value } from './map-model.ts'

// Any sequence of calls does to a durable map what it does to a plain one, whatever happens to the process and
// the machine in between. When a run fails, fast-check prints the seed and the shortest sequence that it
// can find; give them to `fc.assert` to repeat it.

const SESSIONS = { max: 10_000, idleMs: 86_400_000, requests: 16 }
/** More keys than one command removes when their time is over. */
const MANY = 300

interface Settings {
  readonly segmentBytes: number
  readonly entries: number
  readonly check: boolean
}

interface Expected {
  map: MapModel
  /** Keys have ended at once that are more than one command removes: the size counts some of them. */
  isSizeUnsure: boolean
}

interface Real {
  files: ForgetfulFiles
  clock: ManualClock
  settings: Settings
  log: Log
  map: DurableMap<string, Value>
}

type Command = fc.AsyncCommand<Expected, Real>

/** A command that is always possible. After each, the real map must hold what the model does. */
function command(name: string, run: (model: Expected, real: Real) => Promise<void>): Command {
  return {
    check: () => true,
    toString: () => name,
    async run(model, real) {
      await run(model, real)
      same(real.map, model)
    },
  }
}

function sorted(entries: Iterable<[string, Value]>): [string, Value][] {
  return [...entries].sort(([a], [b]) => (a < b ? -1 : 1))
}

function same(map: DurableMap<string, Value>, model: Expected): void {
  const expected = model.map.entries()
  assert.deepEqual(sorted(map), expected)
  assert.deepEqual([...map.range()], expected)
  if (!model.isSizeUnsure) assert.equal(map.size, expected.length)
  assert.equal(map.offset, model.map.next)
}

async function openAll(files: ForgetfulFiles, clock: ManualClock, settings: Settings) {
  const log = await openOn(files, { clock, segmentBytes: settings.segmentBytes })
  const map = await DurableMap.open<string, Value>(log, {
    ordered: true,
    snapshot: { entries: settings.entries },
    check: settings.check,
  })
  return { files, clock, settings, log, map }
}

async function close({ map, log }: Real): Promise<void> {
  await map.close()
  assert.equal(map.snapshotFailure, undefined)
  await log.close()
}

const key = fc.oneof(fc.constantFrom('a', 'ab', 'b', '', 'ä', '\u{1F600}', '\uffff'), fc.string())
const value: fc.Arbitrary<Value> = fc.oneof(
  fc.integer(),
  fc.string({ unit: 'grapheme', maxLength: 20 }),
  fc.integer({ min: 0, max: 3000 }).map((length) => 'x'.repeat(length)),
)
const ttl = fc.option(
  fc.record({ ttlMs: fc.oneof(fc.integer({ min: 1, max: 50 }), fc.constant(2 ** 40)) }),
  { nil: {} },
)
const pairs = fc.array(fc.tuple(key, value), { minLength: 1, maxLength: 6 })
const settings: fc.Arbitrary<Settings> = fc.record({
  segmentBytes: fc.constantFrom(512, 2000, 100_000),
  entries: fc.constantFrom(3, 10, 1000),
  check: fc.boolean(),
})

const write: fc.Arbitrary<MapOperation> = fc.oneof(
  fc
    .tuple(key, value, ttl)
    .map(([key, value, ttl]) => ({ kind: 'set' as const, key, value, ...ttl })),
  key.map((key) => ({ kind: 'delete' as const, key })),
  fc.tuple(pairs, ttl).map(([entries, ttl]) => ({ kind: 'setMany' as const, entries, ...ttl })),
)

/** What the operation is in the log, and with that in the model. */
function entryOf(operation: MapOperation, { clock }: Real): MapEntry {
  return { operation, timestamp: clock.now() }
}

async function run(operation: MapOperation, model: Expected, real: Real): Promise<void> {
  const expected = model.map.apply(entryOf(operation, real))
  assert.equal(await perform(real.map, operation), expected)
}

const change = write.map((operation) =>
  command(JSON.stringify(operation), (model, real) => run(operation, model, real)),
)

const compareAndSet = fc
  .tuple(key, fc.boolean(), fc.option(value, { nil: undefined }), ttl)
  .map(([key, isRight, next, ttl]) =>
    command(`compareAndSet ${JSON.stringify([key, isRight, next])}`, (model, real) => {
      const expected = isRight ? model.map.get(key) : 'something else'
      return run({ kind: 'compareAndSet', key, expected, next, ...ttl }, model, real)
    }),
  )

const together = fc.array(write, { minLength: 2, maxLength: 6 }).map((operations) =>
  command(`together ${JSON.stringify(operations)}`, async (model, real) => {
    const done = operations.map((operation) => perform(real.map, operation))
    const expected = operations.map((operation) => model.map.apply(entryOf(operation, real)))
    assert.deepEqual(await Promise.all(done), expected)
  }),
)

const setMany = fc.constant(
  command(`set ${MANY} keys that end together`, async (model, real) => {
    const entries = Array.from({ length: MANY }, (_, i): [string, Value] => [`many ${i}`, i])
    await run({ kind: 'setMany', entries, ttlMs: 20 }, model, real)
    model.isSizeUnsure = true
  }),
)

const session = fc.array(write, { minLength: 1, maxLength: 4 }).map((operations) =>
  command(`in a session ${JSON.stringify(operations)}`, async (model, real) => {
    const id = Number((await real.map.openSession()).id.slice(1))
    model.map.apply(entryOf({ kind: 'openSession' }, real))
    assert.equal(id, model.map.opened)
    for (const [i, operation] of operations.entries()) {
      const request = { session: id, request: i + 1 }
      const expected = model.map.apply({ ...entryOf(operation, real), id: request })
      assert.equal(await perform(real.map, operation, request), expected)
      assert.equal(await perform(real.map, operation, request), expected)
    }
  }),
)

const advance = fc.integer({ min: 1, max: 60 }).map((ms) =>
  command(`${ms} ms later`, async (_model, { clock }) => {
    await clock.advance(ms)
  }),
)

const snapshot = fc.constant(
  command('snapshot', async (model, { map, log }) => {
    assert.equal(await map.snapshot(), model.map.next)
    assert.ok((await log.snapshots.list()).includes(model.map.next))
  }),
)

const get = key.map((key) =>
  command(`get ${JSON.stringify(key)}`, async (model, { map }) => {
    const expected = model.map.get(key)
    assert.deepEqual([map.get(key), map.has(key)], [expected, expected !== undefined])
    assert.equal(await map.read(key), expected)
  }),
)

const iterate = fc.array(write, { maxLength: 4 }).map((operations) =>
  command(`read while ${JSON.stringify(operations)}`, async (model, real) => {
    const expected = model.map.entries()
    const entries = real.map.entries()
    const first = entries.next()
    for (const operation of operations) await run(operation, model, real)
    assert.deepEqual(sorted(first.done ? [] : [first.value, ...entries]), expected)
  }),
)

const bound = fc.option(key, { nil: undefined })
const ranges = fc.record({
  from: bound,
  to: bound,
  prefix: fc.option(fc.constantFrom('a', 'm', 'many 1', '\uffff', ''), { nil: undefined }),
  reverse: fc.boolean(),
  limit: fc.option(fc.integer({ min: 0, max: 5 }), { nil: undefined }),
})

const range = ranges.map((options) =>
  command(`range(${JSON.stringify(options)})`, async (model, { map }) => {
    const { from, to, prefix = '', reverse, limit } = options
    const inside = model.map
      .entries()
      .filter(([key]) => from === undefined || key >= from)
      .filter(([key]) => (to === undefined || key < to) && key.startsWith(prefix))
    const expected = (reverse ? inside.reverse() : inside).slice(0, limit)
    assert.deepEqual([...map.range(options)], expected)
  }),
)

const reopen = settings.map((settings) =>
  command(`close and open ${JSON.stringify(settings)}`, async (_model, real) => {
    await close(real)
    Object.assign(real, await openAll(real.files, real.clock, settings))
  }),
)

/** What is under way when the process or the machine ends: each may be done or not, but in their order. */
async function crash(
  model: Expected,
  real: Real,
  operations: readonly MapOperation[],
  left: (files: ForgetfulFiles) => ForgetfulFiles,
): Promise<void> {
  const states = [model.map]
  const done = operations.map((operation) => perform(real.map, operation))
  for (const operation of operations) {
    const next = states.at(-1)!.clone()
    next.apply(entryOf(operation, real))
    states.push(next)
  }
  const files = left(real.files)
  await Promise.all(done)
  await close(real)
  Object.assign(real, await openAll(files, real.clock, real.settings))
  const found = states.find(({ next }) => next === real.map.offset)
  assert(found, `it is at ${real.map.offset}`)
  model.map = found
}

const underWay = fc.array(write, { maxLength: 3 })

const kill = underWay.map((operations) =>
  command(`kill during ${JSON.stringify(operations)}`, (model, real) =>
    crash(model, real, operations, cloneAll),
  ),
)

const losePower = fc
  .tuple(underWay, fc.nat())
  .map(([operations, seed]) =>
    command(`lose power (${seed}) during ${JSON.stringify(operations)}`, (model, real) =>
      crash(model, real, operations, (files) => crashImage(files, seededRandom(seed)).files),
    ),
  )

const COMMANDS = [
  change,
  change,
  compareAndSet,
  together,
  setMany,
  session,
  advance,
  snapshot,
  get,
  iterate,
  range,
  reopen,
  kill,
  losePower,
]

describe('a durable map', () => {
  it('does what a plain map does, whatever is called in whatever order', {
    timeout: 600_000,
  }, async () => {
    const runs = Number(process.env.TIDEMARK_MODEL_RUNS ?? caseCount(150, 50))
    const property = fc.asyncProperty(
      settings,
      fc.commands<Expected, Real, false>(COMMANDS as fc.Arbitrary<Command>[], {
        maxCommands: 40,
        size: 'max',
      }),
      async (settings, commands) => {
        const real: Real = await openAll(new ForgetfulFiles(), new ManualClock(), settings)
        const model = { map: new MapModel(SESSIONS), isSizeUnsure: false }
        try {
          await fc.asyncModelRun(() => ({ model, real }), commands)
        } finally {
          await close(real)
        }
      },
    )
    await fc.assert(property, { numRuns: runs })
  })
})
