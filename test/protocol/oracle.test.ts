// Against the record batches of another client, both ways. It checks no CRC when it reads, and its zigzag of 64 bits
// is wrong from 2^31 on, so where it writes, timestamps lie within 12 days.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createRecordsBatch, Reader, readRecordsBatches } from '@platformatic/kafka'
import fc from 'fast-check'
import { decodeRecordBatches, encodeRecordBatch, type NewRecord } from '#dist/protocol/index.js'
import { caseCount } from '../cases.ts'
import { asRead, GZIP, NOBODY, newRecords, producer, readAll } from './batches.ts'

const runs = { numRuns: caseCount(1000, 200) }

function bufferOf(data: Uint8Array | null): Buffer | null {
  return data === null ? null : Buffer.from(data)
}

describe('another client', () => {
  it('reads the batches that are written here', () => {
    const property = fc.property(newRecords, producer, fc.boolean(), (records, who, isZipped) => {
      const bytes = encodeRecordBatch(records, who, isZipped ? GZIP : undefined)
      const [batch, ...others] = readRecordsBatches(Reader.from(Buffer.concat([bytes, bytes])))
      assert(batch && others.length === 1)
      assert.equal(batch.length, bytes.length - 12)
      // What does not shrink is not compressed.
      const isSmaller = isZipped && bytes.length < encodeRecordBatch(records, who).length
      assert.equal(batch.attributes, (isSmaller ? 1 : 0) | (who.isTransactional ? 16 : 0))
      assert.equal(batch.lastOffsetDelta, records.length - 1)
      assert.equal(Number(batch.producerId), who.id)
      assert.equal(batch.producerEpoch, who.epoch)
      assert.equal(batch.firstSequence, who.sequence)
      assert.equal(Number(batch.maxTimestamp), Math.max(...records.map((r) => r.timestamp)))
      const read = batch.records.map(({ timestampDelta, offsetDelta, key, value, headers }) => ({
        offset: offsetDelta,
        timestamp: Number(batch.firstTimestamp + timestampDelta),
        key,
        value,
        headers: headers.map(([name, data]) => ({ key: name!.toString(), value: data })),
      }))
      assert.deepEqual(read, records.map(asRead))
    })
    fc.assert(property, runs)
  })

  it('writes batches that are read here', () => {
    const property = fc.property(newRecords, fc.boolean(), (drawn, isZipped) => {
      const records = drawn.map((r) => ({ ...r, timestamp: 2 ** 40 + (r.timestamp % 2 ** 30) }))
      const messages = records.map(({ timestamp, key, value, headers }) => ({
        topic: 't',
        timestamp: BigInt(timestamp),
        ...(key && { key: Buffer.from(key) }),
        value: bufferOf(value) as Buffer,
        headers: new Map(headers.map((h) => [Buffer.from(h.key), bufferOf(h.value) as Buffer])),
      }))
      const compression = isZipped ? 'gzip' : 'none'
      const bytes = Buffer.from(createRecordsBatch(messages, { compression }).buffer)
      assert.deepEqual(readAll(bytes), records.map(asRead))
      const [batch] = decodeRecordBatches(bytes)
      assert.deepEqual([batch!.producerId, batch!.recordCount], [-1, records.length])
    })
    fc.assert(property, runs)
  })

  it('writes the same bytes, but for what it puts where there is no producer', () => {
    const records: NewRecord[] = Array.from({ length: 200 }, (_, i) => ({
      timestamp: 1_700_000_000_000 + ((i * 7919) % 1000) * 1000,
      key: i % 3 === 0 ? null : Buffer.from(`key ${i}`),
      value: Buffer.alloc((i * 31) % 300, i),
      headers: i % 4 === 0 ? [] : [{ key: 'trace-id', value: Buffer.from(`${i}`) }],
    }))
    const messages = records.map(({ timestamp, key, value, headers }) => ({
      topic: 't',
      timestamp: BigInt(timestamp),
      ...(key && { key: Buffer.from(key) }),
      value: Buffer.from(value!),
      headers: new Map(headers.map((h) => [Buffer.from(h.key), Buffer.from(h.value!)])),
    }))
    const options = { producerId: -1n, producerEpoch: -1, partitionLeaderEpoch: -1 }
    const theirs = Buffer.from(createRecordsBatch(messages, options).buffer)
    const ours = encodeRecordBatch(records, { ...NOBODY, sequence: 0 })
    assert.equal(ours.toString('hex'), theirs.toString('hex'))
  })
})
