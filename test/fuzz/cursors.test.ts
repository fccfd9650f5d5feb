// The decoder of cursors on random bytes and on real ones that were changed: a record that was written to
// one of the slots, or none; never another, an exception, or memory without measure.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { Log, TidemarkError } from 'tidemark'
import { ForgetfulFiles } from 'tidemark/testing'
import { crc32, OFFSET_MAX, TIMESTAMP_MS_MAX } from '#dist/base/index.js'
import {
  CURSOR_BYTES,
  CURSOR_SLOT_BYTES,
  CURSOR_SLOT_STRIDE,
  CURSOR_SLOTS,
  type CursorRecord,
  decodeCursor,
  encodeCursor,
  encodeSlot,
} from '#dist/log/cursor-format.js'
import { below, oneOf, runCases, seed } from './cases.ts'
import { type Contents, mutate, randomBytes } from './mutations.ts'

const NAME = 'cursors/a.cursor'

function randomRecord(random: { uint32(): number }): CursorRecord {
  const sequence = below(random, 1000)
  return { sequence, position: random.uint32(), committedAt: random.uint32() }
}

/** A file as commits and syncs leave it: slots of any age. */
function realFile(random: { uint32(): number }): { bytes: Uint8Array; records: CursorRecord[] } {
  const bytes = new Uint8Array(CURSOR_BYTES)
  const records = Array.from({ length: CURSOR_SLOTS }, () => randomRecord(random))
  for (const [slot, record] of records.entries()) {
    bytes.set(encodeSlot(record), slot * CURSOR_SLOT_STRIDE)
  }
  return { bytes, records }
}

function reseal(bytes: Uint8Array, slot: number): void {
  const at = slot * CURSOR_SLOT_STRIDE
  if (at + CURSOR_SLOT_BYTES > bytes.length) return
  const crc = crc32(bytes, at, at + 36)
  new DataView(bytes.buffer, bytes.byteOffset).setUint32(at + 36, crc, true)
}

describe('the decoder of cursors', () => {
  it('takes what was encoded', () => {
    const record = fc.record(
      {
        sequence: fc.integer({ min: 2, max: OFFSET_MAX }),
        position: fc.integer({ min: 0, max: OFFSET_MAX }),
        committedAt: fc.integer({ min: 0, max: TIMESTAMP_MS_MAX }),
      },
      { noNullPrototype: true },
    )
    const property = fc.property(record, (one) => {
      assert.deepEqual(decodeCursor(encodeCursor(one)), { record: one, slot: 0 })
    })
    fc.assert(property, { seed, numRuns: 2000 })
  })

  it('refuses random bytes', async (t) => {
    await runCases(t, 3000, ({ random, guard }) => {
      const length = oneOf(random, [0, 4, 39, 40, 4096, 4136, CURSOR_BYTES, below(random, 9000)])
      const bytes = randomBytes(random, length)
      if (below(random, 2) === 0) bytes.set([0x54, 0x4d, 0x43, 0x55].slice(0, length))
      guard.allow(length)
      assert.ok('problem' in decodeCursor(bytes))
    })
  })

  it('gives a record of one of the slots, the newest of those that are sound', async (t) => {
    let taken = 0
    const count = await runCases(t, 4000, ({ random, guard }) => {
      const { bytes, records } = realFile(random)
      const changed: Contents = new Map([[NAME, bytes.slice()]])
      for (let i = below(random, 3); i >= 0; i--) mutate(random, changed)
      guard.allow(4 * CURSOR_BYTES)
      for (const each of changed.values()) {
        const result = decodeCursor(each)
        if (!('record' in result)) continue
        taken++
        const sound = records.filter((record) =>
          [0, 1, 2].some((slot) => {
            const at = slot * CURSOR_SLOT_STRIDE
            return Buffer.from(each.subarray(at, at + CURSOR_SLOT_BYTES)).equals(encodeSlot(record))
          }),
        )
        assert.ok(sound.length > 0, 'a record that was never written')
        const newest = Math.max(...sound.map(({ sequence }) => sequence))
        assert.equal(result.record.sequence, newest)
        assert.ok(sound.some(({ position }) => position === result.record.position))
      }
    })
    assert.ok(taken > count / 4 || count === 1)
  })

  it('gives offsets that can be, though every checksum fits', async (t) => {
    await runCases(t, 4000, ({ random }) => {
      const { bytes } = realFile(random)
      for (let slot = 0; slot < CURSOR_SLOTS; slot++) {
        const at = slot * CURSOR_SLOT_STRIDE + 4 + below(random, 28)
        bytes.set(randomBytes(random, 4), at)
        if (below(random, 2) === 0) bytes.fill(0xff, at, at + 8)
        reseal(bytes, slot)
      }
      const result = decodeCursor(bytes)
      if ('record' in result) {
        const { record, slot } = result
        assert.ok(record.position <= OFFSET_MAX && record.sequence <= OFFSET_MAX)
        assert.ok(slot >= 0 && slot < CURSOR_SLOTS)
      } else {
        assert.equal(typeof result.problem, 'string')
      }
    })
  })
})

describe('a log with a cursor that was changed', () => {
  it('opens it where it was once, or says what is wrong with it', async (t) => {
    await runCases(t, 150, async ({ random, guard }) => {
      const files = new ForgetfulFiles()
      const log = await Log.open('/log', { files, sync: 'never' })
      await log.appendBatch(Array.from({ length: 20 }, () => 'x'))
      const cursor = await log.cursor('a')
      for (let i = 0; i < 10; i++) {
        await cursor.commit(i)
        if (below(random, 3) === 0) await cursor.flush()
      }
      await cursor.close()
      const file = files.openSync(`/log/${NAME}`, 'write')
      const bytes = new Uint8Array(file.sizeSync())
      file.readSync(bytes, 0)
      const changed: Contents = new Map([[NAME, bytes]])
      mutate(random, changed)
      const now = changed.get(NAME) ?? new Uint8Array(0)
      guard.allow(now.length)
      file.truncateSync(now.length)
      file.writeSync(now, 0)
      file.closeSync()
      try {
        const again = await log.cursor('a')
        assert.ok(again.position <= 10)
      } catch (error) {
        if (!(error instanceof TidemarkError)) throw error
        assert.equal(error.code, 'CORRUPT')
      }
      await log.close()
    })
  })
})
