import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { bytes, type Log } from 'tidemark'
import { DurableMap, type MapOptions } from 'tidemark/machine'
import { ForgetfulFiles, ManualClock } from 'tidemark/testing'
import { assertCode, openOn, type PlainOptions } from '../log/fixtures.ts'

/** Opens a map on simulated files, and closes it and its log when `use` is done. */
async function withMap<T, K = string, V = unknown>(
  files: ForgetfulFiles,
  use: (map: DurableMap<K, V>, log: Log) => Promise<T>,
  options: MapOptions<K, V> = {},
  logOptions: PlainOptions = {},
): Promise<T> {
  const log = await openOn(files, logOptions)
  try {
    const map = await DurableMap.open<K, V>(log, options)
    try {
      return await use(map, log)
    } finally {
      await map.close()
    }
  } finally {
    await log.close()
  }
}

describe('a durable map', () => {
  it('sets, gets, deletes, and has it all again when it is opened', async () => {
    const files = new ForgetfulFiles()
    await withMap(files, async (map) => {
      await map.set('a', 1)
      await map.set('b', { deep: [2, null] })
      await map.setMany([
        ['c', 'three'],
        ['d', 4],
        ['a', 0],
      ])
      assert.equal(await map.delete('d'), true)
      assert.equal(await map.delete('d'), false)
      assert.deepEqual(map.get('b'), { deep: [2, null] })
      assert.equal(map.get('d'), undefined)
      assert.equal(map.has('c'), true)
      assert.equal(map.size, 3)
      assert.equal(await map.read('a'), 0)
    })
    await withMap(files, async (map) => {
      assert.deepEqual([...map].sort(), [
        ['a', 0],
        ['b', { deep: [2, null] }],
        ['c', 'three'],
      ])
      assert.deepEqual([...map.keys()].sort(), ['a', 'b', 'c'])
      assert.equal([...map.values()].length, 3)
      await map.snapshot()
      await map.set('e', 5)
    })
    await withMap(files, async (map) => {
      assert.equal(map.size, 4)
      assert.equal(map.get('e'), 5)
    })
  })

  it('compares and sets', async () => {
    await withMap(new ForgetfulFiles(), async (map) => {
      assert.equal(await map.compareAndSet('a', undefined, { n: 1 }), true)
      assert.equal(await map.compareAndSet('a', undefined, { n: 2 }), false)
      assert.equal(await map.compareAndSet('a', { n: 1 }, { n: 2 }), true)
      assert.equal(await map.compareAndSet('a', { n: 2 }, undefined), true)
      assert.equal(map.has('a'), false)
      const all = await Promise.all([1, 2, 3, 4].map((n) => map.compareAndSet('b', undefined, n)))
      assert.equal(all.filter(Boolean).length, 1)
    })
  })

  it('sets once what is asked for twice in a session', async () => {
    await withMap(new ForgetfulFiles(), async (map) => {
      const { id } = await map.openSession()
      await map.set('a', 1, { session: id, request: 1 })
      await map.set('a', 2)
      await map.set('a', 1, { session: id, request: 1 })
      assert.equal(map.get('a'), 2)
    })
  })

  it('forgets keys whose time is over, by the time of the log alone', async () => {
    const files = new ForgetfulFiles()
    const clock = new ManualClock()
    const use = { clock }
    await withMap(
      files,
      async (map) => {
        await map.set('short', 1, { ttlMs: 1000 })
        await map.set('long', 2, { ttlMs: 10_000 })
        await map.set('kept', 3, { ttlMs: 1000 })
        await map.set('kept', 4)
        await clock.advance(5000)
        assert.equal(map.get('short'), 1, 'no entry has told of the time')
        await map.set('tick', 0)
        assert.equal(map.get('short'), undefined)
        assert.equal(map.get('long'), 2)
        assert.equal(map.get('kept'), 4)
        assert.equal(map.size, 3)
        await map.snapshot()
      },
      {},
      use,
    )
    await clock.advance(10_000)
    await withMap(
      files,
      async (map) => {
        assert.equal(map.get('long'), 2)
        await map.set('tick', 1)
        assert.equal(map.get('long'), undefined)
        assert.equal(await map.compareAndSet('long', undefined, 9), true)
      },
      {},
      use,
    )
  })

  it('renews the time of a key', async () => {
    const clock = new ManualClock()
    await withMap(
      new ForgetfulFiles(),
      async (map) => {
        for (let round = 0; round < 10; round++) {
          await map.set('renewed', round, { ttlMs: 1000 })
          await map.set('deleted', round, { ttlMs: 1000 })
          await map.delete('deleted')
          await clock.advance(900)
        }
        await map.set('renewed', 'for a shorter time', { ttlMs: 50 })
        await clock.advance(40)
        await map.set('tick', 0)
        assert.equal(map.get('renewed'), 'for a shorter time')
        await clock.advance(20)
        await map.set('tick', 1)
        assert.equal(map.size, 1)
      },
      {},
      { clock },
    )
  })

  it('removes many that are over a few at a time, and shows none of them', async () => {
    const clock = new ManualClock()
    await withMap(
      new ForgetfulFiles(),
      async (map) => {
        const entries = Array.from({ length: 2000 }, (_, i) => [`key ${i}`, i] as const)
        await map.setMany(entries, { ttlMs: 10 })
        await clock.advance(20)
        await map.set('tick', 0)
        assert.ok(map.size > 1000 && map.size < 2000)
        assert.deepEqual([...map], [['tick', 0]])
        for (let i = 0; i < 10; i++) await map.set('tick', i)
        assert.equal(map.size, 1)
      },
      {},
      { clock },
    )
  })

  it('has ranges in order', async () => {
    const files = new ForgetfulFiles()
    await withMap(
      files,
      async (map) => {
        for (const key of ['b/2', 'a', 'b/1', 'c', 'b', 'b/10', 'b0', '\uffff'])
          await map.set(key, key)
        const keys = (range: object) => [...map.range(range)].map(([key]) => key)
        assert.deepEqual(keys({}), ['a', 'b', 'b/1', 'b/10', 'b/2', 'b0', 'c', '\uffff'])
        assert.deepEqual(keys({ prefix: 'b/' }), ['b/1', 'b/10', 'b/2'])
        assert.deepEqual(keys({ prefix: 'b/', reverse: true, limit: 2 }), ['b/2', 'b/10'])
        assert.deepEqual(keys({ from: 'b', to: 'b/2' }), ['b', 'b/1', 'b/10'])
        assert.deepEqual(keys({ from: 'b/1', prefix: 'b', reverse: true }), [
          'b0',
          'b/2',
          'b/10',
          'b/1',
        ])
        assert.deepEqual(keys({ reverse: true, limit: 1 }), ['\uffff'])
        assert.deepEqual(keys({ to: 'b', reverse: true }), ['a'])
        assert.deepEqual(keys({ limit: 0 }), [])
        assert.deepEqual(keys({ prefix: '\uffff', reverse: true }), ['\uffff'])
        await map.delete('b/1')
        assert.deepEqual(keys({ prefix: 'b/' }), ['b/10', 'b/2'])
        await map.snapshot()
        await assertCode('INVALID_ARGUMENT', async () => keys({ form: 'a' }))
      },
      { ordered: true },
    )
    await withMap(files, async (map) => assert.equal([...map.range({ prefix: 'b' })].length, 4), {
      ordered: true,
    })
    await withMap(files, async (map) => {
      await assertCode('INVALID_ARGUMENT', async () => [...map.range()])
    })
  })

  it('shows an iteration the map as it was when it began', async () => {
    await withMap(new ForgetfulFiles(), async (map) => {
      await map.setMany([
        ['a', 1],
        ['b', 2],
      ])
      const entries = map.entries()
      await map.set('a', 9)
      await map.delete('b')
      assert.deepEqual([...entries].sort(), [
        ['a', 1],
        ['b', 2],
      ])
    })
  })

  it('is watched from an offset, and nothing is missed', async () => {
    await withMap(new ForgetfulFiles(), async (map) => {
      await map.set('a', 1)
      const from = map.offset
      await map.setMany([
        ['b', 2],
        ['c', 3],
      ])
      await map.compareAndSet('b', 5, 6)
      const seen: unknown[] = []
      const stop = new AbortController()
      const watching = (async () => {
        for await (const { offset, key, value } of map.watch({ from, signal: stop.signal })) {
          seen.push([offset, key, value])
        }
      })()
      await map.delete('a')
      await map.compareAndSet('nothing', 1, 2)
      while (seen.length < 3) await sleep(1)
      assert.deepEqual(seen, [
        [1, 'b', 2],
        [1, 'c', 3],
        [3, 'a', undefined],
      ])
      stop.abort(new Error('enough'))
      await assert.rejects(watching, /enough/)
    })
  })

  it('tells a watcher who asks for too much of the past', async () => {
    await withMap(
      new ForgetfulFiles(),
      async (map) => {
        for (let i = 0; i < 10; i++) await map.set(`key ${i}`, i)
        await assertCode('TRIMMED', () => map.watch({ from: 0 }).next())
        const { value } = await map.watch({ from: 7 }).next()
        assert.deepEqual(value, { offset: 7, key: 'key 7', value: 7 })
      },
      { history: 3 },
    )
  })

  it('takes a time to live that goes beyond all time', async () => {
    const files = new ForgetfulFiles()
    await withMap(files, async (map) => {
      await map.set('a', 1, { ttlMs: 2 ** 48 - 1 })
      assert.equal(map.get('a'), 1)
      await map.snapshot()
    })
    await withMap(files, async (map) => {
      assert.deepEqual([...map], [['a', 1]])
    })
  })

  it('does not count keys whose time is over for the limit of a range', async () => {
    const clock = new ManualClock()
    const use = async (map: DurableMap) => {
      const many = Array.from({ length: 300 }, (_, i) => [`a ${i}`, i] as const)
      await map.setMany(many, { ttlMs: 10 })
      await clock.advance(10)
      // One command removes 256 of them.
      await map.set('b', 1)
      assert.ok(map.size > 1)
      assert.deepEqual([...map.range({ limit: 1 })], [['b', 1]])
    }
    await withMap(new ForgetfulFiles(), use, { ordered: true }, { clock })
  })

  it('ends a watch with the map', async () => {
    await withMap(new ForgetfulFiles(), async (map) => {
      const watching = map.watch().next()
      await sleep(1)
      await map.close()
      assert.equal((await watching).done, true)
    })
  })

  it('ends a watch that was stopped while its last change was looked at', async () => {
    await withMap(new ForgetfulFiles(), async (map) => {
      await map.set('a', 1)
      const stop = new AbortController()
      const watching = map.watch({ from: 0, signal: stop.signal })
      assert.equal((await watching.next()).value?.key, 'a')
      stop.abort(new Error('enough'))
      await assert.rejects(watching.next(), /enough/)
    })
  })

  it('ends a watch whose log was closed while its last change was looked at', async () => {
    const log = await openOn(new ForgetfulFiles())
    const map = await DurableMap.open(log)
    await map.set('a', 1)
    const watching = map.watch({ from: 0 })
    assert.equal((await watching.next()).value?.key, 'a')
    await log.close()
    await sleep(5)
    await assertCode('CLOSED', () => watching.next())
    await map.close()
  })

  it('takes codecs for keys and values', async () => {
    const files = new ForgetfulFiles()
    const keys = {
      encode: (key: number) => Buffer.from([key >> 8, key]),
      decode: (b: Buffer) => b.readUInt16BE(),
    }
    const use = async (map: DurableMap<number, Buffer>) => {
      await map.set(700, Buffer.from([1, 2, 3]))
      assert.deepEqual([...map.range({ from: 5 })], [[700, Buffer.from([1, 2, 3])]])
    }
    await withMap(files, use as never, { keys, values: bytes, ordered: true } as never)
  })

  it('refuses what cannot be', async () => {
    await withMap(new ForgetfulFiles(), async (map, log) => {
      await assertCode('TOO_LARGE', () => map.set('x'.repeat(65_536), 1))
      await assertCode('INVALID_ARGUMENT', () => map.set('a', 1, { ttl: 5 } as object))
      await assertCode('INVALID_ARGUMENT', () => map.set('a', 1, { ttlMs: 0 }))
      await assertCode('INVALID_ARGUMENT', () => map.set('a', undefined))
      await assertCode('INVALID_ARGUMENT', () => map.compareAndSet('a', 1, 2, { session: 'x' }))
      await assertCode('INVALID_ARGUMENT', () => DurableMap.open(log, { orderd: true } as object))
      await assertCode('INVALID_ARGUMENT', () => DurableMap.open(log, { history: 0 }))
      await assertCode('INVALID_ARGUMENT', () => map.watch({ from: -1 }).next())
      assert.equal(map.size, 0)
      assert.equal(log.highWaterMark, 0)
    })
  })
})
