import assert from 'node:assert/strict'
import { appendEach, type ContractLog, type ContractSuite, entriesOf, someTexts } from './suite.ts'

/** Ranges, both directions, single entries, and every way to hold an iterator. */
export function readContract(suite: ContractSuite): void {
  rangeContract(suite)
  reverseContract(suite)
  getContract(suite)
  iteratorContract(suite)
  concurrencyContract(suite)
}

async function offsetsOf(
  log: ContractLog,
  options?: Parameters<ContractLog['read']>[0],
): Promise<number[]> {
  return (await entriesOf(log, options)).map((entry) => entry.offset)
}

function rangeContract(suite: ContractSuite): void {
  suite.test('an empty log has nothing to read', async (log) => {
    assert.deepEqual(await offsetsOf(log), [])
    assert.deepEqual(await offsetsOf(log, { from: 0, to: 100 }), [])
    assert.equal(await log.get(0), undefined)
    assert.equal(await log.get(100), undefined)
  })

  suite.test('from and to bound a read; without them it is everything', async (log) => {
    const at = await appendEach(log, someTexts(30))
    assert.deepEqual(await offsetsOf(log), at)
    for (const [i, j] of [
      [0, 30],
      [0, 1],
      [29, 30],
      [7, 19],
      [12, 12],
    ] as const) {
      const to = j === 30 ? log.highWaterMark : at[j]!
      assert.deepEqual(await offsetsOf(log, { from: at[i]!, to }), at.slice(i, j), `${i} to ${j}`)
    }
    assert.deepEqual(await offsetsOf(log, { from: at[25]! }), at.slice(25))
    assert.deepEqual(await offsetsOf(log, { to: at[3]! }), at.slice(0, 3))
  })

  suite.test(
    'a range beyond the high-water mark ends there, and a reversed one is empty',
    async (log) => {
      const at = await appendEach(log, someTexts(4))
      const end = log.highWaterMark
      assert.deepEqual(await offsetsOf(log, { to: end + 1000 }), at)
      assert.deepEqual(await offsetsOf(log, { from: end }), [])
      assert.deepEqual(await offsetsOf(log, { from: end + 5 }), [])
      assert.deepEqual(await offsetsOf(log, { from: at[3]!, to: at[1]! }), [])
    },
  )

  suite.test('a read may begin and end inside a batch', async (log) => {
    const { first } = await log.appendBatch(someTexts(9))
    const expected = [first + 2, first + 3, first + 4]
    assert.deepEqual(await offsetsOf(log, { from: first + 2, to: first + 5 }), expected)
  })

  suite.test('entries of every size are read in order', async (log) => {
    const sizes = [0, 1, 4095, 4096, 4097, 20_000, 70_000, 300_000, 3, 0, 16_384]
    const buffers = sizes.map((size, i) => Buffer.alloc(size, i + 1))
    await log.appendBatch(buffers)
    const entries = await entriesOf(log)
    assert.deepEqual(
      entries.map((entry) => entry.data.length),
      sizes,
    )
    entries.forEach((entry, i) => {
      assert(entry.data.equals(buffers[i]!), `entry ${i} differs`)
    })
  })
}

function reverseContract(suite: ContractSuite): void {
  suite.testPart('reverse', 'a reverse read is the same range turned round', async (log) => {
    const at = await appendEach(log, someTexts(40))
    assert.deepEqual(await offsetsOf(log, { reverse: true }), at.toReversed())
    const options = { from: at[5]!, to: at[31]!, reverse: true }
    assert.deepEqual(await offsetsOf(log, options), at.slice(5, 31).toReversed())
    assert.deepEqual(await offsetsOf(log, { to: at[0]!, reverse: true }), [])
    assert.deepEqual(await offsetsOf(log, { from: log.highWaterMark, reverse: true }), [])
  })

  suite.testPart('reverse', 'the newest entry is one step of a reverse read', async (log) => {
    const at = await appendEach(log, someTexts(10))
    await log.barrier()
    const reader = log.read({ reverse: true })
    const { value } = await reader.next()
    await reader.return()
    assert.equal(value?.offset, at.at(-1))
  })

  suite.testPart('reverse', 'a reverse read has entries of every size', async (log) => {
    const sizes = [70_000, 0, 300_000, 1, 66_000, 12]
    await log.appendBatch(sizes.map((size, i) => Buffer.alloc(size, i)))
    const entries = await entriesOf(log, { reverse: true })
    assert.deepEqual(
      entries.map((entry) => entry.data.length),
      sizes.toReversed(),
    )
  })
}

function getContract(suite: ContractSuite): void {
  suite.test('get finds every entry, in any order, and nothing outside the marks', async (log) => {
    const texts = someTexts(50)
    const at = await appendEach(log, texts)
    await log.barrier()
    for (let i = 0; i < 50; i++) {
      const pick = (i * 17) % 50
      const entry = await log.get(at[pick]!)
      assert.equal(entry?.offset, at[pick])
      assert.equal(entry?.data.toString(), texts[pick])
    }
    assert.equal(await log.get(log.highWaterMark), undefined)
    assert.equal(await log.get(log.highWaterMark + 1000), undefined)
  })

  suite.test('many gets at once each find their own entry', async (log) => {
    const at = await appendEach(log, someTexts(40))
    await log.barrier()
    const entries = await Promise.all(at.toReversed().map((offset) => log.get(offset)))
    assert.deepEqual(
      entries.map((entry) => entry?.offset),
      at.toReversed(),
    )
  })

  suite.test('get sees an entry as soon as its append has resolved', async (log) => {
    for (let i = 0; i < 10; i++) {
      const offset = await log.append(`new ${i}`)
      await log.barrier()
      assert.equal((await log.get(offset))?.data.toString(), `new ${i}`)
    }
  })
}

function iteratorContract(suite: ContractSuite): void {
  suite.test('batches() gives the same entries in arrays, none of them empty', async (log) => {
    const at = await appendEach(log, someTexts(60))
    await log.barrier()
    const found: number[] = []
    for await (const batch of log.read({ from: at[3]! }).batches()) {
      assert(batch.length > 0)
      found.push(...batch.map((entry) => entry.offset))
    }
    assert.deepEqual(found, at.slice(3))
  })

  suite.test('next() called many times without awaiting keeps the order', async (log) => {
    const at = await appendEach(log, someTexts(20))
    await log.barrier()
    const reader = log.read()
    const results = await Promise.all(Array.from({ length: 25 }, () => reader.next()))
    assert.deepEqual(
      results.map((result) => result.value?.offset),
      [...at, undefined, undefined, undefined, undefined, undefined],
    )
    assert.deepEqual(
      results.map((result) => result.done === true),
      results.map((_, i) => i >= 20),
    )
  })

  suite.test('an iterator that is done, or was given back, stays done', async (log) => {
    await appendEach(log, someTexts(5))
    await log.barrier()
    const reader = log.read()
    await reader.next()
    assert.equal((await reader.return()).done, true)
    assert.equal((await reader.next()).done, true)
    assert.equal((await reader.return()).done, true)
    const ended = log.read({ to: 0 })
    assert.equal((await ended.next()).done, true)
    await log.append('later')
    assert.equal((await ended.next()).done, true)
  })

  suite.test('a loop that is left early can be begun again', async (log) => {
    const at = await appendEach(log, someTexts(30))
    await log.barrier()
    for (let round = 0; round < 20; round++) {
      for await (const entry of log.read()) if (entry.offset === at[round]) break
      for await (const batch of log.read().batches()) if (batch.length > 0) break
    }
    assert.deepEqual(await offsetsOf(log), at)
  })
}

function concurrencyContract(suite: ContractSuite): void {
  suite.test('readers at the same time do not disturb each other', async (log) => {
    const at = await appendEach(log, someTexts(64))
    const all = await Promise.all(
      Array.from({ length: 16 }, (_, i) => offsetsOf(log, { from: at[i]! })),
    )
    all.forEach((offsets, i) => {
      assert.deepEqual(offsets, at.slice(i))
    })
  })

  suite.test(
    'a read beside appends sees the log up to some moment, without a hole',
    async (log) => {
      const at = await appendEach(log, someTexts(10))
      const appending = Promise.all(someTexts(200, 'beside').map((text) => log.append(text)))
      const seen: number[][] = []
      for (let i = 0; i < 10; i++) seen.push(await offsetsOf(log))
      const every = [...at, ...(await appending)]
      for (const offsets of seen) {
        assert(offsets.length >= at.length)
        assert.deepEqual(offsets, every.slice(0, offsets.length))
      }
    },
  )
}
