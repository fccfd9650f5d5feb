import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Log } from 'tidemark'
import { errnoError, type ForgetfulFiles } from 'tidemark/testing'
import { errnoOf } from '#dist/base/index.js'
import {
  assertCode,
  failOn,
  Gate,
  newFiles,
  openOn,
  placesOf,
  readFile,
  SEGMENT_HEADER_BYTES,
  someTexts,
  storesOf,
  textsOf,
  using,
  worstCrash,
} from './fixtures.ts'

/** How many bytes all files take up now. */
function usedBytes(files: ForgetfulFiles): number {
  let used = 0
  for (const file of files.disk.files()) used += file.allocated
  return used
}

/** Leaves so many bytes free. */
function leaveFree(files: ForgetfulFiles, bytes: number): void {
  files.capacityBytes = usedBytes(files) + bytes
}

function freeAll(files: ForgetfulFiles): void {
  files.capacityBytes = Number.POSITIVE_INFINITY
}

async function assertFull(action: Promise<unknown> | (() => unknown)): Promise<void> {
  const error = await assertCode('IO', action)
  assert.equal(errnoOf(error.cause), 'ENOSPC', error.message)
}

/** Checks that the active store ends behind `texts`: nothing partial is left. */
async function assertWhole(files: ForgetfulFiles, log: Log, texts: readonly string[]) {
  assert.deepEqual(await textsOf(log), texts)
  assert.equal(log.highWaterMark, texts.length)
  const store = storesOf(files).at(-1)!
  const last = placesOf(files, store).at(-1)
  const end = last ? last.position + last.size : SEGMENT_HEADER_BYTES
  assert(
    readFile(files, store)
      .subarray(end)
      .every((byte) => byte === 0),
    'something is left of what failed',
  )
}

describe('a full disk', () => {
  for (const sync of ['always', 'never'] as const) {
    it(`rejects the append, keeps what was there, and goes on with new space (${sync})`, async () => {
      const files = newFiles()
      const log = await openOn(files, { sync, preallocate: false })
      const texts = someTexts(5)
      for (const text of texts) await log.append(text)
      // From no byte of the entry to all but one: none of it may stay.
      for (const free of [0, 1, 39, 40, 41, 100, 1039]) {
        leaveFree(files, free)
        await assertFull(log.append(Buffer.alloc(1000, 1)))
        await assertFull(() => log.appendSync(Buffer.alloc(1000, 2)))
        await assertWhole(files, log, texts)
      }
      freeAll(files)
      texts.push('room again')
      assert.equal(await log.append('room again'), 5)
      await assertWhole(files, log, texts)
      await log.close()
      await using(files, {}, async (again) => assert.deepEqual(await textsOf(again), texts))
    })
  }

  it('takes what still fits', async () => {
    const files = newFiles()
    const log = await openOn(files, { preallocate: false })
    await log.append('first')
    leaveFree(files, 140)
    await assertFull(log.append(Buffer.alloc(101)))
    assert.equal(await log.append(Buffer.alloc(100)), 1)
    await assertFull(log.append(''))
    freeAll(files)
    await log.close()
    await using(files, {}, async (again) => assert.equal(again.highWaterMark, 2))
  })

  it('does without reserved space: what is reserved is never missing elsewhere', async () => {
    const files = newFiles()
    const log = await openOn(files)
    await log.append('first, which reserves space')
    const texts = ['first, which reserves space']
    leaveFree(files, 0)
    for (const text of someTexts(20)) await log.append(text)
    texts.push(...someTexts(20))
    await assertFull(log.append(Buffer.alloc(100_000)))
    await assertWhole(files, log, texts)
    // The rolling back has given the reserved space back; now there is room for one entry, and no more.
    leaveFree(files, 60)
    await log.append('a last one')
    texts.push('a last one')
    await assertFull(log.append('and no more'))
    await assertWhole(files, log, texts)
    freeAll(files)
    await log.close()
    await using(files, {}, async (again) => assert.deepEqual(await textsOf(again), texts))
  })

  it('rejects all that waited behind, so that nothing later succeeds alone', async () => {
    const files = newFiles()
    const log = await openOn(files)
    await log.append('first')
    leaveFree(files, 50)
    const gate = new Gate((op) => op.kind === 'write' && op.path.endsWith('.store'))
    files.writeDelay = gate.delay
    const large = log.append(Buffer.alloc(1_200_000))
    const failed = assertFull(large)
    await gate.reached()
    const behind = [log.append(''), log.appendBatch(['a', 'b'])]
    const rejected = behind.map((append) => assertFull(append))
    gate.open()
    await failed
    await Promise.all(rejected)
    assert.equal(await log.append(''), 1, 'offsets go on where the log ends')
    freeAll(files)
    await log.close()
    await using(files, {}, async (again) => assert.deepEqual(await textsOf(again), ['first', '']))
  })

  it('keeps batches whole: what went before in the same group counts', async () => {
    const files = newFiles()
    const log = await openOn(files, { segmentBytes: 1024, preallocate: false })
    const texts = someTexts(10)
    await log.append(texts[0]!)
    // The group spans segments; the first part is written, then the disk is full.
    leaveFree(files, 1200)
    const appends = await Promise.allSettled(
      Array.from({ length: 10 }, (_, i) => log.append(Buffer.alloc(200, i))),
    )
    const done = appends.filter(({ status }) => status === 'fulfilled').length
    assert(done > 0 && done < 10, `${done} of 10 were written`)
    assert(
      appends.every(({ status }, i) => (status === 'fulfilled') === i < done),
      'those that succeeded are the first ones',
    )
    assert.equal(log.highWaterMark, done + 1)
    freeAll(files)
    assert.equal(await log.append('after'), done + 1)
    await log.close()
    await using(files, {}, async (again) => assert.equal(again.highWaterMark, done + 2))
  })

  it('is survived by a crash: what was rolled back does not come back', async () => {
    const files = newFiles()
    const log = await openOn(files, { preallocate: false })
    const texts = someTexts(3)
    for (const text of texts) await log.append(text)
    leaveFree(files, 500)
    await assertFull(log.append(Buffer.alloc(1000, 1)))
    freeAll(files)
    await log.append('after')
    await using(worstCrash(files), {}, async (survivor) => {
      assert.deepEqual(await textsOf(survivor), [...texts, 'after'])
    })
    await log.close()
  })

  it('leaves a log that opens again, also while it is still full', async () => {
    const files = newFiles()
    const log = await openOn(files, { preallocate: false })
    const texts = someTexts(4)
    for (const text of texts) await log.append(text)
    leaveFree(files, 10)
    await assertFull(log.append(Buffer.alloc(1000)))
    await log.close().catch(() => {})
    const reader = await openOn(files, { mode: 'read' })
    assert.deepEqual(await textsOf(reader), texts)
    await reader.close()
    freeAll(files)
    await using(files, {}, async (again) => {
      assert.deepEqual(await textsOf(again), texts)
      assert.equal(await again.append('more'), 4)
    })
  })

  it('refuses to open a new log, and leaves a folder that can be opened later', async () => {
    for (const free of [0, 10, 63, 64, 100, 127]) {
      const files = newFiles()
      leaveFree(files, free)
      await assertFull(openOn(files))
      freeAll(files)
      await using(files, {}, async (log) => assert.equal(await log.append('x'), 0))
    }
  })

  for (const kind of ['truncate', 'datasync'] as const) {
    it(`poisons if even the rolling back fails, by its ${kind}`, async () => {
      for (const short of [0, 20, 41]) {
        const files = newFiles()
        const log = await openOn(files)
        await log.append('safe')
        files.fault = (op) => {
          if (op.kind === 'write' && op.path.endsWith('.store')) return { short }
          return op.kind === kind ? errnoError('EIO', kind, op.path) : undefined
        }
        // Not IO, which says that nothing was kept: the whole entry may be there, and come back.
        const error = await assertCode('POISONED', log.append('a'))
        assert.equal(errnoOf(error.cause), 'ENOSPC')
        files.fault = undefined
        await assertCode('POISONED', log.append('b'))
        assert.deepEqual(await textsOf(log), ['safe'])
        await log.close()
        await using(files, {}, async (again) => {
          assert.deepEqual((await textsOf(again)).slice(0, 1), ['safe'])
        })
      }
    })
  }
})

describe('a disk that is full when something is created', () => {
  it('keeps the log as it was when there is no room for a new segment', async () => {
    for (const kind of ['create', 'write', 'rename'] as const) {
      const files = newFiles()
      const log = await openOn(files, { segmentBytes: 512 })
      const texts = someTexts(5)
      for (const text of texts) await log.append(text)
      const stores = storesOf(files)
      for (let i = 0; i < 3; i++) {
        const failed = failOn(files, kind, '.store.tmp', 'ENOSPC')
        await assertFull(log.appendBatch(someTexts(8)))
        await assertFull(() => log.appendSync(Buffer.alloc(300)))
        assert(failed.count > 0)
      }
      assert.deepEqual(storesOf(files), stores)
      assert.deepEqual(
        files.listSync('/log').filter((name) => name.endsWith('.tmp')),
        [],
      )
      await assertWhole(files, log, texts)
      files.fault = undefined
      await log.appendBatch(someTexts(8))
      assert.equal(log.highWaterMark, 13)
      await log.close()
      await using(files, {}, async (again) => assert.equal(again.highWaterMark, 13))
    }
  })

  it('keeps the log as it was when the meta file cannot be replaced', async () => {
    for (const kind of ['create', 'write', 'rename'] as const) {
      const files = newFiles()
      const texts = someTexts(5)
      await using(files, {}, (log) => log.appendBatch(texts))
      const log = await openOn(files)
      failOn(files, kind, 'meta.tmp', 'ENOSPC')
      await assertFull(log.append('a'))
      await assertFull(() => log.appendSync('a'))
      await assertFull(log.trim(3))
      assert.equal(log.lowWaterMark, 0)
      await assertWhole(files, log, texts)
      files.fault = undefined
      assert.equal(await log.append('a'), 5)
      await log.trim(3)
      await log.close()
      await using(files, {}, async (again) => {
        assert.deepEqual(await textsOf(again), [...texts.slice(3), 'a'])
      })
    }
  })

  it('does without an index file', async () => {
    const files = newFiles()
    failOn(files, 'create', '.index', 'ENOSPC')
    const texts = someTexts(50)
    await using(files, { segmentBytes: 512 }, async (log) => {
      for (const text of texts) await log.append(text)
      assert.deepEqual(await textsOf(log), texts)
    })
    await using(files, { segmentBytes: 512 }, async (log) => {
      assert.deepEqual(await textsOf(log), texts)
      assert.equal((await log.get(17))?.data.toString(), 'entry 17')
    })
  })

  it('rejects a snapshot with IO and leaves none', async () => {
    const files = newFiles()
    await using(files, {}, async (log) => {
      await log.appendBatch(someTexts(2))
      await log.snapshots.write(1, [Buffer.from('old')])
      leaveFree(files, 100)
      await assertFull(log.snapshots.write(2, [Buffer.alloc(5000)]))
      await assertFull(log.snapshots.write(1, [Buffer.alloc(5000)]))
      freeAll(files)
      assert.deepEqual(await log.snapshots.list(), [1])
      assert.deepEqual(files.listSync('/log/snapshots').length, 1)
    })
  })
})
