import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { cloneAll, ManualClock } from 'tidemark/testing'
import { crc32 } from '#dist/base/index.js'
import {
  assertCode,
  barrierOf,
  gateOn,
  isPending,
  newFiles,
  settle,
  someTexts,
  textsOf,
  worstCrash,
} from './fixtures.ts'
import {
  appendTexts,
  assertHolds,
  entryOf,
  lines,
  linesOf,
  openReplica,
  storedOf,
  usingReplica,
} from './replica-fixtures.ts'

describe('a replica’s append', () => {
  it('keeps term, type, timestamp, count and checksum as they were born', async () => {
    const files = newFiles()
    const entries = [
      entryOf('system', 3, { type: 2, timestamp: 5 }),
      entryOf('counted', 3, { count: 7, type: 255 }),
      entryOf('', 3, { timestamp: 2 ** 48 - 1 }),
    ]
    await usingReplica(files, {}, async (log) => {
      assert.deepEqual(await log.replica.append(entries), { first: 0, last: 8 })
      assert.equal(log.replica.endOffset, 9)
    })
    await usingReplica(files, {}, async (log) => {
      const stored = await storedOf(log)
      assert.deepEqual(
        stored,
        [0, 1, 8].map((offset, i) => {
          const { data, ...fields } = entries[i]!
          return {
            ...fields,
            offset,
            data: Buffer.from(data),
            dataCrc: crc32(data),
            more: i < 2,
          }
        }),
      )
    })
  })

  it('believes no data that does not fit its checksum', async () => {
    const files = newFiles()
    await usingReplica(files, {}, async (log) => {
      await appendTexts(log, ['a'])
      const wrong = entryOf('b', 1, { dataCrc: crc32(Buffer.from('c')) })
      await assertCode('CORRUPT', log.replica.append([entryOf('ok'), wrong]))
      const good = entryOf('b', 1, { dataCrc: crc32(Buffer.from('b')) })
      await log.replica.append([good])
      assert.deepEqual(await linesOf(log), ['0/1 a', '1/1 b'])
    })
  })

  it('refuses fields that cannot be stored, and an empty batch', async () => {
    const files = newFiles()
    await usingReplica(files, {}, async (log) => {
      for (const wrong of [
        { term: -1 },
        { term: 2 ** 32 },
        { term: 0.5 },
        { type: 0 },
        { type: 256 },
        { timestamp: -1 },
        { count: 0 },
        { count: 1.5 },
      ]) {
        await assertCode(
          'INVALID_ARGUMENT',
          log.replica.append([entryOf('ok'), { ...entryOf('x'), ...wrong }]),
        )
      }
      await assertCode('INVALID_ARGUMENT', log.replica.append([]))
      assert.equal(log.replica.endOffset, 0)
    })
  })

  it('refuses a term below that of the entry before: no reader would believe it', async () => {
    const files = newFiles()
    await usingReplica(files, {}, async (log) => {
      await appendTexts(log, ['a'], 5)
      await assertCode('INVALID_ARGUMENT', log.replica.append([entryOf('b', 4)]))
      // Queued at the same time the first may be refused with the second, but nothing is mixed up.
      const first = log.replica.append([entryOf('b', 8)]).then(
        () => ['1/8 b'],
        () => [],
      )
      await assertCode('INVALID_ARGUMENT', log.replica.append([entryOf('c', 7)]))
      const expected = ['0/5 a', ...(await first)]
      const { last } = await log.replica.append([entryOf('d', 8)])
      expected.push(`${last}/8 d`)
      await assertHolds(log, expected)
    })
    await usingReplica(files, {}, async (log) => {
      assert.equal(log.replica.lastTerm, 8)
      assert.equal((await linesOf(log)).length, log.replica.endOffset)
    })
  })

  it('resolves when it is on this disk', async () => {
    const files = newFiles()
    const log = await openReplica(files)
    await appendTexts(log, ['a'])
    const gate = gateOn(files, 'datasync', '.store')
    const append = log.replica.append([entryOf('b')])
    await gate.reached()
    assert(await isPending(append))
    assert.equal(log.replica.syncedMark, 1)
    assert.equal(log.replica.endOffset, 2)
    gate.open()
    await append
    assert.equal(log.replica.syncedMark, 2)
    await usingReplica(worstCrash(files), {}, async (left) => {
      assert.deepEqual(await linesOf(left), ['0/1 a', '1/1 b'])
    })
    await log.close()
  })

  it('is refused once the log is closed', async () => {
    const log = await openReplica(newFiles())
    const { replica } = log
    await log.close()
    await assertCode('CLOSED', replica.append([entryOf('late')]))
    await assertCode('CLOSED', replica.truncateAfter(0))
    await assertCode('CLOSED', replica.reset(5, 1))
  })
})

describe('a replica’s high-water mark', () => {
  it('is moved by commit alone, and hides what is above', async () => {
    const files = newFiles()
    await usingReplica(files, {}, async (log) => {
      await appendTexts(log, someTexts(20))
      assert.equal(log.highWaterMark, 0)
      assert.deepEqual(await textsOf(log), [])
      assert.equal(await log.get(0), undefined)
      assert.deepEqual(await linesOf(log), lines(someTexts(20), 0, 1))
      log.replica.commit(7)
      assert.equal(log.highWaterMark, 7)
      assert.deepEqual(await textsOf(log), someTexts(7))
      assert.deepEqual(await textsOf(log, { reverse: true }), someTexts(7).toReversed())
      assert.equal((await log.get(6))?.data.toString(), 'entry 6')
      assert.equal(await log.get(7), undefined)
      assert.deepEqual(await textsOf(log, { fromTimestamp: 0 }), someTexts(7))
      log.replica.commit(3)
      assert.equal(log.highWaterMark, 7, 'it never falls')
      log.replica.commit(1000)
      assert.equal(log.highWaterMark, 20, 'and never passes what is there')
    })
  })

  it('never passes what is synced here', async () => {
    const files = newFiles()
    const log = await openReplica(files, { sync: 'never' })
    await appendTexts(log, someTexts(5))
    log.replica.commit(5)
    assert.equal(log.highWaterMark, 0, 'nothing of it is on this disk')
    await log.flush()
    log.replica.commit(4)
    assert.equal(log.highWaterMark, 4)
    await log.close()
  })

  it('wakes those who follow', async () => {
    const files = newFiles()
    await usingReplica(files, {}, async (log) => {
      await appendTexts(log, someTexts(3))
      const reader = log.read({ follow: true })
      const next = reader.next()
      assert(await isPending(next))
      log.replica.commit(1)
      assert.equal((await next).value?.data.toString(), 'entry 0')
      const second = reader.next()
      assert(await isPending(second))
      log.replica.commit(3)
      assert.equal((await second).value?.data.toString(), 'entry 1')
      await reader.return()
    })
  })

  it('outlives closing, whatever happened in that opening', async () => {
    const files = newFiles()
    await usingReplica(files, {}, async (log) => {
      await appendTexts(log, someTexts(10))
      log.replica.commit(4)
    })
    await usingReplica(files, {}, async (log) => {
      assert.equal(log.highWaterMark, 4)
      log.replica.commit(8)
    })
    await usingReplica(files, {}, async (log) => {
      assert.equal(log.highWaterMark, 8, 'a commit without a write counts too')
      await assertCode('INVALID_ARGUMENT', log.replica.truncateAfter(6))
      await log.replica.append([entryOf('more')])
    })
    await usingReplica(files, {}, async (log) => assert.equal(log.highWaterMark, 8))
  })

  it('is at most too low after the process has died', async () => {
    const files = newFiles()
    const clock = new ManualClock()
    const log = await openReplica(files, { clock })
    await appendTexts(log, someTexts(10))
    log.replica.commit(6)
    await clock.advance(10)
    log.replica.commit(9)
    const left = cloneAll(files)
    await log.close()
    await usingReplica(left, {}, async (again) => {
      assert([6, 9].includes(again.highWaterMark), `it is ${again.highWaterMark}`)
      assert.equal(again.replica.endOffset, 10, 'what was synced is there')
      again.replica.commit(10)
      assert.deepEqual(await textsOf(again), someTexts(10))
    })
  })

  it('is what another process sees', async () => {
    const files = newFiles()
    const clock = new ManualClock()
    const log = await openReplica(files, { clock })
    const { Log } = await import('tidemark')
    await appendTexts(log, someTexts(10))
    log.replica.commit(4)
    await clock.advance(10)
    const reader = await Log.open('/log', { files, mode: 'read', clock })
    assert.deepEqual(await textsOf(reader), someTexts(4))
    log.replica.commit(9)
    await clock.advance(10)
    await barrierOf(reader, clock)
    assert.deepEqual(await textsOf(reader), someTexts(9))
    await reader.close()
    await log.close()
  })

  it('bounds a trim', async () => {
    const files = newFiles()
    await usingReplica(files, {}, async (log) => {
      await appendTexts(log, someTexts(20))
      log.replica.commit(10)
      await assertCode('INVALID_ARGUMENT', log.trim(11))
      await log.trim(10)
      assert.deepEqual(await linesOf(log), lines(someTexts(10, 10), 10, 1))
    })
  })
})

describe('the term at an offset', () => {
  it('is known for every entry, in one segment or many', async () => {
    const files = newFiles()
    const expected: string[] = []
    await usingReplica(files, {}, async (log) => {
      for (let term = 1; term <= 9; term++) {
        const texts = someTexts(4, 4 * term)
        expected.push(...lines(texts, expected.length, term))
        await appendTexts(log, texts, term)
        assert.equal(log.replica.lastTerm, term)
      }
      await assertHolds(log, expected)
    })
    await usingReplica(files, { indexIntervalBytes: 4096 }, async (log) => {
      assert.equal(log.replica.lastTerm, 9)
      await assertHolds(log, expected)
    })
  })

  it('is known within a batch and within a counted entry', async () => {
    await usingReplica(newFiles(), {}, async (log) => {
      await log.replica.append([entryOf('a', 2), entryOf('b', 2, { count: 5 })])
      await log.replica.append([entryOf('c', 4)])
      const mixed = [entryOf('one', 5), entryOf('batch, two terms', 6)]
      await assertCode('INVALID_ARGUMENT', log.replica.append(mixed))
      assert.deepEqual(
        [0, 1, 2, 5, 6].map((offset) => log.replica.termAt(offset)),
        [2, 2, 2, 2, 4],
      )
    })
  })

  it('is refused outside the log', async () => {
    await usingReplica(newFiles(), {}, async (log) => {
      await assertCode('INVALID_ARGUMENT', () => log.replica.termAt(0))
      await appendTexts(log, someTexts(3))
      for (const offset of [3, 1000, -1, 0.5]) {
        await assertCode('INVALID_ARGUMENT', () => log.replica.termAt(offset))
      }
    })
  })

  it('outlives the trimming of its entry, and a reset', async () => {
    const files = newFiles()
    await usingReplica(files, {}, async (log) => {
      for (let term = 1; term <= 5; term++) await appendTexts(log, someTexts(4), term)
      log.replica.commit(20)
      await log.trim(9)
      assert.equal(log.replica.termAt(8), 3)
      await assertCode('INVALID_ARGUMENT', () => log.replica.termAt(7))
      await log.trim(20)
      assert.equal(log.replica.termAt(19), 5)
    })
    await usingReplica(files, {}, async (log) => {
      assert.equal(log.replica.termAt(19), 5)
      assert.equal(log.replica.lastTerm, 5)
      await log.replica.reset(50, 8)
      assert.equal(log.replica.termAt(49), 8)
      assert.equal(log.replica.lastTerm, 8)
    })
    await usingReplica(files, {}, async (log) => {
      assert.equal(log.replica.termAt(49), 8)
      assert.equal(log.replica.lastTerm, 8)
      await appendTexts(log, ['a'], 9)
      assert.equal(log.replica.termAt(50), 9)
    })
  })
})

describe('a replica’s read', () => {
  it('takes any range of what is there', async () => {
    await usingReplica(newFiles(), {}, async (log) => {
      await appendTexts(log, someTexts(40))
      const all = lines(someTexts(40), 0, 1)
      for (const [from, to] of [
        [0, 40],
        [0, 1],
        [39, 40],
        [13, 29],
        [5, 5],
        [35, 100],
      ] as const) {
        assert.deepEqual(await linesOf(log, from, to), all.slice(from, to))
      }
    })
  })

  it('throws TRIMMED below the mark', async () => {
    await usingReplica(newFiles(), {}, async (log) => {
      await appendTexts(log, someTexts(20))
      log.replica.commit(20)
      await log.trim(10)
      await assertCode('TRIMMED', linesOf(log, 5, 15))
    })
  })

  it('does not hold what is not written yet', async () => {
    const files = newFiles()
    const log = await openReplica(files, { segmentBytes: 2 ** 20 })
    await appendTexts(log, someTexts(3))
    const gate = gateOn(files, 'write', '.store')
    const append = log.replica.append([entryOf('x'.repeat(1_200_000))])
    await gate.reached()
    assert.equal(log.replica.endOffset, 3)
    assert.deepEqual(await linesOf(log), lines(someTexts(3), 0, 1))
    gate.open()
    await append
    await settle()
    assert.equal(log.replica.endOffset, 4)
    await log.close()
  })
})
