import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type Log, TidemarkError } from 'tidemark'
import {
  cloneAll,
  errnoError,
  type FileOpKind,
  type ForgetfulFiles,
  seededRandom,
} from 'tidemark/testing'
import { caseCount } from '../cases.ts'
import { newFiles, openOn, settle, textsOf, worstCrash } from './fixtures.ts'

// Appends, trims and openings on a disk that fails now and then, in every kind of operation, whole or in
// part. What was acknowledged is never lost; what was rejected with IO never comes back; what was
// rejected with POISONED may be there or not, in its order.

const KINDS: readonly FileOpKind[] = [
  'create',
  'write',
  'truncate',
  'datasync',
  'syncDirectory',
  'rename',
  'remove',
  'read',
]

type Fate = 'acknowledged' | 'rejected' | 'unknown'

class Trial {
  files: ForgetfulFiles = newFiles()
  log: Log | undefined
  low = 0
  faults = 0
  /** Texts in the order of their appends. */
  readonly texts: { readonly text: string; fate: Fate }[] = []
  readonly seed: number
  readonly #random: ReturnType<typeof seededRandom>

  constructor(seed: number) {
    this.seed = seed
    this.#random = seededRandom(seed)
  }

  below(limit: number): number {
    return this.#random.uint32() % limit
  }

  /** From now on operations fail, each with a chance of one in `odds`. */
  fail(odds: number): void {
    const kinds = KINDS.filter(() => this.below(2) === 0)
    this.files.fault = (op) => {
      if (!kinds.includes(op.kind) || this.below(odds) > 0) return undefined
      this.faults++
      const error = errnoError(this.below(2) === 0 ? 'EIO' : 'ENOSPC', op.kind, op.path)
      const isPartial = op.kind === 'write' && this.below(2) === 0
      return isPartial ? { short: this.below((op.size ?? 0) + 1), error } : error
    }
  }

  async append(): Promise<void> {
    const { log } = this
    if (!log) return
    const how = this.below(4)
    const count = how === 1 ? 1 + this.below(5) : 1
    const mine = Array.from({ length: count }, (_, i) => {
      const size = this.below(20) === 0 ? 1_200_000 : this.below(200)
      const text = `${this.texts.length + i}${'.'.repeat(size)}`
      return { text, fate: 'unknown' as Fate }
    })
    this.texts.push(...mine)
    const settled = (fate: Fate) => {
      for (const each of mine) each.fate = fate
    }
    try {
      if (how === 0) log.appendSync(mine[0]!.text)
      else if (how === 1) await log.appendBatch(mine.map(({ text }) => text))
      else await log.append(mine[0]!.text)
      settled('acknowledged')
    } catch (error) {
      settled(this.#fateOf(error))
    }
  }

  #fateOf(error: unknown): Fate {
    assert(error instanceof TidemarkError, `seed ${this.seed}: ${String(error)}`)
    const codes = ['IO', 'POISONED', 'CLOSED', 'OVERLOADED']
    assert(codes.includes(error.code), `seed ${this.seed}: ${error.message}`)
    return error.code === 'POISONED' ? 'unknown' : 'rejected'
  }

  async trim(): Promise<void> {
    const { log } = this
    if (!log) return
    const before = this.low + this.below(log.highWaterMark - this.low + 1)
    try {
      await log.trim(before)
      this.low = before
    } catch (error) {
      this.#fateOf(error)
    }
    this.low = Math.max(this.low, log.lowWaterMark)
  }

  async reopen(options: { readonly mayFail: boolean; readonly isKilled: boolean }): Promise<void> {
    const dying = this.log
    if (options.isKilled) this.files = cloneAll(this.files)
    await dying?.close().catch(() => {})
    this.log = undefined
    if (!options.mayFail) this.files.fault = undefined
    try {
      this.log = await openOn(this.files, { segmentBytes: 600 + this.below(3000) })
    } catch (error) {
      assert(options.mayFail, `seed ${this.seed}: ${String(error)}`)
      assert(error instanceof TidemarkError && error.code === 'IO', `seed ${this.seed}: ${error}`)
      return
    }
    this.low = Math.max(this.low, this.log.lowWaterMark)
  }

  /** Checks a log, opened without faults, against what its appends were told. */
  async check(log: Log): Promise<void> {
    const found = await textsOf(log)
    const numbers = found.map((text) => Number.parseInt(text, 10))
    assert.deepEqual(
      numbers,
      [...numbers].sort((a, b) => a - b),
      `seed ${this.seed}: out of order`,
    )
    found.forEach((text, i) => {
      const { text: expected, fate } = this.texts[numbers[i]!]!
      assert.equal(text, expected)
      assert.notEqual(fate, 'rejected', `seed ${this.seed}: ${numbers[i]} has come back`)
    })
    // Those below the mark are gone, all others that were acknowledged must be there.
    const first = numbers[0] ?? Number.POSITIVE_INFINITY
    this.texts.forEach(({ fate }, number) => {
      const isKept = number > first && fate === 'acknowledged'
      if (isKept) assert(numbers.includes(number), `seed ${this.seed}: ${number} is lost`)
    })
    assert.equal(log.highWaterMark - log.lowWaterMark, found.length)
    if (log.lowWaterMark === 0 && this.texts[0]?.fate === 'acknowledged') {
      assert.equal(first, 0, `seed ${this.seed}: the first entry is lost`)
    }
  }
}

async function run(seed: number): Promise<Trial> {
  const trial = new Trial(seed)
  trial.log = await openOn(trial.files, { segmentBytes: 1000 })
  const appends: Promise<void>[] = []
  for (let step = 0; step < 60; step++) {
    const what = trial.below(20)
    if (what < 13) appends.push(trial.append())
    else if (what === 13) await trial.trim()
    else if (what <= 15) trial.fail(2 + trial.below(25))
    else if (what === 16) trial.files.fault = undefined
    else if (what <= 18) {
      await Promise.all(appends)
      await trial.reopen({ mayFail: trial.below(2) === 0, isKilled: trial.below(2) === 0 })
    } else await settle(trial.below(4))
  }
  await Promise.all(appends)
  await trial.reopen({ mayFail: false, isKilled: trial.below(2) === 0 })
  await trial.check(trial.log!)
  const survivor = await openOn(worstCrash(trial.files))
  await trial.check(survivor)
  await survivor.close()
  await trial.log!.close()
  return trial
}

describe('a log on a disk that fails', () => {
  it('keeps what it acknowledged and nothing that it rejected', async (t) => {
    const runs = Number(process.env.TIDEMARK_FAULT_RUNS ?? caseCount(300, 100))
    let faults = 0
    for (let seed = 1; seed <= runs; seed++) faults += (await run(seed)).faults
    t.diagnostic(`${faults} operations failed in ${runs} runs`)
    assert(faults > runs, 'too few operations failed')
  })
})
