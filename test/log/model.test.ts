import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { Log } from 'tidemark'
import { cloneAll, ForgetfulFiles } from 'tidemark/testing'
import { caseCount } from '../cases.ts'
import { entriesOf, openOn, type PlainOptions, textsOf, worstCrash } from './fixtures.ts'

// Any sequence of calls does to a log what it does to an array. When a run fails, fast-check prints the
// seed and the shortest sequence that it can find; give them to `fc.assert` to repeat it.

interface Expected {
  readonly offset: number
  readonly text: string
  readonly type: number
  readonly timestamp: number
  readonly count: number
}

/** The array. */
class Model {
  entries: Expected[] = []
  low = 0
  end = 0

  add(text: string, kind: Kind): Expected {
    const entry = { offset: this.end, text, ...kind }
    this.entries.push(entry)
    this.end += kind.count
    return entry
  }

  /** The entries that touch `[from, to)` and are not trimmed. */
  range(from: number, to: number): Expected[] {
    const first = Math.max(from, this.low)
    return this.entries.filter(({ offset, count }) => offset + count > first && offset < to)
  }
}

interface Real {
  files: ForgetfulFiles
  log: Log
  options: PlainOptions
}

interface Kind {
  readonly type: number
  readonly timestamp: number
  readonly count: number
}

type Command = fc.AsyncCommand<Model, Real>

/** A command that is always possible, made of a name and what it does. */
function command(name: string, run: (model: Model, real: Real) => Promise<void>): Command {
  return { check: () => true, run, toString: () => name }
}

const kind: fc.Arbitrary<Kind> = fc.record({
  type: fc.constantFrom(1, 128, 255),
  timestamp: fc.integer({ min: 0, max: 1000 }),
  count: fc.constantFrom(1, 1, 1, 4),
})
const text = fc.oneof(
  fc.string({ maxLength: 20, unit: 'grapheme' }),
  fc.integer({ min: 0, max: 3000 }).map((length) => 'x'.repeat(length)),
)
/** A place in the log, as a share of its length and a little beyond. */
const share = fc.double({ min: 0, max: 1.1, noNaN: true })

function offsetAt(model: Model, at: number): number {
  return Math.floor(at * (model.end + 1))
}

function same(found: Awaited<ReturnType<typeof entriesOf<Buffer>>>, expected: Expected[]): void {
  assert.deepEqual(
    found.map(({ offset, type, timestamp, count, data }) => {
      return { offset, text: data.toString(), type, timestamp, count }
    }),
    expected,
  )
}

const append = fc.tuple(text, kind).map(([data, options]) =>
  command(`append(${JSON.stringify(data)}, ${JSON.stringify(options)})`, async (model, { log }) => {
    assert.equal(await log.append(data, options), model.add(data, options).offset)
  }),
)

const appendSync = fc.tuple(text, kind).map(([data, options]) =>
  command(`appendSync(${JSON.stringify(data)})`, async (model, { log }) => {
    assert.equal(log.appendSync(data, options), model.add(data, options).offset)
  }),
)

const batch = fc.array(text, { minLength: 1, maxLength: 8 })

const appendBatch = fc.tuple(batch, kind).map(([data, options]) =>
  command(`appendBatch(${JSON.stringify(data)})`, async (model, { log }) => {
    const range = await log.appendBatch(data, options)
    const offsets = data.map((one) => model.add(one, options).offset)
    assert.deepEqual(range, { first: offsets[0], last: offsets.at(-1) })
  }),
)

const appendTogether = fc.tuple(batch, kind, fc.boolean()).map(([data, options, sync]) =>
  command(
    `append together ${data.length}${sync ? ', then appendSync' : ''}`,
    async (model, { log }) => {
      const appends = data.map((one) => log.append(one, options))
      const expected = data.map((one) => model.add(one, options).offset)
      if (sync) assert.equal(log.appendSync('sync', options), model.add('sync', options).offset)
      assert.deepEqual(await Promise.all(appends), expected)
    },
  ),
)

const read = fc.tuple(share, share, fc.boolean()).map(([a, b, reverse]) =>
  command(`read(${a}, ${b}, ${reverse})`, async (model, { log }) => {
    const from = Math.max(model.low, offsetAt(model, a))
    const to = offsetAt(model, b)
    const expected = from < to ? model.range(from, Math.min(to, model.end)) : []
    const found = await entriesOf(log, { from, to, reverse })
    same(found, reverse ? expected.toReversed() : expected)
  }),
)

const readAll = fc.boolean().map((reverse) =>
  command(`read all${reverse ? ' in reverse' : ''}`, async (model, { log }) => {
    const expected = model.range(0, model.end)
    same(await entriesOf(log, { reverse }), reverse ? expected.toReversed() : expected)
  }),
)

const seek = fc.integer({ min: 0, max: 1001 }).map((fromTimestamp) =>
  command(`read from time ${fromTimestamp}`, async (model, { log }) => {
    const all = model.range(0, model.end)
    const first = all.findIndex(({ timestamp }) => timestamp >= fromTimestamp)
    same(await entriesOf(log, { fromTimestamp }), first < 0 ? [] : all.slice(first))
  }),
)

const get = share.map((at) =>
  command(`get(${at})`, async (model, { log }) => {
    const offset = offsetAt(model, at)
    const entry = await log.get(offset)
    const expected = offset < model.low ? [] : model.range(offset, offset + 1)
    same(entry ? [entry] : [], expected)
  }),
)

const readTrimmed = share.map((at) =>
  command(`read from below the mark (${at})`, async (model, { log }) => {
    if (model.low === 0) return
    const from = Math.min(model.low - 1, Math.floor(at * model.low))
    await assert.rejects(entriesOf(log, { from }), { code: 'TRIMMED' })
  }),
)

const trim = share.map((at) =>
  command(`trim(${at})`, async (model, { log }) => {
    const before = offsetAt(model, at)
    if (before > model.end) {
      await assert.rejects(log.trim(before), { code: 'INVALID_ARGUMENT' })
      return
    }
    await log.trim(before)
    model.low = Math.max(model.low, before)
  }),
)

const flush = fc.constant(
  command('flush, then the power is lost elsewhere', async (model, { log, files, options }) => {
    await log.flush()
    const survivor = await openOn(worstCrash(files), options)
    try {
      same(await entriesOf(survivor), model.range(0, model.end))
    } finally {
      await survivor.close()
    }
  }),
)

const settings = fc.record({
  sync: fc.constantFrom<PlainOptions['sync']>('always', 'never', { intervalMs: 1 }),
  segmentBytes: fc.constantFrom(512, 700, 2000, 100_000),
  indexIntervalBytes: fc.constantFrom(1, 200, 4096),
  cacheBytes: fc.constantFrom(0, 2000, 1_000_000),
  preallocate: fc.boolean(),
})

const reopen = settings.map((options) =>
  command(`close and open ${JSON.stringify(options)}`, async (_model, real) => {
    await real.log.close()
    real.options = options as PlainOptions
    real.log = await openOn(real.files, real.options)
  }),
)

const kill = settings.map((options) =>
  command(`kill and open ${JSON.stringify(options)}`, async (_model, real) => {
    const dying = real.log
    real.files = cloneAll(real.files)
    await dying.close()
    real.options = options as PlainOptions
    real.log = await openOn(real.files, real.options)
  }),
)

const lookOn = fc.constant(
  command('read in another opening', async (model, { files, log }) => {
    const reader = await openOn(files, { mode: 'read' })
    try {
      await reader.barrier()
      same(await entriesOf(reader), model.range(0, model.end))
      assert.deepEqual(await textsOf(reader, { reverse: true }), (await textsOf(log)).toReversed())
    } finally {
      await reader.close()
    }
  }),
)

const marks = fc.constant(
  command('look at the marks', async (model, { log }) => {
    assert.deepEqual([log.lowWaterMark, log.highWaterMark], [model.low, model.end])
  }),
)

const COMMANDS = [
  append,
  append,
  appendSync,
  appendBatch,
  appendTogether,
  read,
  readAll,
  seek,
  get,
  readTrimmed,
  trim,
  flush,
  reopen,
  kill,
  lookOn,
  marks,
]

describe('a log', () => {
  it('does what an array does, whatever is called in whatever order', {
    timeout: 120_000,
  }, async () => {
    const runs = Number(process.env.TIDEMARK_MODEL_RUNS ?? caseCount(250, 80))
    const property = fc.asyncProperty(
      settings,
      fc.commands<Model, Real, false>(COMMANDS as fc.Arbitrary<Command>[], {
        maxCommands: 60,
        size: 'max',
      }),
      async (options, commands) => {
        const files = new ForgetfulFiles()
        const real: Real = {
          files,
          options: options as PlainOptions,
          log: await openOn(files, options as PlainOptions),
        }
        try {
          await fc.asyncModelRun(() => ({ model: new Model(), real }), commands)
        } finally {
          await real.log.close()
        }
      },
    )
    await fc.assert(property, { numRuns: runs })
  })
})
