import assert from 'node:assert/strict'
import { MIB } from '../../base/index.ts'
import { appendEach, type ContractSuite, entriesOf, patternBytes, someTexts } from './suite.ts'

/** Offsets, order, atomic batches, and that what went in comes out. */
export function appendContract(suite: ContractSuite): void {
  orderContract(suite)
  concurrencyContract(suite)
  fieldContract(suite)
  dataContract(suite)
}

function orderContract(suite: ContractSuite): void {
  suite.test('offsets strictly increase, and the high-water mark passes them', async (log) => {
    let last = -1
    for (const text of someTexts(20)) {
      const offset = await log.append(text)
      assert(offset > last, `offset ${offset} follows ${last}`)
      await log.barrier()
      assert(log.highWaterMark > offset, 'what is acknowledged lies below the high-water mark')
      last = offset
    }
    assert(log.lowWaterMark <= log.highWaterMark)
  })

  suite.test('the entries of a batch are consecutive, in order and together', async (log) => {
    await log.append('before')
    const { first, last } = await log.appendBatch(someTexts(5))
    const after = await log.append('after')
    assert.equal(last - first, 4)
    assert(after > last)
    const entries = await entriesOf(log, { from: first, to: last + 1 })
    assert.deepEqual(
      entries.map((entry) => [entry.offset, entry.data.toString()]),
      someTexts(5).map((text, i) => [first + i, text]),
    )
  })

  suite.test('a batch of one is a batch', async (log) => {
    const { first, last } = await log.appendBatch(['only'])
    assert.equal(first, last)
    assert.equal((await entriesOf(log))[0]?.data.toString(), 'only')
  })

  suite.test('terms never decrease', async (log) => {
    await appendEach(log, someTexts(3))
    await log.appendBatch(someTexts(3))
    let last = 0
    for (const entry of await entriesOf(log)) {
      assert(entry.term >= last, `term ${entry.term} follows ${last}`)
      last = entry.term
    }
  })
}

function concurrencyContract(suite: ContractSuite): void {
  suite.test('256 appends at once get distinct offsets in the order of the calls', async (log) => {
    const texts = someTexts(256)
    const settled: number[] = []
    const offsets = await Promise.all(
      texts.map(async (text, i) => {
        const offset = await log.append(text)
        settled.push(i)
        return offset
      }),
    )
    assert.deepEqual(
      settled,
      texts.map((_, i) => i),
      'they resolve in the order of the calls',
    )
    const entries = await entriesOf(log)
    assert.deepEqual(
      entries.map((entry) => [entry.offset, entry.data.toString()]),
      texts.map((text, i) => [offsets[i], text]),
    )
  })

  suite.test('appends and batches at once keep the order of the calls', async (log) => {
    const results = await Promise.all([
      log.append('a'),
      log.appendBatch(['b', 'c']),
      log.append('d'),
      log.appendBatch(['e', 'f', 'g']),
    ])
    const offsets = results.flatMap((at) => (typeof at === 'number' ? [at] : [at.first, at.last]))
    assert.deepEqual(
      offsets,
      [...offsets].sort((a, b) => a - b),
    )
    const texts = (await entriesOf(log)).map((entry) => entry.data.toString())
    assert.deepEqual(texts, ['a', 'b', 'c', 'd', 'e', 'f', 'g'])
  })
}

function fieldContract(suite: ContractSuite): void {
  suite.test('an entry has plain type, one offset and a timestamp unless told', async (log) => {
    const offset = await log.append('plain')
    const [entry] = await entriesOf(log)
    assert(entry)
    assert.equal(entry.offset, offset)
    assert.equal(entry.type, 1)
    assert.equal(entry.count, 1)
    assert(Number.isSafeInteger(entry.timestamp) && entry.timestamp > 0)
    assert(Buffer.isBuffer(entry.data))
  })

  suite.testPart('types', 'types go round', async (log) => {
    for (const type of [1, 128, 200, 255]) await log.append(`type ${type}`, { type })
    await log.appendBatch(['x', 'y'], { type: 129 })
    const types = (await entriesOf(log)).map((entry) => entry.type)
    assert.deepEqual(types, [1, 128, 200, 255, 129, 129])
  })

  suite.test('timestamps go round, whatever their order', async (log) => {
    const timestamps = [0, 1_700_000_000_000, 5, 2 ** 48 - 1]
    for (const timestamp of timestamps) await log.append('x', { timestamp })
    await log.appendBatch(['y', 'z'], { timestamp: 42 })
    const found = (await entriesOf(log)).map((entry) => entry.timestamp)
    assert.deepEqual(found, [...timestamps, 42, 42])
  })

  suite.testPart('count', 'an entry may span several offsets', async (log) => {
    const one = await log.append('one')
    const whole = await log.append('whole', { count: 10 })
    const next = await log.append('next')
    assert(whole > one)
    assert(next >= whole + 10, `${next} lies within the ten offsets from ${whole} on`)
    const entries = await entriesOf(log)
    assert.deepEqual(
      entries.map((entry) => [entry.offset, entry.count]),
      [
        [one, 1],
        [whole, 10],
        [next, 1],
      ],
    )
    for (const offset of [whole, whole + 1, whole + 9]) {
      assert.equal((await log.get(offset))?.offset, whole)
    }
    const from = await entriesOf(log, { from: whole + 5 })
    assert.deepEqual(
      from.map((entry) => entry.offset),
      [whole, next],
    )
  })
}

function dataContract(suite: ContractSuite): void {
  suite.test('bytes go round: none, all values, a mebibyte', async (log) => {
    const all = Buffer.from(Array.from({ length: 256 }, (_, i) => i))
    const data = [new Uint8Array(0), all, patternBytes(MIB, 7), Buffer.alloc(1000), all]
    for (const one of data) await log.append(one)
    await log.appendBatch(data)
    const entries = await entriesOf(log)
    assert.equal(entries.length, 2 * data.length)
    entries.forEach((entry, i) => {
      assert(entry.data.equals(data[i % data.length]!), `entry ${i} differs`)
    })
    for (const { offset, data } of entries) {
      assert((await log.get(offset))?.data.equals(data), `get(${offset}) differs`)
    }
  })

  suite.test('strings go in as UTF-8', async (log) => {
    const texts = ['', 'plain', 'naïve', '日本語', '🌊 tide 🌊', 'a\0b', 'x'.repeat(100_000)]
    for (const text of texts) await log.append(text)
    const entries = await entriesOf(log)
    assert.deepEqual(
      entries.map((entry) => entry.data.toString('utf8')),
      texts,
    )
  })

  suite.test('data is copied: the buffer is the caller’s again at once', async (log) => {
    const one = Buffer.from('original one')
    const many = [Buffer.from('original two'), Buffer.from('original three')]
    const appended = [log.append(one), log.appendBatch(many)]
    for (const buffer of [one, ...many]) buffer.fill(0x21)
    await Promise.all(appended)
    assert.deepEqual(
      (await entriesOf(log)).map((entry) => entry.data.toString()),
      ['original one', 'original two', 'original three'],
    )
  })

  suite.test('what was read is the caller’s: writing into it hurts nobody', async (log) => {
    const [offset] = await appendEach(log, ['keep me', 'and me'])
    for (const entry of await entriesOf(log)) entry.data.fill(0)
    ;(await log.get(offset!))?.data.fill(0)
    assert.equal((await log.get(offset!))?.data.toString(), 'keep me')
    const texts = (await entriesOf(log)).map((entry) => entry.data.toString())
    assert.deepEqual(texts, ['keep me', 'and me'])
  })
}
