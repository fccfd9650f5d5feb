import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type Codec, json, Log, text } from 'tidemark'
import { ForgetfulFiles } from 'tidemark/testing'
import { assertCode, entriesOf, FOLDER } from './fixtures.ts'

async function dataOf<T>(log: Log<T, never>): Promise<T[]> {
  return (await entriesOf<T>(log)).map((entry) => entry.data)
}

describe('the text codec', () => {
  it('gives strings back as they were, a byte order mark included', async () => {
    const texts = ['', 'plain', '\ufeffmarked', 'nul \0 inside', '日本語 🌊', 'x'.repeat(70_000)]
    const log = await Log.open(FOLDER, { files: new ForgetfulFiles(), codec: text })
    for (const one of texts) await log.append(one)
    log.appendSync('sync')
    await log.appendBatch(texts)
    assert.deepEqual(await dataOf(log), [...texts, 'sync', ...texts])
    assert.equal((await log.get(4))?.data, '日本語 🌊')
    await log.close()
  })
})

describe('the json codec', () => {
  const open = () => Log.open(FOLDER, { files: new ForgetfulFiles(), codec: json() })

  it('gives values back', async () => {
    const values = [null, 0, 'x', [1, [2]], { a: { b: '日' } }, true, '']
    const log = await open()
    await log.appendBatch(values)
    assert.deepEqual(await dataOf(log), values)
    await log.close()
  })

  it('refuses what is not JSON, and writes nothing of it', async () => {
    const log = await open()
    for (const value of [undefined, () => 1, Symbol('s')]) {
      await assertCode('INVALID_ARGUMENT', log.append(value))
      await assertCode('INVALID_ARGUMENT', log.appendBatch(['good', value]))
      await assertCode('INVALID_ARGUMENT', () => log.appendSync(value))
    }
    const circular: { self?: unknown } = {}
    circular.self = circular
    await assert.rejects(log.append(circular), TypeError)
    await assert.rejects(log.append(1n), TypeError)
    assert.equal(await log.append('good'), 0)
    await log.close()
  })
})

describe('a codec of one’s own', () => {
  const dates: Codec<Date> = {
    encode: (date) => {
      const bytes = new Uint8Array(8)
      new DataView(bytes.buffer).setFloat64(0, date.getTime())
      return bytes
    },
    decode: (bytes) => new Date(bytes.readDoubleBE(0)),
  }

  it('is used for every way in and out', async () => {
    const files = new ForgetfulFiles()
    const log = await Log.open(FOLDER, { files, codec: dates })
    const values = [0, 1e12, -1, 5].map((ms) => new Date(ms))
    await log.append(values[0]!)
    log.appendSync(values[1]!)
    await log.appendBatch(values.slice(2))
    assert.deepEqual(await dataOf(log), values)
    assert.deepEqual((await log.get(2))?.data, values[2])
    const reversed = await entriesOf<Date>(log, { reverse: true })
    assert.deepEqual(
      reversed.map((entry) => entry.data),
      values.toReversed(),
    )
    await log.close()
    const plain = await Log.open(FOLDER, { files })
    assert.equal((await plain.get(1))?.data.readDoubleBE(0), 1e12)
    await plain.close()
  })

  it('may take something else than it gives', async () => {
    const upper: Codec<string, number | string> = {
      encode: (value) => String(value).toUpperCase(),
      decode: (bytes) => bytes.toString(),
    }
    const log = await Log.open(FOLDER, { files: new ForgetfulFiles(), codec: upper })
    await log.append(5)
    await log.appendBatch(['abc', 7])
    const found = (await entriesOf<string>(log)).map((entry) => entry.data)
    assert.deepEqual(found, ['5', 'ABC', '7'])
    await log.close()
  })

  it('that cannot encode a value leaves the log as it was', async () => {
    const failure = new RangeError('no such value')
    const picky: Codec<string> = {
      encode: (value) => {
        if (value === 'bad') throw failure
        return value
      },
      decode: (bytes) => bytes.toString(),
    }
    const log = await Log.open(FOLDER, { files: new ForgetfulFiles(), codec: picky })
    const isFailure = (error: unknown) => error === failure
    const before = log.append('a')
    await assert.rejects(log.append('bad'), isFailure)
    await assert.rejects(log.appendBatch(['b', 'bad']), isFailure)
    assert.throws(() => log.appendSync('bad'), isFailure)
    assert.deepEqual([await before, await log.append('c')], [0, 1])
    assert.deepEqual(await dataOf(log), ['a', 'c'])
    await log.close()
  })

  it('that makes something else than bytes or a string is refused', async () => {
    for (const made of [5, null, { length: 3 }, Promise.resolve('late'), [1, 2]]) {
      const wrong: Codec<string> = {
        encode: () => made as unknown as string,
        decode: (bytes) => bytes.toString(),
      }
      const log = await Log.open(FOLDER, { files: new ForgetfulFiles(), codec: wrong })
      await assertCode('INVALID_ARGUMENT', log.append('x'))
      await assertCode('INVALID_ARGUMENT', () => log.appendSync('x'))
      assert.equal(log.highWaterMark, 0)
      await log.close()
    }
  })

  it('that cannot decode an entry fails the read there, with its own error', async () => {
    const failure = new SyntaxError('cannot read this')
    const picky: Codec<string> = {
      encode: (value) => value,
      decode: (bytes) => {
        if (bytes.toString() === 'bad') throw failure
        return bytes.toString()
      },
    }
    const log = await Log.open(FOLDER, { files: new ForgetfulFiles(), codec: picky })
    await log.appendBatch(['a', 'bad', 'c'])
    const isFailure = (error: unknown) => error === failure
    const reader = log.read()
    assert.equal((await reader.next()).value?.data, 'a')
    await assert.rejects(reader.next(), isFailure)
    assert.equal((await reader.next()).done, true)
    await assert.rejects(entriesOf(log, { reverse: true }), isFailure)
    await assert.rejects(log.get(1), isFailure)
    assert.equal((await log.get(2))?.data, 'c')
    const rest = (await entriesOf<string>(log, { from: 2 })).map((entry) => entry.data)
    assert.deepEqual(rest, ['c'])
    await log.close()
  })
})
