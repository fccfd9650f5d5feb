import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { DurableCursor, Log } from 'tidemark'
import { cloneAll, ManualClock } from 'tidemark/testing'
import { caseCount } from '../cases.ts'
import {
  assertCode,
  ENTRY_HEADER_BYTES,
  failOn,
  newFiles,
  openOn,
  type PlainOptions,
  patchFile,
  SEGMENT_HEADER_BYTES,
  settle,
  storesOf,
  traceOf,
  using,
  worstCrash,
} from './fixtures.ts'

/** Segments of exactly four entries of this size. */
const DATA = Buffer.alloc(72)
const STORE_BYTES = SEGMENT_HEADER_BYTES + 4 * (ENTRY_HEADER_BYTES + DATA.length)
const segmentBytes = STORE_BYTES
/** A segment with the append that began it. */
const NEW_BYTES = SEGMENT_HEADER_BYTES + ENTRY_HEADER_BYTES + DATA.length

async function append(log: Log, count: number, timestamp?: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    await log.append(DATA, timestamp === undefined ? {} : { timestamp })
  }
}

describe('trim: "slowest-cursor"', () => {
  const options: PlainOptions = { segmentBytes, trim: 'slowest-cursor' }

  it('trims nothing without a cursor', async () => {
    const files = newFiles()
    await using(files, options, (log) => append(log, 20))
    await using(files, options, async (log) => assert.equal(log.lowWaterMark, 0))
    assert.equal(storesOf(files).length, 5)
  })

  it('follows the slowest as segments are sealed', async () => {
    const files = newFiles()
    const log = await openOn(files, options)
    await append(log, 1)
    const [a, b] = [await log.cursor('a'), await log.cursor('b')]
    await append(log, 10)
    await a.commit(9)
    await b.commit(5)
    assert.equal(log.lowWaterMark, 0)
    // The 13th entry begins the fourth segment.
    await append(log, 2)
    await log.drained()
    assert.equal(log.lowWaterMark, 6)
    assert.equal(storesOf(files).length, 3)
    await log.close()
  })

  it('follows a cursor of this process when that leaves the oldest segment', async () => {
    const files = newFiles()
    const log = await openOn(files, options)
    await append(log, 11)
    const [a, b] = [await log.cursor('a'), await log.cursor('b')]
    await a.commit(9)
    await log.drained()
    assert.equal(log.lowWaterMark, 0)
    await b.commit(2)
    await log.drained()
    assert.equal(log.lowWaterMark, 0, 'as long as it would free nothing, a commit costs nothing')
    await b.commit(4)
    await log.drained()
    assert.equal(log.lowWaterMark, 5)
    await b.commit(8)
    await log.drained()
    assert.equal(log.lowWaterMark, 9)
    assert.equal(storesOf(files).length, 1)
    await log.close()
  })

  it('reads the positions of other processes when it rolls, and when it opens', async () => {
    const files = newFiles()
    const log = await openOn(files, options)
    await append(log, 8)
    const reader = await openOn(files, { mode: 'read' })
    await reader.barrier()
    const cursor = await reader.cursor('a')
    await cursor.commit(5)
    assert.equal(log.lowWaterMark, 0)
    await append(log, 1)
    await log.drained()
    assert.equal(log.lowWaterMark, 6)
    await cursor.commit(6)
    await log.close()
    await using(files, options, async (again) => assert.equal(again.lowWaterMark, 7))
    await reader.close()
  })

  it('trims nothing while it cannot tell who is the slowest', async () => {
    const files = newFiles()
    const log = await openOn(files, options)
    await append(log, 8)
    const [a, b] = [await log.cursor('a'), await log.cursor('b')]
    await a.commit(3)
    await a.close()
    await b.close()
    assert.equal(log.lowWaterMark, 0)
    patchFile(files, 'cursors/b.cursor', (bytes) => bytes.fill(0))
    await append(log, 8)
    await log.drained()
    assert.equal(log.lowWaterMark, 0)
    await log.cursors.delete('b')
    await append(log, 4)
    await log.drained()
    assert.equal(log.lowWaterMark, 4)
    await log.close()
  })

  it('goes on appending when it cannot trim, and tries again', async () => {
    const files = newFiles()
    const log = await openOn(files, options)
    await append(log, 4)
    const cursor = await log.cursor('a', { from: 'end' })
    const failed = failOn(files, 'create', 'meta.tmp', 'ENOSPC', 1)
    await append(log, 1)
    await log.drained()
    assert.deepEqual([failed.count, log.lowWaterMark], [1, 0])
    await append(log, 4)
    await log.drained()
    assert.equal(log.lowWaterMark, 4)
    assert.equal(cursor.missed, 0)
    await log.close()
  })

  it('is the host’s affair in a replica', async () => {
    const files = newFiles()
    const replica = true
    await assertCode('INVALID_ARGUMENT', openOn(files, { replica, trim: 'slowest-cursor' }))
    await assertCode('INVALID_ARGUMENT', openOn(files, { replica, retention: { maxBytes: 1 } }))
    await assertCode('INVALID_ARGUMENT', openOn(files, { trim: 'slowest' as 'manual' }))
    await assertCode('INVALID_ARGUMENT', openOn(files, { retention: { maxAge: 1 } as object }))
    await assertCode('INVALID_ARGUMENT', openOn(files, { retention: { maxBytes: 0 } }))
    await assertCode('INVALID_ARGUMENT', openOn(files, { retention: { maxAgeMs: 0.5 } }))
  })

  it('never passes the slowest, however it all falls together', { timeout: 120_000 }, async () => {
    const step = fc.oneof(
      { weight: 4, arbitrary: fc.record({ kind: fc.constant('append'), n: fc.nat(5) }) },
      {
        weight: 6,
        arbitrary: fc.record({ kind: fc.constant('commit'), n: fc.nat(2), by: fc.nat(6) }),
      },
      { weight: 4, arbitrary: fc.record({ kind: fc.constant('commit all'), by: fc.nat(8) }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant('reset'), n: fc.nat(2) }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant('reopen cursor'), n: fc.nat(2) }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant('trim') }) },
      { weight: 2, arbitrary: fc.record({ kind: fc.constant('settle') }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant('kill') }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant('power loss') }) },
    )
    let trimmed = 0
    const property = fc.asyncProperty(
      fc.array(step, { minLength: 10, maxLength: 40 }),
      async (steps) => {
        const run = new Interleaving()
        await run.open()
        for (const one of steps) await run.step(one)
        trimmed += await run.end()
      },
    )
    await fc.assert(property, {
      numRuns: Number(process.env.TIDEMARK_MODEL_RUNS ?? caseCount(150, 50)),
    })
    assert.ok(trimmed > 20, `only ${trimmed} offsets were trimmed in all runs`)
  })
})

type Step = { readonly kind: string; readonly n?: number; readonly by?: number }

/** Three cursors: two of the writer's process, one of another. Nothing is awaited unless it must be. */
class Interleaving {
  #files = newFiles()
  #log!: Log
  #reader!: Log
  #cursors: DurableCursor[] = []
  #waiting: Promise<unknown>[] = []
  /** What was committed last, and what the last reset was to. */
  #positions = [0, 0, 0]

  async open(): Promise<void> {
    this.#log = await openOn(this.#files, { segmentBytes, trim: 'slowest-cursor' })
    this.#reader = await openOn(this.#files, { mode: 'read' })
    this.#cursors = [
      await this.#log.cursor('a'),
      await this.#log.cursor('b'),
      await this.#reader.cursor('c'),
    ]
    this.#check()
  }

  async step({ kind, n = 0, by = 0 }: Step): Promise<void> {
    const log = this.#log
    if (kind === 'append') for (let i = 0; i < n; i++) this.#later(log.append(DATA))
    else if (kind === 'commit') await this.#commit(n, by)
    else if (kind === 'commit all') await this.#commitAll(by)
    else if (kind === 'reset') await this.#reset(n)
    else if (kind === 'reopen cursor') await this.#reopen(n)
    else if (kind === 'trim') this.#later(log.trim('slowest-cursor'))
    else if (kind === 'settle') await this.#settle()
    else await this.#crash(kind)
    this.#check()
  }

  #later(promise: Promise<unknown>): void {
    promise.catch(() => {})
    this.#waiting.push(promise)
  }

  async #commit(n: number, by: number): Promise<void> {
    const cursor = this.#cursors[n]!
    if (n === 2) await this.#reader.barrier()
    const { highWaterMark } = n === 2 ? this.#reader : this.#log
    const offset = Math.min(cursor.position + by, highWaterMark - 1)
    if (offset < cursor.position) return
    this.#later(cursor.commit(offset))
    this.#positions[n] = offset + 1
  }

  async #commitAll(by: number): Promise<void> {
    for (const n of this.#cursors.keys()) await this.#commit(n, by)
  }

  /** Where a trim is not under way: another process has no part in the writer's sequence. */
  async #reset(n: number): Promise<void> {
    if (n === 2) await this.#settle()
    if (n === 2) await this.#reader.barrier()
    const cursor = this.#cursors[n]!
    this.#later(cursor.reset('start'))
    await settle(3)
    await this.#settle()
    this.#positions[n] = cursor.position
  }

  async #reopen(n: number): Promise<void> {
    const { name } = this.#cursors[n]!
    await this.#cursors[n]!.close()
    this.#cursors[n] = await (n === 2 ? this.#reader : this.#log).cursor(name)
  }

  async #settle(): Promise<void> {
    await Promise.all(this.#waiting)
    this.#waiting = []
    await this.#log.drained()
  }

  async #crash(kind: string): Promise<void> {
    const left = kind === 'kill' ? cloneAll(this.#files) : worstCrash(this.#files)
    const [log, reader] = [this.#log, this.#reader]
    this.#files = left
    this.#waiting = []
    await Promise.all([log.close(), reader.close()])
    await this.open()
    this.#cursors.forEach((cursor, n) => {
      const before = this.#positions[n]!
      if (kind === 'kill') assert.equal(cursor.position, before)
      else assert.ok(cursor.position <= before)
      this.#positions[n] = cursor.position
    })
  }

  #check(): void {
    for (const { name, missed, position } of this.#cursors) {
      assert.equal(missed, 0, `${name} was passed`)
      assert.ok(this.#log.lowWaterMark <= position, `${name} at ${position} was passed`)
    }
  }

  /** Returns how far the log was trimmed. */
  async end(): Promise<number> {
    await this.#settle()
    await this.#log.trim('slowest-cursor')
    assert.equal(this.#log.lowWaterMark, Math.min(...this.#positions))
    for (const cursor of this.#cursors) {
      for await (const { offset } of cursor.read({ follow: false })) assert.ok(offset >= 0)
    }
    await this.#reader.close()
    await this.#log.close()
    return this.#log.lowWaterMark
  }
}

describe('retention by bytes', () => {
  it('keeps no more than it says when a segment begins, and gives up no more than it must', async () => {
    for (const maxBytes of [
      2 * STORE_BYTES + NEW_BYTES,
      2 * STORE_BYTES + NEW_BYTES - 1,
      1,
      10 * STORE_BYTES,
    ]) {
      const files = newFiles()
      const log = await openOn(files, { segmentBytes, retention: { maxBytes } })
      for (let count = 1; count <= 40; count++) {
        await append(log, 1)
        await log.drained()
        const sealed = Math.floor((count - 1) / 4)
        const kept = Math.min(sealed, Math.max(0, Math.floor((maxBytes - NEW_BYTES) / STORE_BYTES)))
        assert.equal(log.lowWaterMark, 4 * (sealed - kept), `${maxBytes} bytes, ${count} entries`)
        assert.equal(storesOf(files).length, kept + 1)
      }
      await log.close()
    }
  })

  it('is enforced on opening, and never gives up the active segment', async () => {
    const files = newFiles()
    await using(files, { segmentBytes }, (log) => append(log, 15))
    await using(files, { retention: { maxBytes: 1 } }, async (log) => {
      assert.equal(log.lowWaterMark, 12)
      assert.equal(log.highWaterMark, 15)
    })
    assert.equal(storesOf(files).length, 1)
  })
})

describe('retention by age', () => {
  const open = (files = newFiles(), clock = new ManualClock(), maxAgeMs = 1000) =>
    openOn(files, { segmentBytes, clock, retention: { maxAgeMs } })

  it('gives up a segment when its newest entry is older, to the millisecond', async () => {
    for (const [wait, low] of [
      [1000, 0],
      [1001, 4],
    ] as const) {
      const files = newFiles()
      const clock = new ManualClock()
      const log = await open(files, clock)
      await append(log, 3)
      await clock.advance(10)
      await append(log, 1)
      await clock.advance(wait)
      await append(log, 1)
      await log.drained()
      assert.equal(log.lowWaterMark, low, `after ${wait} ms`)
      await log.close()
    }
  })

  it('is enforced on opening; a log that nobody appends to waits for that', async () => {
    const files = newFiles()
    const clock = new ManualClock()
    const log = await open(files, clock)
    await append(log, 9)
    await clock.advance(5000)
    assert.equal(log.lowWaterMark, 0)
    assert.equal(clock.pendingTimers, 0)
    await log.close()
    const again = await open(files, clock)
    // The newest entry is as old, and stays: it is in the active segment.
    assert.deepEqual([again.lowWaterMark, again.highWaterMark], [8, 9])
    await again.close()
  })

  it('goes by the entries’ own timestamps, also where they are not in order', async () => {
    const files = newFiles()
    const clock = new ManualClock()
    const now = clock.now()
    const log = await open(files, clock)
    await append(log, 4, now + 60_000)
    await append(log, 4, 1)
    await append(log, 1)
    await log.drained()
    assert.equal(log.lowWaterMark, 0, 'what is behind a segment that stays, stays')
    await log.trim(4)
    await append(log, 4)
    await log.drained()
    assert.equal(log.lowWaterMark, 8, 'an old segment goes though an earlier entry was newer')
    await log.close()
  })

  it('does not wait for cursors, and they are told', async () => {
    const files = newFiles()
    const clock = new ManualClock()
    const log = await openOn(files, {
      segmentBytes,
      clock,
      trim: 'slowest-cursor',
      retention: { maxAgeMs: 1000 },
    })
    await append(log, 4)
    const cursor = await log.cursor('a')
    await clock.advance(2000)
    await append(log, 1)
    await log.drained()
    assert.equal(log.lowWaterMark, 4)
    const error = await assertCode('TRIMMED', cursor.read().next())
    assert.deepEqual(error.details, { offset: 0, lowWaterMark: 4 })
    await cursor.close()
    assert.equal((await log.cursor('a')).missed, 4)
    await log.close()
  })

  it('raises the mark on the disk before a file is removed', async () => {
    const files = newFiles()
    const clock = new ManualClock()
    const log = await open(files, clock)
    await append(log, 4)
    await clock.advance(2000)
    const from = files.trace().length
    await append(log, 1)
    await log.drained()
    const lines = traceOf(files, '', from)
    const renamed = lines.findIndex((line) => line.startsWith('rename') && line.includes('meta'))
    const removed = lines.findIndex((line) => line.startsWith('remove') && line.includes('.store'))
    const synced = lines.findIndex((line, at) => at > renamed && line.startsWith('syncdir'))
    assert.ok(renamed >= 0 && synced > renamed && removed > synced, lines.join('\n'))
    await log.close()
  })
})
