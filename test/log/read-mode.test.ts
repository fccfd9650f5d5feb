import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Log } from 'tidemark'
import { cloneAll, ManualClock } from 'tidemark/testing'
import {
  assertCode,
  barrierOf,
  everyFile,
  failOn,
  gateOn,
  isPending,
  newFiles,
  openOn,
  readFile,
  settle,
  someTexts,
  storesOf,
  textsOf,
  using,
  worstCrash,
  writeFile,
} from './fixtures.ts'
import { appendTexts, openReplica } from './replica-fixtures.ts'

/** Takes `count` entries, letting the clock go on until they have come. */
async function take(
  reader: ReturnType<Log['read']>,
  count: number,
  clock: ManualClock,
): Promise<string[]> {
  const texts: string[] = []
  while (texts.length < count) {
    const next = reader.next()
    for (let i = 0; i < 500 && (await isPending(next)); i++) await clock.advance(5)
    assert(!(await isPending(next)), `only ${texts.length} of ${count} entries came`)
    const { value } = await next
    assert(value, `the reader ended after ${texts.length} of ${count} entries`)
    texts.push(value.data.toString())
  }
  return texts
}

describe('a log that is only read', () => {
  it('must be there', async () => {
    const files = newFiles()
    await assertCode('NOT_FOUND', openOn(files, { mode: 'read' }))
    assert.deepEqual(files.listSync('/'), [], 'looking creates nothing')
    files.makeFolderSync('/log')
    await assertCode('NOT_FOUND', openOn(files, { mode: 'read' }))
    assert.deepEqual(files.listSync('/log'), [])
  })

  it('takes no writes', async () => {
    const files = newFiles()
    await using(files, {}, (log) => log.appendBatch(someTexts(3)))
    await using(files, { mode: 'read' }, async (log) => {
      for (const action of [
        () => log.append('x'),
        () => log.appendBatch(['x']),
        () => log.appendSync('x'),
        () => log.trim(1),
        () => log.flush(),
        () => log.snapshots.write(1, []),
        () => log.snapshots.remove(1),
      ]) {
        await assertCode('READ_ONLY', action)
      }
      assert.deepEqual(await textsOf(log), someTexts(3))
    })
  })

  it('leaves every byte alone', async () => {
    const files = newFiles()
    await using(files, { segmentBytes: 512 }, (log) => log.appendBatch(someTexts(5)))
    const before = everyFile(files)
    await using(files, { mode: 'read' }, async (log) => {
      assert.deepEqual(await textsOf(log), someTexts(5))
      assert.equal((await log.get(2))?.data.toString(), 'entry 2')
      assert.deepEqual(await log.snapshots.list(), [])
    })
    assert.deepEqual(everyFile(files), before)
  })

  it('reads snapshots', async () => {
    const files = newFiles()
    await using(files, {}, async (log) => {
      await log.appendBatch(someTexts(4))
      await log.snapshots.write(4, [Buffer.from('state')])
    })
    await using(files, { mode: 'read' }, async (log) => {
      assert.deepEqual(await log.snapshots.list(), [4])
      const chunks: Uint8Array[] = []
      for await (const chunk of log.snapshots.read(4)) chunks.push(chunk)
      assert.equal(Buffer.concat(chunks).toString(), 'state')
    })
  })
})

describe('a reader beside a living writer', () => {
  it('sees what was acknowledged once the marks say so, and nothing above', async () => {
    const files = newFiles()
    const clock = new ManualClock()
    const writer = await openOn(files, { clock })
    const reader = await openOn(files, { mode: 'read', clock })
    assert.equal(reader.highWaterMark, 0)
    await writer.append('a')
    await clock.advance(1)
    await barrierOf(reader, clock)
    assert.deepEqual(await textsOf(reader), ['a'])
    const gate = gateOn(files, 'datasync', '.store')
    const append = writer.append('not safe yet')
    await gate.reached()
    await clock.advance(100)
    assert.equal(await reader.get(1), undefined)
    assert.equal(reader.highWaterMark, 1)
    assert.deepEqual(await textsOf(reader), ['a'])
    gate.open()
    await append
    await clock.advance(1)
    assert.equal((await reader.get(1))?.data.toString(), 'not safe yet')
    await reader.close()
    await writer.close()
  })

  it('sees after barrier() everything that was acknowledged before it', async () => {
    const files = newFiles()
    const writer = await openOn(files)
    const reader = await openOn(files, { mode: 'read' })
    for (let i = 0; i < 20; i++) {
      await writer.append(`entry ${i}`)
      await reader.barrier()
      assert(reader.highWaterMark > i, `${reader.highWaterMark} after the append of ${i}`)
    }
    await reader.close()
    await writer.close()
  })

  it('sees what was appended by a writer that blocks and does not come back to its event loop', async () => {
    const files = newFiles()
    // No timer fires: the clock stands still.
    const writer = await openOn(files, { clock: new ManualClock() })
    for (let i = 0; i < 5; i++) writer.appendSync(`entry ${i}`)
    const reader = await openOn(files, { mode: 'read' })
    assert.deepEqual(await textsOf(reader), someTexts(5))
    await reader.close()
    await writer.close()
  })

  it('does not wait for ever in barrier() for what a poisoned writer will never acknowledge', async () => {
    const files = newFiles()
    const clock = new ManualClock()
    const writer = await openOn(files, { clock })
    await writer.append('a')
    failOn(files, 'datasync', '.store', 'EIO', 1)
    await assertCode('POISONED', writer.append('b'))
    files.fault = undefined
    await clock.advance(1)
    const reader = await openOn(files, { mode: 'read', clock })
    // Nobody here can tell it from a writer that stands still before it says what it has acknowledged.
    const barrier = reader.barrier()
    const failed = assertCode('IO', barrier)
    for (let i = 0; i < 100 && (await isPending(failed)); i++) await clock.advance(100)
    assert(!(await isPending(failed)), 'it waits for ever')
    await failed
    assert.deepEqual(await textsOf(reader), ['a'])
    await reader.close()
    await writer.close()
  })

  it('follows across rolls, trims and closings of the writer', async () => {
    const files = newFiles()
    const clock = new ManualClock()
    const options = { segmentBytes: 512, clock, indexIntervalBytes: 1 }
    let writer = await openOn(files, options)
    const log = await openOn(files, { mode: 'read', clock, pollMs: 5 })
    const reader = log.read({ follow: true })
    let next = 0
    for (let round = 0; round < 6; round++) {
      const texts = someTexts(25, next)
      for (const text of texts) await writer.append(text)
      assert.deepEqual(await take(reader, 25, clock), texts)
      next += 25
      if (round % 2 === 0) await writer.trim(next - 3)
      if (round % 3 === 2) {
        await writer.close()
        await clock.advance(1000)
        writer = await openOn(files, options)
      }
    }
    await reader.return()
    assert.deepEqual(await textsOf(log), someTexts(next - log.lowWaterMark, log.lowWaterMark))
    await log.close()
    await writer.close()
    assert.equal(clock.pendingTimers, 0)
  })

  it('finds entries in segments that were sealed since, in both directions and by time', async () => {
    const files = newFiles()
    const clock = new ManualClock(1000)
    const writer = await openOn(files, { segmentBytes: 512, clock })
    const log = await openOn(files, { mode: 'read', clock })
    for (let round = 1; round <= 5; round++) {
      for (const text of someTexts(10, 10 * round - 10)) {
        await clock.advance(1)
        await writer.append(text)
      }
      await clock.advance(1)
      const count = 10 * round
      assert.deepEqual(await textsOf(log), someTexts(count))
      assert.deepEqual(await textsOf(log, { reverse: true }), someTexts(count).toReversed())
      for (let i = 0; i < count; i += 3) {
        assert.equal((await log.get(i))?.data.toString(), `entry ${i}`)
      }
      const first = (await log.get(count - 4))!.timestamp
      assert.deepEqual(await textsOf(log, { fromTimestamp: first }), someTexts(4, count - 4))
    }
    await log.close()
    await writer.close()
  })

  it('gets TRIMMED where the writer has trimmed', async () => {
    const files = newFiles()
    const clock = new ManualClock()
    const writer = await openOn(files, { segmentBytes: 512, clock })
    for (const text of someTexts(50)) await writer.append(text)
    await clock.advance(1)
    const log = await openOn(files, { mode: 'read', clock })
    const old = log.read()
    await old.next()
    await writer.trim(45)
    await assertCode('TRIMMED', async () => {
      for await (const _ of old) assert.ok(true)
    })
    await barrierOf(log, clock)
    assert.equal(log.lowWaterMark, 45)
    assert.equal(await log.get(3), undefined)
    assert.deepEqual(await textsOf(log), someTexts(5, 45))
    await log.close()
    await writer.close()
  })

  it('follows into the first entry of a log that is still empty', async () => {
    const files = newFiles()
    const clock = new ManualClock()
    const writer = await openOn(files, { clock })
    const log = await openOn(files, { mode: 'read', clock })
    const reader = log.read({ follow: true })
    const next = reader.next()
    assert(await isPending(next))
    await writer.append('first')
    await clock.advance(20)
    assert.equal((await next).value?.data.toString(), 'first')
    await reader.return()
    await log.close()
    await writer.close()
  })

  it('follows a replica’s commits across its cuts, and never sees what was cut', async () => {
    for (const cutTo of [12, 17, 30]) {
      const files = newFiles()
      const clock = new ManualClock()
      const writer = await openReplica(files, { clock })
      const log = await openOn(files, { mode: 'read', clock, pollMs: 5 })
      const reader = log.read({ follow: true })
      await appendTexts(writer, someTexts(40))
      writer.replica.commit(12)
      assert.deepEqual(await take(reader, 12, clock), someTexts(12))
      await writer.replica.truncateAfter(cutTo)
      const later = someTexts(40, 1000)
      await appendTexts(writer, later, 2)
      writer.replica.commit(cutTo + 40)
      const rest = [...someTexts(cutTo).slice(12), ...later]
      assert.deepEqual(await take(reader, rest.length, clock), rest)
      await barrierOf(log, clock)
      assert.deepEqual(await textsOf(log), [...someTexts(12), ...rest])
      assert.equal((await log.get(cutTo))?.data.toString(), 'entry 1000')
      await log.close()
      await writer.close()
    }
  })

  it('sees entries larger than any chunk', async () => {
    const files = newFiles()
    const clock = new ManualClock()
    const writer = await openOn(files, { clock })
    const log = await openOn(files, { mode: 'read', clock })
    const reader = log.read({ follow: true })
    for (const size of [10, 700_000, 3, 1_500_000]) {
      await writer.append('x'.repeat(size))
      assert.deepEqual(
        (await take(reader, 1, clock)).map((text) => text.length),
        [size],
      )
    }
    await log.close()
    await writer.close()
  })

  it('survives, or says, that a look fails; it does not wait for ever', async () => {
    const files = newFiles()
    const clock = new ManualClock()
    const writer = await openOn(files, { clock })
    await writer.append('a')
    await clock.advance(1)
    const log = await openOn(files, { mode: 'read', clock })
    const reader = log.read({ follow: true })
    assert.deepEqual(await take(reader, 1, clock), ['a'])
    const next = reader.next().then(
      ({ value }) => value?.data.toString(),
      (error: NodeJS.ErrnoException) => error.code,
    )
    const failed = failOn(files, 'read', 'marks', 'EIO', 1)
    await clock.advance(10)
    assert.equal(failed.count, 1)
    files.fault = undefined
    await writer.append('b')
    await clock.advance(50)
    assert(!(await isPending(next)), 'the reader waits although there is something to see')
    assert(['b', 'IO'].includes((await next) ?? ''), `it said ${await next}`)
    await log.close()
    await writer.close()
  })

  it('looks again when the writer is in the middle of a change', async () => {
    const files = newFiles()
    const clock = new ManualClock()
    const writer = await openOn(files, { clock, segmentBytes: 512 })
    for (const text of someTexts(30)) await writer.append(text)
    await clock.advance(1)
    const log = await openOn(files, { mode: 'read', clock })
    // Between the listing of the folder and the opening of a store, the store goes away.
    const [first, second] = storesOf(files)
    const bytes = readFile(files, second!)
    let looked = 0
    files.fault = (op) => {
      if (op.kind === 'read' && op.path.endsWith(first!) && looked++ === 0) {
        files.removeSync(`/log/${second}`)
      }
      return undefined
    }
    const barrier = log.barrier()
    await settle()
    assert(looked > 0)
    writeFile(files, second!, bytes)
    for (let i = 0; i < 50 && (await isPending(barrier)); i++) await clock.advance(1)
    await barrier
    files.fault = undefined
    assert.deepEqual(await textsOf(log), someTexts(30))
    await log.close()
    await writer.close()
  })

  it('lets no timer run while nobody follows', async () => {
    const files = newFiles()
    const clock = new ManualClock()
    await using(files, { clock }, (writer) => writer.append('a'))
    const log = await openOn(files, { mode: 'read', clock })
    await textsOf(log)
    assert.equal(clock.pendingTimers, 0)
    const readers = [log.read({ follow: true }), log.read({ follow: true })]
    for (const reader of readers) await reader.next()
    const waiting = readers.map((reader) => reader.next())
    await settle()
    assert.equal(clock.pendingTimers, 1)
    for (const reader of readers) await reader.return()
    await Promise.all(waiting)
    assert.equal(clock.pendingTimers, 0)
    await log.close()
  })

  it('ends its followers when it is closed itself', async () => {
    const files = newFiles()
    const clock = new ManualClock()
    const writer = await openOn(files, { clock })
    const log = await openOn(files, { mode: 'read', clock })
    const next = log.read({ follow: true }).next()
    await settle()
    await log.close()
    assert.equal((await next).done, true)
    assert.equal(clock.pendingTimers, 0)
    await writer.close()
  })
})

describe('a reader without a writer', () => {
  it('sees everything that was acknowledged, and makes it safe before it shows it', async () => {
    for (const sync of ['always', 'never'] as const) {
      const files = newFiles()
      const writer = await openOn(files, { sync, segmentBytes: 2048, clock: new ManualClock() })
      for (const text of someTexts(60)) await writer.append(text)
      const left = cloneAll(files)
      await writer.close()
      const log = await openOn(left, { mode: 'read' })
      assert.deepEqual(await textsOf(log), someTexts(60))
      assert.equal((await log.get(59))?.data.toString(), 'entry 59')
      await using(worstCrash(left), {}, async (survivor) => {
        assert.deepEqual(await textsOf(survivor), someTexts(60))
      })
      await log.close()
    }
  })

  it('goes on following when a writer comes back', async () => {
    const files = newFiles()
    const clock = new ManualClock()
    const options = { clock, segmentBytes: 512 }
    const dying = await openOn(files, options)
    for (const text of someTexts(20)) await dying.append(text)
    const left = cloneAll(files)
    await dying.close()
    const log = await openOn(left, { mode: 'read', clock })
    const reader = log.read({ follow: true })
    assert.deepEqual(await take(reader, 20, clock), someTexts(20))
    const writer = await openOn(left, options)
    for (const text of someTexts(20, 20)) await writer.append(text)
    assert.deepEqual(await take(reader, 20, clock), someTexts(20, 20))
    await reader.return()
    await log.close()
    await writer.close()
  })

  it('keeps what it has shown when the writer comes back and cuts a torn tail', async () => {
    const files = newFiles()
    const clock = new ManualClock()
    const dying = await openOn(files, { clock, sync: 'never' })
    await dying.appendBatch(someTexts(5))
    const gate = gateOn(files, 'write', '.store')
    const large = dying.append('x'.repeat(1_200_000))
    await gate.reached()
    const left = cloneAll(files)
    gate.open()
    await large
    await dying.close()
    const log = await openOn(left, { mode: 'read', clock })
    assert.equal(log.highWaterMark, 5)
    const writer = await openOn(left, { clock })
    await writer.append('entry 5')
    await clock.advance(5)
    await barrierOf(log, clock)
    assert.deepEqual(await textsOf(log), someTexts(6))
    await log.close()
    await writer.close()
  })

  it('sees a log that is trimmed to nothing, and one that is empty', async () => {
    const files = newFiles()
    await using(files, {}, async () => {})
    await using(files, { mode: 'read' }, async (log) => assert.deepEqual(await textsOf(log), []))
    await using(files, { segmentBytes: 512 }, async (log) => {
      for (const text of someTexts(30)) await log.append(text)
      await log.trim(30)
    })
    assert.equal(storesOf(files).length, 1)
    await using(files, { mode: 'read' }, async (log) => {
      assert.deepEqual([log.lowWaterMark, log.highWaterMark], [30, 30])
      assert.deepEqual(await textsOf(log), [])
    })
  })
})
