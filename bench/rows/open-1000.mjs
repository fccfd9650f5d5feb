import assert from 'node:assert/strict'
import { closeSync, ftruncateSync, openSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { runChild } from '../child.mjs'
import {
  encodeIndex,
  encodeMeta,
  encodeSegmentHeader,
  indexName,
  META_NAME,
  storeName,
} from '../tidemark.mjs'
import { OURS } from '../verdict.mjs'

// The files are made with the library's own formats, without the entries: a store is its header and
// a hole of 64 MiB, an index is whole. Opening reads no more than this of segments that were sealed.

const SEGMENTS = 1000
const SEGMENT_BYTES = 64 * 2 ** 20
const ENTRY_BYTES = 168
const ENTRIES = Math.floor(SEGMENT_BYTES / ENTRY_BYTES)
const POINTS = SEGMENT_BYTES / 4096
const CREATED_AT = 1_700_000_000_000

function header(i) {
  return {
    id: i + 1,
    base: i * ENTRIES,
    sequence: i,
    predecessor: i,
    predecessorEnd: i === 0 ? 0 : SEGMENT_BYTES,
    previousTerm: i === 0 ? 0 : 1,
    term: 1,
    priorTimestamp: i === 0 ? 0 : CREATED_AT,
    createdAt: CREATED_AT,
  }
}

function writeSegment(folder, i, columns) {
  const { id, base } = header(i)
  const fd = openSync(join(folder, storeName(base, id)), 'wx')
  writeSync(fd, encodeSegmentHeader(header(i)))
  ftruncateSync(fd, SEGMENT_BYTES)
  closeSync(fd)
  const index = encodeIndex({
    ...columns,
    segmentId: id,
    coveredBytes: SEGMENT_BYTES,
    count: POINTS,
    maxTimestamp: CREATED_AT,
  })
  writeFileSync(join(folder, indexName(base, id)), index)
}

/** Makes the folder of a log that was closed cleanly. Returns its high-water mark. */
function writeLog(folder) {
  const columns = {
    lsns: Uint32Array.from({ length: POINTS }, (_, i) => Math.floor((i * 4096) / ENTRY_BYTES)),
    positions: Uint32Array.from({ length: POINTS }, (_, i) => 64 + i * 4096),
    times: Float64Array.from({ length: POINTS }, () => CREATED_AT),
  }
  for (let i = 0; i < SEGMENTS; i++) writeSegment(folder, i, columns)
  const { id } = header(SEGMENTS - 1)
  const endOffset = SEGMENTS * ENTRIES
  const clean = {
    segmentId: id,
    endOffset,
    endPosition: SEGMENT_BYTES,
    lastTerm: 1,
    maxTimestamp: CREATED_AT,
    highWaterMark: endOffset,
  }
  writeFileSync(join(folder, META_NAME), encodeMeta({ lowWaterMark: 0, lowTerm: 0, clean }))
  return endOffset
}

export const row = {
  title: 'open 1,000 clean segments, indexes of 256 KiB',
  unit: 'ms',
  note: 'the stores are headers and holes, made with the library’s own formats; opening reads no more.',
  contestants: [
    {
      name: OURS,
      prepare(folder) {
        const end = writeLog(folder)
        return {
          async measure() {
            const opened = await runChild('open.mjs', { folder })
            assert.equal(opened.highWaterMark, end)
            return opened.milliseconds
          },
        }
      },
    },
  ],
  bars: [{ atMost: 100 }],
}
