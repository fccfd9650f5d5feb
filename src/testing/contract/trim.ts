import assert from 'node:assert/strict'
import {
  appendEach,
  assertCode,
  type ContractSuite,
  entriesOf,
  someTexts,
  textsOf,
} from './suite.ts'

/** The low-water mark: exact, never falling, and never silent. */
export function trimContract(suite: ContractSuite): void {
  markContract(suite)
  readerContract(suite)
}

function markContract(suite: ContractSuite): void {
  suite.testPart('trim', 'the low-water mark is exactly what was asked for', async (log) => {
    const at = await appendEach(log, someTexts(40))
    for (const i of [1, 2, 17, 39]) {
      await log.trim(at[i]!)
      assert.equal(log.lowWaterMark, at[i])
      const offsets = (await entriesOf(log)).map((entry) => entry.offset)
      assert.deepEqual(offsets, at.slice(i))
      assert.equal((await log.get(at[i]!))?.offset, at[i])
      assert.equal(await log.get(at[i - 1]!), undefined)
    }
  })

  suite.testPart('trim', 'a lower trim changes nothing', async (log) => {
    const at = await appendEach(log, someTexts(10))
    await log.trim(at[6]!)
    await log.trim(at[2]!)
    await log.trim(at[6]!)
    await log.trim(0)
    assert.equal(log.lowWaterMark, at[6])
    assert.deepEqual(await textsOf(log), someTexts(10).slice(6))
  })

  suite.testPart('trim', 'everything may go, and appends go on', async (log) => {
    const at = await appendEach(log, someTexts(10))
    await log.barrier()
    const end = log.highWaterMark
    await log.trim(end)
    assert.equal(log.lowWaterMark, end)
    assert.deepEqual(await textsOf(log), [])
    assert.equal(await log.get(at[9]!), undefined)
    const next = await log.append('next')
    assert(next >= end, `offset ${next} was used before`)
    assert.deepEqual(await textsOf(log), ['next'])
  })

  suite.testPart('trim', 'a trim beyond the high-water mark is refused', async (log) => {
    await appendEach(log, someTexts(3))
    await log.barrier()
    const { lowWaterMark, highWaterMark } = log
    await assertCode('INVALID_ARGUMENT', () => log.trim(highWaterMark + 1))
    for (const wrong of [-1, 0.5, Number.NaN, undefined as unknown as number]) {
      await assertCode('INVALID_ARGUMENT', () => log.trim(wrong))
    }
    assert.equal(log.lowWaterMark, lowWaterMark)
    assert.deepEqual(await textsOf(log), someTexts(3))
  })

  suite.testPart('trim', 'trims and appends at once do not disturb each other', async (log) => {
    const at = await appendEach(log, someTexts(20))
    const results = await Promise.all([
      log.append('a'),
      log.trim(at[5]!),
      log.append('b'),
      log.trim(at[15]!),
      log.trim(at[10]!),
      log.append('c'),
    ])
    assert(results.length === 6)
    assert.equal(log.lowWaterMark, at[15])
    assert.deepEqual(await textsOf(log), [...someTexts(20).slice(15), 'a', 'b', 'c'])
  })
}

function readerContract(suite: ContractSuite): void {
  suite.testPart('trim', 'a read from below the mark throws TRIMMED', async (log) => {
    const at = await appendEach(log, someTexts(10))
    await log.trim(at[5]!)
    for (const from of [at[0]!, at[4]!]) {
      const error = await assertCode('TRIMMED', () => log.read({ from }).next())
      assert.equal(error.details.lowWaterMark, at[5])
    }
    await assertCode('TRIMMED', () => log.read({ from: at[4]!, follow: true }).next())
    assert.deepEqual(await textsOf(log, { from: at[5]! }), someTexts(10).slice(5))
  })

  suite.testPart('trim', 'a reader that the mark overtakes gets TRIMMED', async (log) => {
    for (let i = 0; i < 64; i++) await log.append(Buffer.alloc(65_536, i))
    const last = await log.append('last')
    const reader = log.read()
    assert.equal((await reader.next()).value?.data.length, 65_536)
    await log.trim(last)
    let seen = 1
    await assertCode('TRIMMED', async () => {
      for await (const entry of reader) {
        assert.equal(entry.data[0], seen, 'what a reader still has in hand it may give, in order')
        seen++
      }
    })
    assert.equal((await reader.next()).done, true)
  })

  suite.testPart('trim', 'a follower at the end is not hurt by a trim', async (log) => {
    await appendEach(log, someTexts(5))
    await log.barrier()
    const end = log.highWaterMark
    const reader = log.read({ from: end, follow: true })
    const next = reader.next()
    await log.trim(end)
    await log.append('more')
    assert.equal((await next).value?.data.toString(), 'more')
    await reader.return()
  })

  suite.testPart(['trim', 'reverse'], 'a reverse read stops at the mark', async (log) => {
    const at = await appendEach(log, someTexts(10))
    await log.trim(at[7]!)
    assert.deepEqual(await textsOf(log, { reverse: true }), someTexts(10).slice(7).toReversed())
    const from = { from: at[6]!, reverse: true }
    await assertCode('TRIMMED', () => log.read(from).next())
  })

  suite.testPart('trim', 'a get beside a trim finds the entry or nothing', async (log) => {
    const at = await appendEach(log, someTexts(30))
    await log.barrier()
    const gets = at.map((offset) => log.get(offset))
    await log.trim(at[29]!)
    const entries = await Promise.all(gets)
    entries.forEach((entry, i) => {
      if (entry) assert.equal(entry.data.toString(), `entry ${i}`)
    })
    assert.equal(entries[29]?.offset, at[29])
  })
}
