import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ForgetfulFiles, ManualClock } from 'tidemark/testing'
import {
  assertCode,
  gateOn,
  isPending,
  newFiles,
  openOn,
  settle,
  someTexts,
  storesOf,
  textsOf,
  traceOf,
  using,
  worstCrash,
} from './fixtures.ts'

describe('group commit', () => {
  it('writes and syncs 256 concurrent appends once', async () => {
    const files = newFiles()
    await using(files, {}, async (log) => {
      await log.append('first, which creates what is created once')
      const from = files.trace().length
      await Promise.all(someTexts(256).map((text) => log.append(text)))
      const lines = traceOf(files, '.store', from)
      assert.equal(lines.filter((line) => line.startsWith('write')).length, 1, lines.join('\n'))
      assert.equal(lines.filter((line) => /^datasync \S+$/.test(line)).length, 1)
    })
  })

  it('lets writers that a group has woken form the next one together', async () => {
    const files = newFiles()
    await using(files, {}, async (log) => {
      await log.append('first')
      const from = files.trace().length
      await Promise.all(
        Array.from({ length: 32 }, async (_, i) => {
          for (let round = 0; round < 10; round++) await log.append(`${i}.${round}`)
        }),
      )
      const writes = traceOf(files, '.store', from).filter((line) => line.startsWith('write'))
      assert.equal(writes.length, 10)
      assert.equal(log.highWaterMark, 321)
    })
  })

  it('acknowledges nothing before its sync, and shows nothing', async () => {
    const files = newFiles()
    const log = await openOn(files)
    const gate = gateOn(files, 'datasync', '.store')
    const append = log.append('x')
    await gate.reached()
    assert(await isPending(append))
    assert.equal(log.highWaterMark, 0)
    assert.equal(await log.get(0), undefined)
    assert.deepEqual(await textsOf(log), [])
    gate.open()
    assert.equal(await append, 0)
    assert.equal(log.highWaterMark, 1)
    await log.close()
  })
})

describe('sync policies', () => {
  it('never: nothing is synced until flush', async () => {
    const files = newFiles()
    await using(files, { sync: 'never' }, async (log) => {
      await log.append('first')
      const from = files.trace().length
      for (const text of someTexts(50)) await log.append(text)
      log.appendSync('last')
      assert.deepEqual(
        traceOf(files, 'datasync', from).filter((line) => line.includes('.store')),
        [],
      )
      assert.equal((await textsOf(log)).length, 52)
      await log.flush()
      const left = worstCrash(files)
      await using(left, {}, async (again) => assert.equal(again.highWaterMark, 52))
    })
  })

  it('at intervals: synced once the interval is over, and then no timer runs', async () => {
    const files = newFiles()
    const clock = new ManualClock()
    const log = await openOn(files, { sync: { intervalMs: 100 }, clock })
    await log.append('a')
    await log.append('b')
    await clock.advance(99)
    const lost = worstCrash(files)
    await clock.advance(1)
    const kept = worstCrash(files)
    await clock.advance(10)
    assert.equal(clock.pendingTimers, 0)
    await using(lost, {}, async (again) => assert.equal(again.highWaterMark, 0))
    await using(kept, {}, async (again) => assert.deepEqual(await textsOf(again), ['a', 'b']))
    await log.append('c')
    await clock.advance(100)
    await using(worstCrash(files), {}, async (again) => assert.equal(again.highWaterMark, 3))
    await log.close()
  })

  it('at intervals: what is written during a sync is synced by the next', async () => {
    const files = newFiles()
    const clock = new ManualClock()
    const log = await openOn(files, { sync: { intervalMs: 10 }, clock })
    await log.append('a')
    const gate = gateOn(files, 'datasync', '.store')
    const advancing = clock.advance(10)
    await gate.reached()
    await log.append('b')
    gate.open()
    await advancing
    await clock.advance(20)
    await using(worstCrash(files), {}, async (again) => {
      assert.deepEqual(await textsOf(again), ['a', 'b'])
    })
    await log.close()
  })

  it('close syncs whatever the policy', async () => {
    for (const sync of ['always', 'never', { intervalMs: 1000 }] as const) {
      const files = newFiles()
      await using(files, { sync }, (log) => log.append('x'))
      await using(worstCrash(files), {}, async (log) => assert.deepEqual(await textsOf(log), ['x']))
    }
  })

  it('a trim makes durable what lies below it, whatever the policy', async () => {
    const files = newFiles()
    const log = await openOn(files, { sync: 'never' })
    for (const text of someTexts(10)) await log.append(text)
    await log.trim(6)
    await using(worstCrash(files), {}, async (again) => {
      assert.equal(again.lowWaterMark, 6)
      assert.deepEqual(await textsOf(again), someTexts(4, 6).slice(0, again.highWaterMark - 6))
    })
    await log.close()
  })

  it('flush waits for what was appended before it', async () => {
    const files = newFiles()
    const log = await openOn(files, { sync: 'never' })
    const appends = someTexts(10).map((text) => log.append(text))
    await log.flush()
    await using(worstCrash(files), {}, async (again) => assert.equal(again.highWaterMark, 10))
    await Promise.all(appends)
    await log.close()
  })
})

describe('limits of an entry', () => {
  it('counts bytes, not characters, and writes nothing of what is too large', async () => {
    const files = newFiles()
    await using(files, { maxEntryBytes: 9, segmentBytes: 4096 }, async (log) => {
      await log.append('first')
      const from = files.trace().length
      const large = ['日本語x', 'x'.repeat(10), 'é'.repeat(5), '🌊🌊🌊', Buffer.alloc(10)]
      for (const data of large) {
        await assertCode('TOO_LARGE', log.append(data))
        await assertCode('TOO_LARGE', () => log.appendSync(data))
        await assertCode('TOO_LARGE', log.appendBatch(['ok', data, 'ok']))
      }
      await settle()
      assert.deepEqual(
        traceOf(files, 'write', from).filter((line) => !line.includes('marks')),
        [],
      )
      const fitting = ['日本語', 'x'.repeat(9), 'éééé', '🌊🌊', '']
      for (const text of fitting) await log.append(text)
      assert.deepEqual(await textsOf(log), ['first', ...fitting])
    })
  })

  it('says the size and the limit', async () => {
    await using(newFiles(), { maxEntryBytes: 1000 }, async (log) => {
      const error = await assertCode('TOO_LARGE', log.append(Buffer.alloc(1234)))
      assert.match(error.message, /1234.*1000/)
    })
  })

  it('leaves appends alone that wait in the same group', async () => {
    const files = newFiles()
    await using(files, { maxEntryBytes: 100 }, async (log) => {
      const large = Buffer.alloc(101)
      const appends = [
        log.append('a'),
        log.append(large),
        log.appendBatch(['b', large]),
        log.appendBatch(['c', 'd']),
        log.append('e'),
      ]
      const results = await Promise.allSettled(appends)
      const statuses = results.map(({ status }) => status === 'fulfilled')
      assert.deepEqual(statuses, [true, false, false, true, true])
      assert.deepEqual(await textsOf(log), ['a', 'c', 'd', 'e'])
      assert.equal(log.highWaterMark, 4)
    })
  })
})

describe('strings', () => {
  it('are UTF-8 at every length around the internal buffers', async () => {
    const lengths = [0, 1, 1364, 1365, 1366, 4056, 4095, 4096, 4097, 8192, 100_000]
    const texts = lengths.flatMap((n) => ['x'.repeat(n), 'é'.repeat(n), '日'.repeat(n)])
    await using(newFiles(), {}, async (log) => {
      await log.appendBatch(texts)
      for (const text of texts) await log.append(text)
      assert.deepEqual(await textsOf(log), [...texts, ...texts])
    })
  })

  it('hold U+FFFD in the place of lone surrogates', async () => {
    const texts = ['\ud800', 'a\udc00b', '\ud83c\ud83c\udf0a', `${'x'.repeat(5000)}\ud800`]
    await using(newFiles(), { maxEntryBytes: 6000 }, async (log) => {
      for (const text of texts) await log.append(text)
      assert.deepEqual(
        await textsOf(log),
        texts.map((text) => Buffer.from(text).toString()),
      )
    })
    await using(newFiles(), { maxEntryBytes: 3 }, async (log) => {
      assert.equal(await log.append('\ud800'), 0)
      await assertCode('TOO_LARGE', log.append('\ud800x'))
    })
  })
})

describe('overload', () => {
  const options = { maxEntryBytes: 1000, maxPendingBytes: 3 * 1040 }
  const full = Buffer.alloc(1000)

  it('drained() waits for what was appended before it, and for nothing later', async () => {
    const files = newFiles()
    files.syncDelay = () => new Promise((resolve) => setImmediate(resolve))
    const log = await openOn(files)
    let stop = false
    const client = async () => {
      while (!stop) await log.append('request')
    }
    const clients = [client(), client(), client()]
    await settle()
    const before = log.append('before')
    await log.drained()
    assert(!(await isPending(before)))
    stop = true
    await Promise.all(clients)
    await log.close()
  })

  it('appendSync waits for room instead of being refused', async () => {
    const files = newFiles()
    const log = await openOn(files, { maxEntryBytes: 1000, maxPendingBytes: 1040 })
    const full = 'x'.repeat(1000)
    const first = log.append(full)
    await assertCode('OVERLOADED', log.append('no room'))
    assert.equal(log.appendSync(full), 1)
    assert.equal(await first, 0)
    await log.close()
  })

  it('rejects what does not fit beside what waits, and goes on after drained()', async () => {
    const files = newFiles()
    const log = await openOn(files, options)
    const gate = gateOn(files, 'datasync', '.store')
    const waiting = [log.append(full), log.append(full), log.append(full)]
    assert.equal(log.waitingBytes, 3120)
    await assertCode('OVERLOADED', log.append(''))
    await assertCode('OVERLOADED', log.appendBatch([full, full]))
    await gate.reached()
    await assertCode('OVERLOADED', log.append('still'))
    const drained = log.drained()
    assert(await isPending(drained))
    gate.open()
    await drained
    assert.equal(log.waitingBytes, 0)
    assert.deepEqual(await Promise.all(waiting), [0, 1, 2])
    assert.equal(await log.append('after'), 3)
    assert.equal((await textsOf(log)).length, 4)
    await log.close()
  })

  it('takes anything that alone is allowed when nothing waits', async () => {
    await using(newFiles(), options, async (log) => {
      const range = await log.appendBatch([full, full, full, full, full])
      assert.deepEqual(range, { first: 0, last: 4 })
    })
  })

  it('counts down also when appends are refused or fail', async () => {
    const files = newFiles()
    const log = await openOn(files, { ...options, preallocate: false })
    await log.append('first')
    files.capacityBytes = 0
    const failed = await Promise.allSettled([log.append(full), log.append(full)])
    assert(failed.every(({ status }) => status === 'rejected'))
    await assertCode('TOO_LARGE', log.append(Buffer.alloc(1001)))
    await log.drained()
    assert.equal(log.waitingBytes, 0)
    files.capacityBytes = Number.POSITIVE_INFINITY
    await Promise.all([log.append(full), log.append(full), log.append(full)])
    await log.close()
  })
})

describe('where an entry goes', () => {
  it('starts at offset 0 in the folder’s only segment', async () => {
    const files = new ForgetfulFiles()
    await using(files, {}, async (log) => {
      assert.equal(log.folder, '/log')
      assert.equal(await log.append('x'), 0)
    })
    const [store] = storesOf(files)
    assert.match(store!, /^0{20}-[0-9a-f]{8}\.store$/)
    assert.deepEqual(files.listSync('/log').sort(), [
      store!.replace('.store', '.index'),
      store,
      'lock',
      'marks',
      'meta',
    ])
  })

  it('uses the clock for timestamps, and a new term for each writer', async () => {
    const files = new ForgetfulFiles()
    const clock = new ManualClock(5000)
    await using(files, { clock }, async (log) => {
      await log.append('a')
      await clock.advance(7)
      await log.append('b')
    })
    await using(files, { clock }, async (log) => {
      log.appendSync('c')
      const found = []
      for await (const entry of log.read()) found.push([entry.timestamp, entry.term])
      assert.deepEqual(found, [
        [5000, 1],
        [5007, 1],
        [5007, 2],
      ])
    })
  })
})
