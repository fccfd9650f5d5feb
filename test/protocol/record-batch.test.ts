import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import {
  controlTypeOf,
  decodeRecordBatches,
  decodeRecords,
  encodeRecordBatch,
  RECORD_BATCH_HEADER_BYTES,
  recordBytesMax,
} from '#dist/protocol/index.js'
import { caseCount } from '../cases.ts'
import {
  asRead,
  batchAround,
  GZIP,
  gunzip,
  NOBODY,
  newRecords,
  producer,
  readAll,
  recordOf,
  seal,
} from './batches.ts'

/** Kafka's layout, field by field. */
const GOLDEN = [
  '0000000000000000', // base offset
  '00000054', // length
  'ffffffff', // leader epoch
  '02', // magic
  '7e25584a', // CRC-32C
  '0010', // attributes: transactional
  '00000002', // last offset delta
  '0000018bcfe56800', // base timestamp
  '0000018bcfe56801', // max timestamp
  '0000000100000002', // producer id
  '0003', // producer epoch
  '00000004', // base sequence
  '00000003', // record count
  // Length, attributes, timestamp, offset, key, value, number of headers; the headers.
  '18 00 00 00 026b 047631 02',
  '0268 01',
  '0c 00 02 02 01 00 00',
  '1c 00 cf0f 04 01 01 04',
  '04c3a9 0278',
  '00 00',
]
  .join('')
  .replaceAll(' ', '')

describe('a record batch', () => {
  it('is these bytes', () => {
    const records = [
      recordOf('v1', { key: Buffer.from('k'), headers: [{ key: 'h', value: null }] }),
      recordOf('', { timestamp: 1_700_000_000_001 }),
      recordOf('', {
        timestamp: 1_699_999_999_000,
        value: null,
        headers: [
          { key: 'é', value: Buffer.from('x') },
          { key: '', value: Buffer.alloc(0) },
        ],
      }),
    ]
    const who = { id: 2 ** 32 + 2, epoch: 3, sequence: 4, isTransactional: true }
    assert.equal(encodeRecordBatch(records, who).toString('hex'), GOLDEN)
  })

  it('gives its records back', () => {
    const runs = { numRuns: caseCount(2000, 400) }
    const isCompressed = fc.boolean()
    const property = fc.property(newRecords, producer, isCompressed, (records, who, isZipped) => {
      const bytes = encodeRecordBatch(records, who, isZipped ? GZIP : undefined)
      const [batch, ...others] = decodeRecordBatches(bytes)
      assert(batch && others.length === 0)
      const { bytes: section, ...header } = batch
      // What does not shrink is not compressed.
      const isSmaller = isZipped && bytes.length < encodeRecordBatch(records, who).length
      assert.equal(section.length, bytes.length - RECORD_BATCH_HEADER_BYTES)
      assert.deepEqual(header, {
        baseOffset: 0,
        lastOffset: records.length - 1,
        leaderEpoch: -1,
        isLogAppendTime: false,
        isTransactional: who.isTransactional,
        isControl: false,
        compression: isSmaller ? 1 : 0,
        baseTimestamp: records[0]!.timestamp,
        maxTimestamp: Math.max(...records.map(({ timestamp }) => timestamp)),
        producerId: who.id,
        producerEpoch: who.epoch,
        baseSequence: who.sequence,
        recordCount: records.length,
      })
      const read = decodeRecords(batch, gunzip)
      assert.deepEqual(read, records.map(asRead))
      const most = records.reduce((sum, record) => sum + recordBytesMax(record), 0)
      assert(section.length <= most, `${section.length} of ${most} bytes`)
    })
    fc.assert(property, runs)
  })

  it('is read at the place that the broker gave it', () => {
    const first = encodeRecordBatch([recordOf('a'), recordOf('b')], NOBODY)
    const second = encodeRecordBatch([recordOf('c')], NOBODY, GZIP)
    first.writeBigInt64BE(2n ** 53n - 10n)
    first.writeInt32BE(7, 12)
    second.writeBigInt64BE(2n ** 53n - 8n)
    const bytes = Buffer.concat([first, second])
    const offsets = readAll(bytes).map(({ offset }) => offset)
    assert.deepEqual(offsets, [2 ** 53 - 10, 2 ** 53 - 9, 2 ** 53 - 8])
    const epochs = decodeRecordBatches(bytes).map(({ leaderEpoch }) => leaderEpoch)
    assert.deepEqual(epochs, [7, -1])
  })

  it('lends its memory to the records, and one empty array to all without headers', () => {
    const bytes = encodeRecordBatch(
      [recordOf('abc', { key: Buffer.from('k') }), recordOf('')],
      NOBODY,
    )
    const [one, two] = readAll(bytes)
    assert.equal(one!.value!.buffer, bytes.buffer)
    assert.equal(one!.headers, two!.headers)
    assert(Object.isFrozen(one!.headers))
    bytes.fill(0x78, 61)
    assert.equal(one!.value!.toString(), 'xxx')
  })

  it('reads header keys that come again, change, and move', () => {
    const keys = [['a', 'b'], ['a', 'b'], ['b', 'a'], ['b'], [], ['bb', 'a', 'c'], ['b', 'a', 'c']]
    const records = keys.map((all) =>
      recordOf('v', { headers: all.map((key) => ({ key, value: Buffer.from(key) })) }),
    )
    const read = readAll(encodeRecordBatch(records, NOBODY))
    assert.deepEqual(
      read.map(({ headers }) => headers.map(({ key }) => key)),
      keys,
    )
  })

  it('takes what is not text in a header key as well as may be', () => {
    const lone = encodeRecordBatch(
      [recordOf('v', { headers: [{ key: '\ud800', value: null }] })],
      NOBODY,
    )
    assert.equal(readAll(lone)[0]!.headers[0]!.key, '\ufffd')
  })

  it('has the time of the broker where the broker says so', () => {
    const records = [recordOf('a', { timestamp: 5 }), recordOf('b', { timestamp: 9 })]
    const plain = encodeRecordBatch(records, NOBODY)
    const section = plain.subarray(RECORD_BATCH_HEADER_BYTES)
    const stamped = batchAround(section, 2, { attributes: 8, maxTimestamp: 77n })
    assert.deepEqual(
      readAll(stamped).map(({ timestamp }) => timestamp),
      [77, 77],
    )
    assert.equal(decodeRecordBatches(stamped)[0]!.isLogAppendTime, true)
  })

  it('may hold timestamps that are none, or too large to be exact', () => {
    const without = encodeRecordBatch([recordOf('a', { timestamp: -1 })], NOBODY)
    assert.equal(decodeRecordBatches(without)[0]!.maxTimestamp, -1)
    assert.equal(readAll(without)[0]!.timestamp, -1)
    const nanoseconds = encodeRecordBatch([recordOf('a'), recordOf('b')], NOBODY)
    const section = nanoseconds.subarray(RECORD_BATCH_HEADER_BYTES)
    const batch = batchAround(section, 2)
    batch.writeBigInt64BE(1_700_000_000_123_456_789n, 27)
    seal(batch)
    assert.deepEqual(
      readAll(batch).map(({ timestamp }) => timestamp),
      [1_700_000_000_123_456_800, 1_700_000_000_123_456_800],
    )
  })

  it('may be empty, and without its first and last records', () => {
    const empty = batchAround(Buffer.alloc(0), 0, { lastOffsetDelta: 9 })
    const [batch] = decodeRecordBatches(empty)
    assert.equal(batch!.lastOffset, 9)
    assert.deepEqual(decodeRecords(batch!), [])
    const section = Buffer.from('0c000006010100' + '0c00000c010100', 'hex')
    const cleaned = batchAround(section, 2, { lastOffsetDelta: 9 })
    assert.deepEqual(
      readAll(cleaned).map(({ offset }) => offset),
      [3, 6],
    )
  })
})

describe('a control batch', () => {
  const control = (key: string, count = 1, attributes = 0x30) => {
    const bytes = Buffer.from(key, 'hex')
    const section = Buffer.from([0, 0, 0, 0, bytes.length * 2, ...bytes, 2, 0, 0])
    section[0] = 2 * (section.length - 1)
    const batch = batchAround(count === 0 ? Buffer.alloc(0) : section, count, { attributes })
    return decodeRecordBatches(batch)[0]!
  }

  it('says how a transaction ended', () => {
    assert.equal(controlTypeOf(control('00000000')), 'abort')
    assert.equal(controlTypeOf(control('00000001')), 'commit')
    assert.equal(controlTypeOf(control('00000002')), 'other')
    assert.equal(controlTypeOf(control('0000ffff')), 'other')
    assert.equal(controlTypeOf(control('0001000100')), 'commit')
    const { isControl, isTransactional } = control('00000001')
    assert.deepEqual({ isControl, isTransactional }, { isControl: true, isTransactional: true })
  })

  it('may be empty, and must have a whole key', () => {
    assert.equal(controlTypeOf(control('', 0)), 'other')
    for (const key of ['', '00', '000000']) {
      assert.throws(() => controlTypeOf(control(key)), { code: 'CORRUPT' })
    }
    assert.throws(() => controlTypeOf(control('00000001', 1, 0x31)), { code: 'CORRUPT' })
    assert.throws(() => controlTypeOf(control('00000001', 1, 0x10)), { name: 'InvariantError' })
  })
})

describe('what is no record', () => {
  it('is not encoded', () => {
    const refuse = (run: () => void) => assert.throws(run, { name: 'InvariantError' })
    refuse(() => encodeRecordBatch([], NOBODY))
    for (const timestamp of [-2, 0.5, 2 ** 48, Number.NaN, Number.POSITIVE_INFINITY]) {
      refuse(() => encodeRecordBatch([recordOf('a', { timestamp })], NOBODY))
    }
    const ids = [-2, 2 ** 53, 0.5, Number.NaN].map((id) => ({ id }))
    const epochs = [-2, 2 ** 15, 0.5].map((epoch) => ({ epoch }))
    const sequences = [-2, 2 ** 31, 0.5].map((sequence) => ({ sequence }))
    for (const wrong of [...ids, ...epochs, ...sequences]) {
      refuse(() => encodeRecordBatch([recordOf('a')], { ...NOBODY, ...wrong }))
    }
  })
})
