import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Log } from 'tidemark'
import { cloneAll, extremeImages, type ForgetfulFiles, ManualClock } from 'tidemark/testing'
import {
  assertCode,
  entriesOf,
  gateOn,
  newFiles,
  settle,
  someTexts,
  storesOf,
  textsOf,
  worstCrash,
} from './fixtures.ts'
import {
  appendTexts,
  assertHolds,
  entryOf,
  lines,
  linesOf,
  openReplica,
  usingReplica,
} from './replica-fixtures.ts'

const COUNT = 40

/** A log of 40 entries of term 1 in several segments, none of it committed. */
async function filled(files: ForgetfulFiles, count = COUNT): Promise<Log> {
  const log = await openReplica(files)
  await appendTexts(log, someTexts(count))
  assert(storesOf(files).length >= 4)
  return log
}

function basesOf(files: ForgetfulFiles): number[] {
  return storesOf(files).map((store) => Number(store.slice(0, 20)))
}

/** Checks the log now, after closing it, and after the worst crash. */
async function assertEverywhere(
  files: ForgetfulFiles,
  log: Log,
  expected: readonly string[],
): Promise<void> {
  await assertHolds(log, expected)
  for (const left of [worstCrash(files), cloneAll(files)]) {
    await usingReplica(left, {}, (again) => assertHolds(again, expected))
  }
  await log.close()
  await usingReplica(files, {}, (again) => assertHolds(again, expected))
}

describe('truncateAfter', () => {
  it('cuts anywhere: the cut is exact, durable, and the log goes on there', async () => {
    const probe = newFiles()
    await (await filled(probe)).close()
    const bases = basesOf(probe)
    const cuts = [0, 1, COUNT - 1, 5, 17, ...bases, ...bases.map((base) => base + 1)]
    for (const cut of new Set(cuts)) {
      const files = newFiles()
      const log = await filled(files)
      await log.replica.truncateAfter(cut)
      assert.equal(log.replica.endOffset, cut)
      assert.equal(log.replica.lastTerm, cut === 0 ? 0 : 1)
      const kept = lines(someTexts(cut), 0, 1)
      await assertHolds(log, kept)
      await usingReplica(worstCrash(files), {}, (again) => assertHolds(again, kept))
      await appendTexts(log, someTexts(20, 100), 2)
      await assertEverywhere(files, log, [...kept, ...lines(someTexts(20, 100), cut, 2)])
    }
  })

  it('at the end does nothing', async () => {
    const files = newFiles()
    const log = await filled(files)
    const stores = storesOf(files)
    await log.replica.truncateAfter(COUNT)
    assert.deepEqual(storesOf(files), stores)
    await appendTexts(log, ['more'], 2)
    await assertEverywhere(files, log, [...lines(someTexts(COUNT), 0, 1), `${COUNT}/2 more`])
  })

  it('removes what lies behind it', async () => {
    const files = newFiles()
    const log = await filled(files)
    const [, second] = basesOf(files)
    await log.replica.truncateAfter(second!)
    assert.deepEqual(basesOf(files), [0, second])
    await log.replica.truncateAfter(2)
    assert.deepEqual(basesOf(files), [0, 2])
    await log.close()
  })

  it('is refused below the high-water mark, beyond the end, and for no offset at all', async () => {
    const files = newFiles()
    const log = await filled(files)
    log.replica.commit(10)
    for (const offset of [9, 0, COUNT + 1, 1000, -1, 0.5, Number.NaN]) {
      await assertCode('INVALID_ARGUMENT', () => log.replica.truncateAfter(offset))
    }
    await appendTexts(log, ['goes on'])
    await log.replica.truncateAfter(10)
    await assertEverywhere(files, log, lines(someTexts(10), 0, 1))
  })

  it('is refused inside a batch and inside a counted entry', async () => {
    const files = newFiles()
    const log = await openReplica(files, { segmentBytes: 4096 })
    await appendTexts(log, ['first'])
    await log.replica.append(someTexts(4).map((text) => entryOf(text)))
    await log.replica.append([entryOf('counted', 1, { count: 5 })])
    for (const offset of [2, 3, 4, 6, 7, 9]) {
      await assertCode('INVALID_ARGUMENT', log.replica.truncateAfter(offset))
    }
    assert.equal(log.replica.endOffset, 10)
    await appendTexts(log, ['last'])
    await log.replica.truncateAfter(5)
    await assertEverywhere(files, log, ['0/1 first', ...lines(someTexts(4), 1, 1)])
  })

  it('can be done again and again at the same place', async () => {
    const files = newFiles()
    const log = await filled(files)
    let expected = lines(someTexts(12), 0, 1)
    for (let term = 2; term < 8; term++) {
      await log.replica.truncateAfter(12)
      await appendTexts(log, someTexts(6, 10 * term), term)
      expected = [...lines(someTexts(12), 0, 1), ...lines(someTexts(6, 10 * term), 12, term)]
      await assertHolds(log, expected)
    }
    await assertEverywhere(files, log, expected)
  })

  it('can go back step by step to the first entry', async () => {
    const files = newFiles()
    const log = await filled(files)
    for (let end = COUNT - 3; end >= 0; end -= 3) {
      await log.replica.truncateAfter(end)
      await assertHolds(log, lines(someTexts(end), 0, 1))
    }
    await log.replica.truncateAfter(0)
    await assertHolds(log, [])
    await appendTexts(log, ['new'], 3)
    await assertEverywhere(files, log, ['0/3 new'])
  })

  it('leaves no sight of what was cut, in any memory', async () => {
    for (const indexIntervalBytes of [1, 150, 4096]) {
      const files = newFiles()
      const log = await openReplica(files, { indexIntervalBytes })
      await appendTexts(log, someTexts(COUNT))
      log.replica.commit(15)
      for (let i = 0; i < 15; i++) await log.get(i)
      await entriesOf(log, { reverse: true })
      await log.replica.truncateAfter(15)
      const texts = [...someTexts(15), ...someTexts(25, 500)]
      const look = async (each: Log) => {
        assert.deepEqual(await textsOf(each), texts)
        assert.deepEqual(await textsOf(each, { reverse: true }), texts.toReversed())
        for (let i = 0; i < COUNT; i++) {
          assert.equal((await each.get(i))?.data.toString(), texts[i])
        }
      }
      for (let i = 0; i < 15; i++) assert.equal((await log.get(i))?.data.toString(), texts[i])
      await appendTexts(log, someTexts(25, 500), 2)
      log.replica.commit(COUNT)
      await look(log)
      await log.close()
      await usingReplica(files, { indexIntervalBytes }, look)
    }
  })

  it('makes what is kept durable, whatever the policy', async () => {
    for (const cut of [0, 3, 13, 25, 39]) {
      const files = newFiles()
      const log = await openReplica(files, { sync: 'never', segmentBytes: 2 ** 20 })
      await appendTexts(log, someTexts(COUNT))
      await log.replica.truncateAfter(cut)
      assert.equal(log.replica.syncedMark, cut)
      await usingReplica(worstCrash(files), {}, async (left) => {
        assert.deepEqual(left.replica.damage, [])
        await assertHolds(left, lines(someTexts(cut), 0, 1))
      })
      await log.close()
    }
  })

  it('does not disturb those who follow', async () => {
    const files = newFiles()
    const log = await filled(files)
    const reader = log.read({ follow: true })
    log.replica.commit(10)
    for (let i = 0; i < 10; i++) {
      assert.equal((await reader.next()).value?.data.toString(), `entry ${i}`)
    }
    await log.replica.truncateAfter(10)
    await appendTexts(log, someTexts(10, 100), 2)
    log.replica.commit(20)
    for (let i = 100; i < 110; i++) {
      assert.equal((await reader.next()).value?.data.toString(), `entry ${i}`)
    }
    await reader.return()
    await log.close()
  })

  it('lets appends be queued right behind it, and those of before go first', async () => {
    const files = newFiles()
    const log = await openReplica(files)
    await appendTexts(log, someTexts(10))
    const results = await Promise.all([
      log.replica.append([entryOf('cut off')]),
      log.replica.truncateAfter(6),
      log.replica.append([entryOf('a', 2), entryOf('b', 2)]),
      log.replica.append([entryOf('c', 2)]),
      log.replica.truncateAfter(8),
      log.replica.append([entryOf('d', 3)]),
    ])
    assert.deepEqual(results[2], { first: 6, last: 7 })
    assert.deepEqual(results[3], { first: 8, last: 8 })
    assert.deepEqual(results[5], { first: 8, last: 8 })
    const expected = [...lines(someTexts(6), 0, 1), '6/2 a', '7/2 b', '8/3 d']
    await assertEverywhere(files, log, expected)
  })

  it('that is refused rejects what was queued behind it, and the next append goes on', async () => {
    const files = newFiles()
    const log = await openReplica(files)
    await appendTexts(log, someTexts(10))
    log.replica.commit(5)
    const cut = assertCode('INVALID_ARGUMENT', log.replica.truncateAfter(3))
    const behind = assertCode('IO', log.replica.append([entryOf('a', 2)]))
    await Promise.all([cut, behind])
    assert.deepEqual(await log.replica.append([entryOf('b', 2)]), { first: 10, last: 10 })
    await assertEverywhere(files, log, [...lines(someTexts(10), 0, 1), '10/2 b'])
  })

  it('leaves the log as it was or cut, whenever the power is lost', async () => {
    const files = newFiles()
    const log = await filled(files)
    log.replica.commit(3)
    const images: ForgetfulFiles[] = []
    files.onOperation = () => {
      for (const { files: image } of extremeImages(files, 40)) images.push(image)
    }
    await log.replica.truncateAfter(7)
    await appendTexts(log, someTexts(5, 100), 2)
    files.onOperation = undefined
    await log.close()
    assert(images.length > 50)
    const after = lines(someTexts(5, 100), 7, 2)
    for (const image of images) {
      await usingReplica(image, {}, async (again) => {
        assert.deepEqual(again.replica.damage, [])
        const found = await linesOf(again)
        const wasCut = found.length < COUNT
        const expected = wasCut
          ? [...lines(someTexts(7), 0, 1), ...after.slice(0, found.length - 7)]
          : lines(someTexts(COUNT), 0, 1)
        assert.deepEqual(found, expected)
      })
    }
  })

  it('is not contradicted by marks that are written while it is under way', async () => {
    const files = newFiles()
    const clock = new ManualClock()
    const log = await openReplica(files, { clock })
    await appendTexts(log, someTexts(10))
    const gate = gateOn(files, 'syncDirectory')
    const cut = log.replica.truncateAfter(5)
    await gate.reached()
    // A timer of before fires now and writes the marks as they were: everything up to 10 is synced.
    await clock.advance(1)
    gate.open()
    await cut
    const left = cloneAll(files)
    await log.close()
    await usingReplica(left, {}, async (again) => {
      assert.deepEqual(again.replica.damage, [], 'nobody was promised what was cut')
      assert.deepEqual(await linesOf(again), lines(someTexts(5), 0, 1))
    })
  })
})

describe('reset', () => {
  it('empties the log and lets it go on elsewhere', async () => {
    for (const offset of [COUNT, COUNT + 1, 1000, 2 ** 40]) {
      const files = newFiles()
      const log = await filled(files)
      log.replica.commit(10)
      await log.replica.reset(offset, 7)
      assert.deepEqual(
        [log.lowWaterMark, log.highWaterMark, log.replica.endOffset],
        [offset, offset, offset],
      )
      assert.equal(log.replica.syncedMark, offset)
      assert.equal(storesOf(files).length, 1)
      assert.equal(await log.get(5), undefined)
      await assertCode('TRIMMED', log.read({ from: 5 }).next())
      await appendTexts(log, someTexts(20, 100), 8)
      await assertEverywhere(files, log, lines(someTexts(20, 100), offset, 8))
    }
  })

  it('may go back to the high-water mark, not below', async () => {
    const files = newFiles()
    const log = await filled(files)
    log.replica.commit(10)
    for (const offset of [9, 0, -1, 0.5]) {
      await assertCode('INVALID_ARGUMENT', () => log.replica.reset(offset, 1))
    }
    await assertCode('INVALID_ARGUMENT', () => log.replica.reset(20, -1))
    await assertCode('INVALID_ARGUMENT', () => log.replica.reset(20, 2 ** 32))
    await log.replica.reset(10, 3)
    await appendTexts(log, ['a'], 3)
    await assertEverywhere(files, log, ['10/3 a'])
  })

  it('is remembered although nothing follows, with its term', async () => {
    const files = newFiles()
    const log = await filled(files)
    await log.replica.reset(100, 7)
    for (const left of [worstCrash(files), cloneAll(files)]) {
      await usingReplica(left, {}, async (again) => {
        assert.deepEqual([again.lowWaterMark, again.highWaterMark], [100, 100])
        assert.equal(again.replica.termAt(99), 7)
      })
    }
    await log.replica.reset(100, 9)
    assert.equal(log.replica.termAt(99), 9)
    for (const left of [worstCrash(files), cloneAll(files)]) {
      await usingReplica(left, {}, async (again) => assert.equal(again.replica.termAt(99), 9))
    }
    await log.close()
    await usingReplica(files, {}, async (again) => assert.equal(again.replica.termAt(99), 9))
  })

  it('to where the low-water mark is already keeps the new term', async () => {
    const files = newFiles()
    const log = await filled(files)
    log.replica.commit(COUNT)
    await log.trim(COUNT)
    assert.equal(log.replica.termAt(COUNT - 1), 1)
    await log.replica.reset(COUNT, 5)
    assert.equal(log.replica.termAt(COUNT - 1), 5)
    const left = cloneAll(files)
    await usingReplica(left, {}, async (again) => {
      assert.equal(again.replica.termAt(COUNT - 1), 5)
    })
    await log.close()
    await usingReplica(files, {}, async (again) => {
      assert.equal(again.replica.termAt(COUNT - 1), 5)
    })
  })

  it('lets appends be queued right behind it', async () => {
    const files = newFiles()
    const log = await openReplica(files)
    await appendTexts(log, someTexts(5))
    const results = await Promise.all([
      log.replica.append([entryOf('dropped')]),
      log.replica.reset(50, 4),
      log.replica.append([entryOf('a', 4), entryOf('b', 4)]),
      log.replica.append([entryOf('c', 5)]),
    ])
    assert.deepEqual(results[2], { first: 50, last: 51 })
    assert.deepEqual(results[3], { first: 52, last: 52 })
    await assertEverywhere(files, log, ['50/4 a', '51/4 b', '52/5 c'])
  })

  it('leaves the old log or the new one, whenever the power is lost', async () => {
    const files = newFiles()
    const log = await filled(files)
    const images: ForgetfulFiles[] = []
    files.onOperation = () => {
      for (const { files: image } of extremeImages(files, 40)) images.push(image)
    }
    await log.replica.reset(60, 4)
    await appendTexts(log, ['a'], 5)
    files.onOperation = undefined
    await log.close()
    for (const image of images) {
      await usingReplica(image, {}, async (again) => {
        assert.deepEqual(again.replica.damage, [])
        const found = await linesOf(again)
        if (again.lowWaterMark === 60) assert.deepEqual(found, ['60/5 a'].slice(0, found.length))
        else assert.deepEqual(found, lines(someTexts(COUNT), 0, 1))
      })
    }
  })

  it('ends readers of what is gone with TRIMMED, and wakes followers at the end', async () => {
    const files = newFiles()
    const log = await filled(files)
    log.replica.commit(20)
    const old = log.read()
    await old.next()
    const follower = log.read({ from: 20, follow: true })
    const next = follower.next()
    next.catch(() => {})
    await settle()
    await log.replica.reset(100, 4)
    await assertCode('TRIMMED', async () => {
      for await (const _ of old) assert.ok(true)
    })
    await assertCode('TRIMMED', next)
    await log.close()
  })
})
