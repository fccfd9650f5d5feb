import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { Log } from 'tidemark'
import { cloneAll, ForgetfulFiles } from 'tidemark/testing'
import { caseCount } from '../cases.ts'
import { assertCode, textsOf, worstCrash } from './fixtures.ts'
import { entryOf, linesOf, openReplica, type ReplicaOptions } from './replica-fixtures.ts'

// A replica's log under any sequence of what its host may do, against an array of batches.

interface Batch {
  readonly first: number
  readonly end: number
  readonly term: number
  readonly texts: readonly string[]
}

class Model {
  batches: Batch[] = []
  base = 0
  baseTerm = 0
  low = 0
  high = 0
  counter = 0

  get end(): number {
    return this.batches.at(-1)?.end ?? this.base
  }

  get lastTerm(): number {
    return this.batches.at(-1)?.term ?? this.baseTerm
  }

  /** Where the log may be cut or committed. */
  ends(): number[] {
    return [this.base, ...this.batches.map((batch) => batch.end)]
  }

  lines(to = this.end): string[] {
    const all = this.batches.flatMap(({ first, term, texts }) =>
      texts.map((text, i) => ({ offset: first + i, line: `${first + i}/${term} ${text}` })),
    )
    return all.filter(({ offset }) => offset >= this.low && offset < to).map(({ line }) => line)
  }

  append(count: number, term: number): Batch {
    const first = this.end
    const texts = Array.from({ length: count }, () => `entry ${this.counter++}`)
    const batch = { first, end: first + count, term, texts }
    this.batches.push(batch)
    return batch
  }
}

interface Real {
  files: ForgetfulFiles
  log: Log
  options: ReplicaOptions
}

type Command = fc.AsyncCommand<Model, Real>

function command(name: string, run: (model: Model, real: Real) => Promise<void>): Command {
  return { check: () => true, run, toString: () => name }
}

function pick(from: readonly number[], at: number): number {
  return from[Math.min(from.length - 1, Math.floor(at * from.length))]!
}

const share = fc.double({ min: 0, max: 1, noNaN: true })
const counts = fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 5 })

async function appendBatches(model: Model, { log }: Real, sizes: readonly number[], rise: number) {
  const term = Math.max(1, model.lastTerm + rise)
  const batches = sizes.map((count) => model.append(count, term))
  const ranges = await Promise.all(
    batches.map(({ texts }) => log.replica.append(texts.map((text) => entryOf(text, term)))),
  )
  assert.deepEqual(
    ranges,
    batches.map(({ first, end }) => ({ first, last: end - 1 })),
  )
}

const append = fc
  .tuple(counts, fc.constantFrom(0, 0, 1, 3))
  .map(([sizes, rise]) =>
    command(`append ${sizes} term +${rise}`, (model, real) =>
      appendBatches(model, real, sizes, rise),
    ),
  )

const commit = share.map((at) =>
  command(`commit ${at}`, async (model, { log }) => {
    const offset = pick(model.ends(), at)
    await log.flush()
    log.replica.commit(offset)
    model.high = Math.max(model.high, offset)
    assert.equal(log.highWaterMark, model.high)
  }),
)

/** Cuts, and appends at once without waiting for it, half of the time. */
const cut = fc.tuple(share, counts, fc.boolean()).map(([at, sizes, atOnce]) =>
  command(`cut ${at}${atOnce ? ` and append ${sizes}` : ''}`, async (model, real) => {
    const choices = model.ends().filter((end) => end >= model.high)
    const offset = pick(choices, at)
    const cutting = real.log.replica.truncateAfter(offset)
    model.batches = model.batches.filter(({ end }) => end <= offset)
    if (atOnce) await appendBatches(model, real, sizes, 1)
    await cutting
  }),
)

const badCut = share.map((at) =>
  command(`cut inside a batch ${at}`, async (model, { log }) => {
    const inside = model.batches.filter(
      ({ first, end }) => end - first > 1 && first >= model.high && first >= model.low,
    )
    if (inside.length === 0) return
    const { first } = inside[Math.floor(at * (inside.length - 1))]!
    await assertCode('INVALID_ARGUMENT', log.replica.truncateAfter(first + 1))
  }),
)

const reset = fc
  .tuple(fc.integer({ min: 0, max: 50 }), fc.integer({ min: 0, max: 3 }))
  .map(([ahead, rise]) =>
    command(`reset to the end + ${ahead}, term +${rise}`, async (model, { log }) => {
      const offset = model.end + ahead
      const term = model.lastTerm + rise
      await log.replica.reset(offset, term)
      Object.assign(model, { batches: [], base: offset, baseTerm: term, low: offset, high: offset })
    }),
  )

const trim = share.map((at) =>
  command(`trim ${at}`, async (model, { log }) => {
    const before = Math.floor(model.low + at * (model.high - model.low))
    await log.trim(before)
    model.low = before
  }),
)

const settings = fc.record({
  sync: fc.constantFrom<ReplicaOptions['sync']>('always', 'never', { intervalMs: 1 }),
  segmentBytes: fc.constantFrom(512, 900, 100_000),
  indexIntervalBytes: fc.constantFrom(1, 300, 4096),
})

const reopen = settings.map((options) =>
  command(`close and open ${JSON.stringify(options)}`, async (model, real) => {
    await real.log.close()
    real.options = options as ReplicaOptions
    real.log = await openReplica(real.files, real.options)
    assert.equal(real.log.highWaterMark, model.high)
  }),
)

const kill = settings.map((options) =>
  command(`kill and open ${JSON.stringify(options)}`, async (model, real) => {
    const dying = real.log
    real.files = cloneAll(real.files)
    await dying.close()
    real.options = options as ReplicaOptions
    real.log = await openReplica(real.files, real.options)
    assert(real.log.highWaterMark <= model.high, 'the marks can only be too low')
    assert(real.log.highWaterMark >= model.low)
    // The host learns the mark again from its peers.
    await real.log.flush()
    real.log.replica.commit(model.high)
  }),
)

const powerLoss = fc.constant(
  command('flush, then the power is lost elsewhere', async (model, { log, files, options }) => {
    await log.flush()
    const survivor = await openReplica(worstCrash(files), options)
    assert.deepEqual(survivor.replica.damage, [])
    assert.deepEqual(await linesOf(survivor), model.lines())
    await survivor.close()
  }),
)

const look = fc.constant(
  command('look at everything', async (model, { log }) => {
    const { replica } = log
    assert.deepEqual(replica.damage, [])
    assert.deepEqual(
      [log.lowWaterMark, log.highWaterMark, replica.endOffset, replica.lastTerm],
      [model.low, model.high, model.end, model.lastTerm],
    )
    const lines = model.lines()
    assert.deepEqual(await linesOf(log), lines)
    for (const line of lines) {
      const [, offset, term] = /^(\d+)\/(\d+)/.exec(line)!
      assert.equal(replica.termAt(Number(offset)), Number(term))
    }
    const texts = model.lines(model.high).map((line) => line.slice(line.indexOf(' ') + 1))
    assert.deepEqual(await textsOf(log), texts)
    assert.deepEqual(await textsOf(log, { reverse: true }), texts.toReversed())
  }),
)

const termBefore = fc.constant(
  command('the term before the mark', async (model, { log }) => {
    if (model.low === 0) return
    const batch = model.batches.find(({ first, end }) => model.low > first && model.low <= end)
    const expected = batch ? batch.term : model.baseTerm
    if (model.low > model.base || model.low === model.base) {
      assert.equal(log.replica.termAt(model.low - 1), expected)
    }
  }),
)

const COMMANDS = [
  append,
  append,
  append,
  commit,
  cut,
  badCut,
  reset,
  trim,
  reopen,
  kill,
  powerLoss,
  look,
  look,
  termBefore,
]

describe('a replica’s log', () => {
  it('does what an array of batches does', { timeout: 120_000 }, async () => {
    const runs = Number(process.env.TIDEMARK_MODEL_RUNS ?? caseCount(250, 80))
    const property = fc.asyncProperty(
      settings,
      fc.commands<Model, Real, false>(COMMANDS as fc.Arbitrary<Command>[], {
        maxCommands: 50,
        size: 'max',
      }),
      async (options, commands) => {
        const files = new ForgetfulFiles()
        const log = await openReplica(files, options as ReplicaOptions)
        const real: Real = { files, log, options: options as ReplicaOptions }
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
