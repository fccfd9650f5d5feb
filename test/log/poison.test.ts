import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Log } from 'tidemark'
import { type ForgetfulFiles, ManualClock } from 'tidemark/testing'
import { errnoOf } from '#dist/base/index.js'
import {
  assertCode,
  failOn,
  Gate,
  newFiles,
  openOn,
  placesOf,
  settle,
  someTexts,
  storesOf,
  textsOf,
  traceOf,
  using,
  worstCrash,
} from './fixtures.ts'

// A sync that failed may have thrown away what it was to save, and the next one may claim success.
// Nothing that came after may ever be believed.

async function assertPoisoned(log: Log, texts: readonly string[]): Promise<void> {
  for (const action of [
    () => log.append('late'),
    () => log.appendBatch(['late', 'later']),
    () => log.appendSync('late'),
    () => log.flush(),
    () => log.trim(1),
  ]) {
    const error = await assertCode('POISONED', action)
    assert.equal(errnoOf(error.cause), 'EIO')
  }
  assert.deepEqual(await textsOf(log), texts, 'reads keep working')
  assert.equal((await log.get(0))?.data.toString(), texts[0])
  assert.equal(log.highWaterMark, texts.length, 'nothing that failed is shown')
}

/** Closes the poisoned log and checks what the next opening makes of it. */
async function assertRecovers(files: ForgetfulFiles, log: Log, safe: readonly string[]) {
  await log.close()
  files.fault = undefined
  await using(files, {}, async (again) => {
    const found = await textsOf(again)
    assert.deepEqual(found.slice(0, safe.length), safe)
    await again.append('goes on')
    await using(worstCrash(files), {}, async (survivor) => {
      assert.deepEqual(await textsOf(survivor), [...found, 'goes on'])
    })
  })
}

describe('a sync that fails', () => {
  it('rejects what waited for it and all that comes later; reads go on', async () => {
    const files = newFiles()
    const log = await openOn(files)
    await log.append('safe')
    failOn(files, 'datasync', '.store', 'EIO', 1)
    const appends = [log.append('a'), log.appendBatch(['b', 'c']), log.append('d')]
    const errors = await Promise.all(appends.map((append) => assertCode('POISONED', append)))
    for (const error of errors) assert.equal(errnoOf(error.cause), 'EIO')
    await assertPoisoned(log, ['safe'])
    await assertRecovers(files, log, ['safe'])
  })

  it('rejects those too that came while it was under way', async () => {
    const files = newFiles()
    const log = await openOn(files)
    await log.append('safe')
    const gate = new Gate((op) => op.kind === 'datasync')
    files.syncDelay = gate.delay
    const first = log.append('a')
    await gate.reached()
    const behind = [log.append('b'), log.flush(), log.trim(1), log.appendBatch(['c', 'd'])]
    failOn(files, 'datasync', '.store', 'EIO', 1)
    const all = [first, ...behind].map((each) => assertCode('POISONED', each))
    gate.open()
    await Promise.all(all)
    assert.equal(log.lowWaterMark, 0)
    await assertPoisoned(log, ['safe'])
    await assertRecovers(files, log, ['safe'])
  })

  it('does so for appendSync', async () => {
    const files = newFiles()
    const log = await openOn(files)
    log.appendSync('safe')
    failOn(files, 'datasync', '.store', 'EIO', 1)
    const waiting = log.append('a')
    waiting.catch(() => {})
    const error = await assertCode('POISONED', () => log.appendSync('b'))
    assert.equal(errnoOf(error.cause), 'EIO')
    await assertCode('POISONED', waiting)
    await assertPoisoned(log, ['safe'])
    await assertRecovers(files, log, ['safe'])
  })

  it('does so for flush', async () => {
    const files = newFiles()
    const log = await openOn(files, { sync: 'never' })
    await log.append('kernel')
    failOn(files, 'datasync', '.store', 'EIO', 1)
    await assertCode('POISONED', log.flush())
    await assertPoisoned(log, ['kernel'])
    await log.close()
  })

  it('does so in the background, with the next append', async () => {
    const files = newFiles()
    const clock = new ManualClock()
    const log = await openOn(files, { sync: { intervalMs: 10 }, clock })
    await log.append('kernel')
    failOn(files, 'datasync', '.store', 'EIO', 1)
    await clock.advance(20)
    await assertPoisoned(log, ['kernel'])
    assert.equal(clock.pendingTimers, 0)
    await log.close()
  })

  it('does so in the background for what is queued already', async () => {
    const files = newFiles()
    const clock = new ManualClock()
    const log = await openOn(files, { sync: { intervalMs: 10 }, clock })
    await log.append('kernel')
    const gate = new Gate((op) => op.kind === 'write' && op.path.includes('meta'))
    files.writeDelay = gate.delay
    const trim = log.trim(1)
    await gate.reached()
    const queued = assertCode('POISONED', log.append('queued behind the trim'))
    failOn(files, 'datasync', '.store', 'EIO', 1)
    await clock.advance(20)
    const from = files.trace().length
    gate.open()
    await trim.catch(() => {})
    await queued
    assert.deepEqual(
      traceOf(files, '.store', from).filter((line) => line.startsWith('write')),
      [],
    )
    await log.close()
  })

  it('does so while a segment is sealed', async () => {
    const files = newFiles()
    const log = await openOn(files, { sync: 'never', segmentBytes: 512 })
    const texts = someTexts(5)
    for (const text of texts) await log.append(text)
    assert.equal(storesOf(files).length, 1)
    failOn(files, 'datasync', '.store', 'EIO', 1)
    await assertCode('POISONED', log.appendBatch(someTexts(8)))
    assert.equal(storesOf(files).length, 1, 'a segment that is not safe has no successor')
    await assertPoisoned(log, texts)
    await log.close()
  })

  it('does so while the next segment is made', async () => {
    for (const [kind, part] of [
      ['datasync', '.store.tmp'],
      ['syncDirectory', '/log'],
    ] as const) {
      const files = newFiles()
      const log = await openOn(files, { segmentBytes: 512 })
      const texts = someTexts(5)
      for (const text of texts) await log.append(text)
      failOn(files, kind, part, 'EIO', 1)
      await assertCode('POISONED', log.appendBatch(someTexts(8)))
      await assertPoisoned(log, texts)
      await assertRecovers(files, log, texts)
    }
  })

  it('does so when the meta file is replaced', async () => {
    for (const [kind, part] of [
      ['datasync', 'meta'],
      ['syncDirectory', '/log'],
    ] as const) {
      const files = newFiles()
      const texts = someTexts(5)
      await using(files, {}, (log) => log.appendBatch(texts))
      const log = await openOn(files)
      failOn(files, kind, part, 'EIO', 1)
      await assertCode('POISONED', log.append('first write of this opening'))
      await assertPoisoned(log, texts)
      await assertRecovers(files, log, texts)
    }
  })

  it('does so for a trim, which then has not happened', async () => {
    const files = newFiles()
    const log = await openOn(files, { segmentBytes: 512 })
    const texts = someTexts(20)
    for (const text of texts) await log.append(text)
    const stores = storesOf(files)
    failOn(files, 'datasync', 'meta', 'EIO', 1)
    await assertCode('POISONED', log.trim(15))
    assert.equal(log.lowWaterMark, 0)
    assert.deepEqual(storesOf(files), stores)
    await assertPoisoned(log, texts)
    await assertRecovers(files, log, texts)
  })

  it('makes close fail if it is the one of close; the lock is released', async () => {
    const files = newFiles()
    const log = await openOn(files, { sync: 'never' })
    await log.append('kernel')
    failOn(files, 'datasync', '.store', 'EIO', 1)
    await assertCode('POISONED', log.close())
    await assertCode('POISONED', log.close())
    files.fault = undefined
    await using(files, {}, async (again) => assert.deepEqual(await textsOf(again), ['kernel']))
  })

  it('ends no follower: there is nothing more to see until close', async () => {
    const files = newFiles()
    const log = await openOn(files)
    await log.append('safe')
    const reader = log.read({ follow: true })
    assert.equal((await reader.next()).value?.offset, 0)
    const next = reader.next()
    failOn(files, 'datasync', '.store', 'EIO', 1)
    await assertCode('POISONED', log.append('a'))
    await settle()
    await log.close()
    assert.equal((await next).done, true)
  })
})

describe('opening after a sync that failed', () => {
  it('writes again and syncs what was not proven, before any append', async () => {
    const files = newFiles()
    const log = await openOn(files)
    for (const text of someTexts(3)) await log.append(text)
    failOn(files, 'datasync', '.store', 'EIO', 1)
    await assertCode('POISONED', log.append('doomed'))
    await log.close()
    files.fault = undefined
    const [store] = storesOf(files)
    const places = placesOf(files, store!)
    assert.equal(places.length, 4, 'the entry still reads well')
    await using(worstCrash(files), {}, async (lost) => {
      assert.deepEqual(await textsOf(lost), someTexts(3), 'but it is not on the disk')
    })
    const from = files.trace().length
    const again = await openOn(files)
    assert.equal(again.highWaterMark, 4)
    const lines = traceOf(files, '.store', from)
    const writes = lines.flatMap(
      (line) => /^write \S+ @(\d+) \+(\d+)$/.exec(line)?.slice(1, 3) ?? [],
    )
    const [position, size] = writes.map(Number)
    const doomed = places[3]!
    assert(position! <= doomed.position, `${lines.join('\n')}\ndoes not rewrite ${doomed.position}`)
    assert.equal(position! + size!, doomed.position + doomed.size)
    const synced = lines.findLastIndex((line) => /^datasync \S+$/.test(line))
    const written = lines.findLastIndex((line) => line.startsWith('write'))
    assert(synced > written, 'the sync comes after the rewriting')
    await using(worstCrash(files), {}, async (safe) => {
      assert.deepEqual(await textsOf(safe), [...someTexts(3), 'doomed'])
    })
    await again.close()
  })

  it('does so too after a process has died in the middle', async () => {
    const files = newFiles()
    const log = await openOn(files, { sync: 'never' })
    for (const text of someTexts(10)) await log.append(text)
    const { cloneAll } = await import('tidemark/testing')
    const left = cloneAll(files)
    const again = await openOn(left)
    await using(worstCrash(left), {}, async (safe) => {
      assert.deepEqual(await textsOf(safe), someTexts(10))
    })
    await again.close()
    await log.close()
  })

  it('fails if that sync fails again, and changes nothing that was shown', async () => {
    const files = newFiles()
    const log = await openOn(files)
    await log.append('safe')
    failOn(files, 'datasync', '.store', 'EIO', 1)
    await assertCode('POISONED', log.append('doomed'))
    await log.close()
    for (let i = 0; i < 3; i++) {
      failOn(files, 'datasync', '.store', 'EIO', 1)
      const error = await assertCode('IO', openOn(files))
      assert.equal(errnoOf(error.cause), 'EIO')
    }
    files.fault = undefined
    await using(files, {}, async (again) => {
      assert.deepEqual(await textsOf(again), ['safe', 'doomed'])
      await using(worstCrash(files), {}, async (safe) => {
        assert.deepEqual(await textsOf(safe), ['safe', 'doomed'])
      })
    })
  })
})
