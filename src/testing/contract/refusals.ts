import assert from 'node:assert/strict'
import {
  assertCode,
  type ContractLog,
  type ContractSuite,
  entriesOf,
  someTexts,
  textsOf,
} from './suite.ts'

/** Wrong input is refused with a code, writes nothing, and leaves the log usable. */
export function refusalContract(suite: ContractSuite): void {
  sizeRefusals(suite)
  appendRefusals(suite)
  readRefusals(suite)
}

function sizeRefusals(suite: ContractSuite): void {
  suite.test('an entry at the limit fits; one byte more is TOO_LARGE', async (log) => {
    const limit = suite.maxEntryBytes
    await assertCode('TOO_LARGE', () => log.append(Buffer.alloc(limit + 1)))
    await assertCode('TOO_LARGE', () => log.append('x'.repeat(limit + 1)))
    const offset = await log.append(Buffer.alloc(limit, 1))
    await log.append('after')
    const [entry, after] = await entriesOf(log)
    assert.equal(entry?.offset, offset)
    assert.equal(entry?.data.length, limit)
    assert.equal(after?.data.toString(), 'after')
  })

  suite.test('a batch with one entry that is too large writes nothing', async (log) => {
    const large = Buffer.alloc(suite.maxEntryBytes + 1)
    const before = log.append('before')
    for (const batch of [
      [large, 'a', 'b'],
      ['a', large, 'b'],
      ['a', 'b', large],
    ]) {
      await assertCode('TOO_LARGE', () => log.appendBatch(batch))
    }
    const { first } = await log.appendBatch(['after', 'all'])
    assert((await before) < first)
    assert.deepEqual(await textsOf(log), ['before', 'after', 'all'])
  })
}

function appendRefusals(suite: ContractSuite): void {
  suite.test('an append with options that cannot be is refused', async (log) => {
    await log.append('good')
    const wrong: object[] = [
      { type: 0 },
      { type: 2 },
      { type: 127 },
      { type: 256 },
      { type: 1.5 },
      { type: 'data' },
      { timestamp: -1 },
      { timestamp: 2 ** 48 },
      { timestamp: 0.5 },
      { timestamp: new Date(0) },
      { count: 0 },
      { count: -1 },
      { count: 1.5 },
      { tpye: 128 },
    ]
    for (const options of wrong) {
      const error = await assertCode('INVALID_ARGUMENT', () => log.append('bad', options))
      assertNames(error.message, options)
      await assertCode('INVALID_ARGUMENT', () => log.appendBatch(['bad', 'worse'], options))
    }
    assert.deepEqual(await textsOf(log), ['good'])
  })

  suite.test('what is neither bytes nor a string, and an empty batch, are refused', async (log) => {
    for (const value of [undefined, null, 5, {}, [], new ArrayBuffer(4), new Uint16Array(2)]) {
      const wrong = value as unknown as string
      await assertCode('INVALID_ARGUMENT', () => log.append(wrong))
      await assertCode('INVALID_ARGUMENT', () => log.appendBatch(['good', wrong]))
    }
    await assertCode('INVALID_ARGUMENT', () => log.appendBatch([]))
    await assertCode('INVALID_ARGUMENT', () => log.appendBatch(new Array<string>(2)))
    await assertCode('INVALID_ARGUMENT', () => log.appendBatch('text' as unknown as string[]))
    assert.deepEqual(await textsOf(log), [])
  })
}

function readRefusals(suite: ContractSuite): void {
  suite.test('a read with options that cannot be is refused', async (log) => {
    await log.appendBatch(someTexts(3))
    const wrong: object[] = [
      { from: -1 },
      { from: 0.5 },
      { from: Number.NaN },
      { from: '0' },
      { to: -1 },
      { to: 2 ** 53 },
      { fromTimestamp: -1 },
      { frm: 0 },
    ]
    for (const options of wrong) {
      const error = await assertCode('INVALID_ARGUMENT', () => firstOf(log, options))
      assertNames(error.message, options)
    }
    await assertCode('INVALID_ARGUMENT', () => firstOf(log, { from: 0, fromTimestamp: 0 }))
    await assertCode('INVALID_ARGUMENT', () => firstOf(log, { follow: true, reverse: true }))
  })

  suite.test('offsets that cannot be are refused', async (log) => {
    await log.append('good')
    for (const offset of [-1, 0.5, Number.NaN, 2 ** 53, '0', undefined]) {
      const wrong = offset as unknown as number
      await assertCode('INVALID_ARGUMENT', () => log.get(wrong))
    }
  })
}

async function firstOf(log: ContractLog, options: object): Promise<unknown> {
  return log.read(options).next()
}

/** An error about an option names it. */
function assertNames(message: string, options: object): void {
  const [name] = Object.keys(options)
  assert(message.includes(name!), `"${message}" does not name ${name}`)
}
