// What is encoded is decoded again, for any values that a log can have.

import assert from 'node:assert/strict'
import { it } from 'node:test'
import { crc32 as zlibCrc32 } from 'node:zlib'
import fc, { type Arbitrary } from 'fast-check'
import {
  crc32,
  crc32OfView,
  crc32Sliced,
  OFFSET_MAX,
  TERM_MAX,
  TIMESTAMP_MS_MAX,
  viewOf,
} from '#dist/base/index.js'
import { EntryHeader, sealEntryHeader, writeEntryFields } from '#dist/log/entry-format.js'
import { decodeIndex, encodeIndex } from '#dist/log/index-format.js'
import { decodeMarks, encodeMarks } from '#dist/log/marks-format.js'
import { decodeMeta, encodeMeta } from '#dist/log/meta-format.js'
import { indexName, parseSegmentName, storeName } from '#dist/log/names.js'
import { decodeSegmentHeader, encodeSegmentHeader } from '#dist/log/segment-format.js'
import {
  decodeSnapshotHeader,
  encodeFrame,
  encodeSnapshotHeader,
  frameChecksum,
  frameCrc,
  frameLength,
} from '#dist/log/snapshot-format.js'
import { seed } from './cases.ts'

const u32 = fc.integer({ min: 0, max: 0xffff_ffff })
const offset = fc.integer({ min: 0, max: OFFSET_MAX })
const term = fc.integer({ min: 0, max: TERM_MAX })
const timestamp = fc.integer({ min: 0, max: TIMESTAMP_MS_MAX })
const id = fc.integer({ min: 1, max: 0xffff_ffff })
const bytes = fc.uint8Array({ maxLength: 2000 })

/** Objects as the code makes them, not without a prototype. */
function record<T>(fields: { [K in keyof T]: Arbitrary<T[K]> }): Arbitrary<T> {
  return fc.record(fields, { noNullPrototype: true }) as Arbitrary<T>
}

function check<T extends [unknown, ...unknown[]]>(property: fc.IProperty<T>): void {
  fc.assert(property, { seed, numRuns: 2000 })
}

it('a checksum goes on from another, as that of zlib does', () => {
  const property = fc.property(bytes, u32, fc.nat(2000), (b, salt, cut) => {
    const middle = Math.min(cut, b.length)
    const whole = crc32(b, 0, b.length, salt)
    assert.equal(crc32(b, middle, b.length, crc32(b, 0, middle, salt)), whole)
    // For no bytes at all zlib may forget the seed.
    if (b.length > 0) assert.equal(whole, zlibCrc32(b, salt))
    assert.equal(crc32Sliced(viewOf(b), 0, b.length, salt), whole)
    assert.equal(crc32OfView(viewOf(b), 0, b.length, salt), whole)
  })
  check(property)
})

it('the header of a segment', () => {
  const fields = {
    id,
    base: offset,
    sequence: u32,
    previousTerm: term,
    term,
    priorTimestamp: timestamp,
    createdAt: timestamp,
  }
  const first = record({ predecessor: fc.constant(0), predecessorEnd: fc.constant(0) })
  const later = record({
    predecessor: id,
    predecessorEnd: fc.integer({ min: 64, max: 2 ** 32 - 1 }),
  })
  check(
    fc.property(record(fields), fc.oneof(first, later), (one, before) => {
      const header = { ...one, ...before }
      assert.deepEqual(decodeSegmentHeader(encodeSegmentHeader(header)), { header })
    }),
  )
})

it('the header of an entry', () => {
  const kind = record({
    type: fc.integer({ min: 1, max: 255 }),
    term,
    timestamp,
    count: fc.integer({ min: 1, max: 2 ** 31 }),
  })
  const place = record({ lsn: fc.nat(2 ** 31 - 1), below: u32, salt: id, at: fc.nat(50) })
  check(
    fc.property(
      kind,
      place,
      u32,
      u32,
      fc.boolean(),
      (of, { lsn, below, salt, at }, length, dataCrc, more) => {
        const witness = Math.min(below, lsn)
        const b = viewOf(new Uint8Array(at + 40))
        writeEntryFields(b, at, of, length, dataCrc, more)
        sealEntryHeader(b, at, lsn, witness, salt)
        const header = new EntryHeader()
        assert.equal(header.read(b, at, salt), true)
        assert.deepEqual({ ...header }, { ...of, lsn, witness, length, dataCrc, more })
        assert.equal(header.size, 40 + length)
      },
    ),
  )
})

it('an index', () => {
  const steps = fc.array(record({ offsets: fc.integer({ min: 1, max: 999 }), ms: fc.nat(9999) }))
  check(
    fc.property(steps, id, (points, segmentId) => {
      const count = points.length
      const lsns = new Uint32Array(count)
      const positions = new Uint32Array(count)
      const times = new Float64Array(count)
      for (let i = 1; i < count; i++) {
        lsns[i] = lsns[i - 1]! + points[i]!.offsets
        times[i] = times[i - 1]! + points[i]!.ms
      }
      for (let i = 0; i < count; i++) positions[i] = 64 + 40 * lsns[i]!
      const coveredBytes = count === 0 ? 64 : positions[count - 1]! + 40
      const maxTimestamp = times[count - 1] ?? 0
      const image = { segmentId, coveredBytes, count, maxTimestamp, lsns, positions, times }
      assert.deepEqual(decodeIndex(encodeIndex(image)), image)
    }),
  )
})

it('the meta file', () => {
  const clean = record({
    segmentId: id,
    endOffset: fc.constant(OFFSET_MAX),
    endPosition: fc.integer({ min: 104, max: 2 ** 32 - 1 }),
    lastTerm: term,
    maxTimestamp: timestamp,
    highWaterMark: offset,
  })
  const fields = {
    lowWaterMark: offset,
    lowTerm: term,
    isReplica: fc.boolean(),
    clean: fc.option(clean, { nil: undefined }),
  }
  check(
    fc.property(record(fields), (meta) => {
      assert.deepEqual(decodeMeta(encodeMeta(meta)), { meta })
    }),
  )
})

it('the marks file', () => {
  const marks = record({ segmentId: id, synced: offset, highWaterMark: offset, writer: id })
  check(fc.property(marks, (one) => assert.deepEqual(decodeMarks(encodeMarks(one)), one)))
})

it('the header and the frames of a snapshot', () => {
  check(
    fc.property(offset, fc.array(bytes, { maxLength: 5 }), u32, (of, chunks, start) => {
      assert.deepEqual(decodeSnapshotHeader(encodeSnapshotHeader(of)), { offset: of })
      let previous = start
      for (const data of chunks) {
        const frame = encodeFrame(data, previous)
        assert.equal(frameLength(frame), data.length)
        assert.equal(frameCrc(frame, previous), frameChecksum(frame))
        assert.deepEqual(Buffer.from(frame.subarray(8)), Buffer.from(data))
        previous = frameChecksum(frame)
      }
    }),
  )
})

it('the names of files', () => {
  check(
    fc.property(offset, u32, (base, of) => {
      assert.deepEqual(parseSegmentName(storeName(base, of)), { base, id: of, kind: 'store' })
      assert.deepEqual(parseSegmentName(indexName(base, of)), { base, id: of, kind: 'index' })
      assert.ok(storeName(base, of) < storeName(base + 1, 0), 'names sort as offsets do')
    }),
  )
})
