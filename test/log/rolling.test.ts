import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type ForgetfulFiles, ManualClock } from 'tidemark/testing'
import {
  ENTRY_HEADER_BYTES,
  entriesOf,
  gateOn,
  namesOf,
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
import { appendTexts, openReplica, usingReplica } from './replica-fixtures.ts'

/** Base offset, as a store's name says it. */
function baseOf(store: string): number {
  return Number(store.slice(0, 20))
}

function sizeOf(files: ForgetfulFiles, name: string): number {
  return readFile(files, name).length
}

describe('rolling by size', () => {
  it('begins a segment when the next batch would grow it beyond its size', async () => {
    const files = newFiles()
    const size = SEGMENT_HEADER_BYTES + 5 * (ENTRY_HEADER_BYTES + 60)
    await using(files, { segmentBytes: size }, async (log) => {
      for (let i = 0; i < 12; i++) await log.append(Buffer.alloc(60, i))
    })
    assert.deepEqual(storesOf(files).map(baseOf), [0, 5, 10])
    assert.deepEqual(
      storesOf(files).map((store) => sizeOf(files, store)),
      [size, size, SEGMENT_HEADER_BYTES + 2 * 100],
    )
  })

  it('fills a segment to the last byte, and not one more', async () => {
    const room = 512 - SEGMENT_HEADER_BYTES - ENTRY_HEADER_BYTES
    for (const [length, bases] of [
      [room, [0, 1, 2]],
      [room - 1, [0, 1, 2]],
      [room + 1, [0, 1, 2]],
      [room / 2 - ENTRY_HEADER_BYTES / 2, [0, 2]],
    ] as const) {
      const files = newFiles()
      await using(files, { segmentBytes: 512 }, async (log) => {
        for (let i = 0; i < 3; i++) await log.append(Buffer.alloc(length))
      })
      assert.deepEqual(storesOf(files).map(baseOf), bases, `entries of ${length} bytes`)
    }
  })

  it('counts headers and data of all that lies in it', async () => {
    // Two entries that fill the segment together, or miss it by one byte.
    for (const [second, bases] of [
      [184, [0]],
      [185, [0, 1]],
    ] as const) {
      const files = newFiles()
      await using(files, { segmentBytes: 512 }, async (log) => {
        await Promise.all([log.append(Buffer.alloc(184)), log.append(Buffer.alloc(second))])
      })
      assert.deepEqual(storesOf(files).map(baseOf), bases)
    }
  })

  it('gives no two segments the same id, though chance would', async () => {
    const files = newFiles()
    let drawn = 0
    // Each number comes twice, and zero first, which is no id.
    const random = { uint32: () => drawn++ >> 1 }
    await using(files, { segmentBytes: 512, random }, async (log) => {
      for (const text of someTexts(60)) await log.append(text)
      assert.deepEqual(await textsOf(log), someTexts(60))
    })
    const ids = storesOf(files).map((name) => name.slice(21, 29))
    assert(ids.length > 3)
    assert.equal(new Set(ids).size, ids.length)
    assert(!ids.includes('00000000'))
  })

  it('never splits a batch, however the groups fall', async () => {
    const files = newFiles()
    const firsts: number[] = []
    await using(files, { segmentBytes: 700 }, async (log) => {
      const sizes = [3, 1, 7, 4, 9, 2, 2, 5, 12, 1]
      const ranges = await Promise.all(
        sizes.map((count, i) => log.appendBatch(someTexts(count, 100 * i))),
      )
      firsts.push(...ranges.map(({ first }) => first))
      assert.deepEqual(
        await textsOf(log),
        sizes.flatMap((count, i) => someTexts(count, 100 * i)),
      )
    })
    const bases = storesOf(files).map(baseOf)
    assert(bases.length > 3)
    for (const base of bases) assert(firsts.includes(base), `segment ${base} splits a batch`)
  })

  it('gives a batch that is larger than a segment one of its own', async () => {
    const files = newFiles()
    const batch = someTexts(200)
    await using(files, { segmentBytes: 512 }, async (log) => {
      await log.append('before')
      assert.deepEqual(await log.appendBatch(batch), { first: 1, last: 200 })
      await log.append('after')
      assert.deepEqual(await textsOf(log), ['before', ...batch, 'after'])
      await using(worstCrash(files), {}, async (survivor) => {
        assert.deepEqual(await textsOf(survivor), ['before', ...batch, 'after'])
      })
    })
    assert.deepEqual(storesOf(files).map(baseOf), [0, 1, 201])
  })

  it('writes a group across several segments, in order', async () => {
    const files = newFiles()
    await using(files, { segmentBytes: 512 }, async (log) => {
      const offsets = await Promise.all(someTexts(100).map((text) => log.append(text)))
      assert.deepEqual(
        offsets,
        someTexts(100).map((_, i) => i),
      )
      assert.deepEqual(await textsOf(log), someTexts(100))
    })
    assert(storesOf(files).length > 10)
  })

  it('links each segment to the one before, with its end and terms', async () => {
    const files = newFiles()
    for (let opening = 0; opening < 3; opening++) {
      await using(files, { segmentBytes: 512 }, (log) => log.appendBatch(someTexts(8)))
    }
    const stores = storesOf(files)
    const headers = stores.map((store) => readFile(files, store).subarray(0, 64))
    for (let i = 1; i < stores.length; i++) {
      const [before, here] = [headers[i - 1]!, headers[i]!]
      assert.equal(here.readUInt32LE(12), before.readUInt32LE(8), 'names its predecessor')
      assert.equal(here.readUInt32LE(24), sizeOf(files, stores[i - 1]!), 'and where it ends')
      assert.equal(here.readUInt32LE(28), i, 'counts the segments')
      assert.equal(here.readUInt32LE(32), i, 'the term of the entry before')
    }
  })
})

describe('rolling by age', () => {
  it('begins a segment with the first append after the age is over', async () => {
    const files = newFiles()
    const clock = new ManualClock()
    await using(files, { clock, segmentAgeMs: 1000 }, async (log) => {
      await log.append('a')
      await clock.advance(1000)
      await log.append('b')
      await clock.advance(1)
      assert.equal(storesOf(files).length, 1)
      await log.append('c')
      assert.deepEqual(storesOf(files).map(baseOf), [0, 2])
      await clock.advance(5000)
      assert.equal(storesOf(files).length, 2, 'an idle log makes no segments')
      log.appendSync('d')
      assert.deepEqual(storesOf(files).map(baseOf), [0, 2, 3])
      assert.deepEqual(await textsOf(log), ['a', 'b', 'c', 'd'])
    })
  })

  it('leaves an empty segment, however old', async () => {
    const files = newFiles()
    const clock = new ManualClock()
    await using(files, { clock, segmentAgeMs: 10 }, async (log) => {
      await clock.advance(100)
      await log.append('a')
      assert.equal(storesOf(files).length, 1)
    })
    await clock.advance(100)
    await using(files, { clock, segmentAgeMs: 10 }, (log) => log.append('b'))
    assert.deepEqual(storesOf(files).map(baseOf), [0, 1])
  })

  it('is not misled by a wall clock that goes back', async () => {
    const files = newFiles()
    const clock = new ManualClock()
    await using(files, { clock, segmentAgeMs: 10 }, async (log) => {
      await log.append('a')
      clock.jump(-1_000_000)
      await log.append('b')
      clock.jump(1_000_000)
      await clock.advance(11)
      await log.append('c')
    })
    assert.deepEqual(storesOf(files).map(baseOf), [0, 2])
  })
})

describe('preallocation', () => {
  it('keeps the store longer than what is written, and ends it exactly at close', async () => {
    const files = newFiles()
    const log = await openOn(files)
    const [store] = storesOf(files)
    assert.equal(sizeOf(files, store!), SEGMENT_HEADER_BYTES, 'nothing before the first write')
    for (let i = 0; i < 100; i++) await log.append(Buffer.alloc(100, 1))
    const written = SEGMENT_HEADER_BYTES + 100 * 140
    assert(sizeOf(files, store!) > written, 'a sync should not have to change the length')
    const gate = gateOn(files, 'datasync', '.store')
    const append = log.append('next')
    await gate.reached()
    const length = sizeOf(files, store!)
    gate.open()
    await append
    assert(length > written + 44)
    await log.close()
    assert.equal(sizeOf(files, store!), written + 44)
    await using(files, {}, async (again) => assert.equal(again.highWaterMark, 101))
  })

  it('changes the length of the file far less often than it syncs', async () => {
    const files = newFiles()
    const lengths = new Set<number>()
    await using(files, {}, async (log) => {
      const [store] = storesOf(files)
      for (let i = 0; i < 1000; i++) {
        await log.append(Buffer.alloc(100, 1))
        lengths.add(sizeOf(files, store!))
      }
    })
    assert(lengths.size < 20, `${lengths.size} lengths in 1000 appends`)
  })

  it('stays within the segment’s size', async () => {
    const files = newFiles()
    await using(files, { segmentBytes: 10_000 }, async (log) => {
      for (let i = 0; i < 300; i++) {
        await log.append(Buffer.alloc(50, 1))
        for (const store of storesOf(files)) assert(sizeOf(files, store) <= 10_000)
      }
    })
  })

  it('leaves no zeros behind a sealed segment', async () => {
    const files = newFiles()
    await using(files, { segmentBytes: 4096 }, async (log) => {
      for (let i = 0; i < 200; i++) await log.append(Buffer.alloc(100, 1))
      for (const store of storesOf(files).slice(0, -1)) {
        const last = placesOf(files, store).at(-1)!
        assert.equal(sizeOf(files, store), last.position + last.size)
      }
    })
  })

  it('does not happen where it is turned off, or nothing is synced', async () => {
    for (const options of [{ preallocate: false }, { sync: 'never' } as const]) {
      const files = newFiles()
      await using(files, options, async (log) => {
        await log.append(Buffer.alloc(100, 1))
        assert.equal(sizeOf(files, storesOf(files)[0]!), SEGMENT_HEADER_BYTES + 140)
      })
    }
  })

  it('takes no part in what is read, by this process or another', async () => {
    const files = newFiles()
    const clock = new ManualClock()
    const log = await openOn(files, { clock })
    for (const text of someTexts(10)) await log.append(text)
    await clock.advance(1)
    const reader = await openOn(files, { mode: 'read' })
    for (const each of [log, reader]) {
      assert.deepEqual(await textsOf(each), someTexts(10))
      assert.deepEqual(await textsOf(each, { reverse: true }), someTexts(10).toReversed())
      assert.equal((await each.get(9))?.data.toString(), 'entry 9')
    }
    await reader.close()
    await log.close()
  })
})

describe('an index file', () => {
  const options = { segmentBytes: 2048, indexIntervalBytes: 1 }
  const times = (i: number) => 1000 + ((i * 37) % 100)

  async function madeLog(): Promise<ForgetfulFiles> {
    const files = newFiles()
    await using(files, options, async (log) => {
      for (let i = 0; i < 100; i++) await log.append(`entry ${i}`, { timestamp: times(i) })
    })
    assert(storesOf(files).length > 2)
    assert.equal(namesOf(files, '.index').length, storesOf(files).length)
    return files
  }

  /** Everything that uses an index gives what it should. */
  async function assertSame(files: ForgetfulFiles): Promise<void> {
    for (const mode of ['read', 'append'] as const) {
      await using(files, { ...options, mode }, async (log) => {
        assert.deepEqual(await textsOf(log), someTexts(100))
        assert.deepEqual(await textsOf(log, { reverse: true }), someTexts(100).toReversed())
        for (let i = 0; i < 100; i += 7) {
          assert.equal((await log.get(i))?.data.toString(), `entry ${i}`)
          assert.deepEqual(
            await textsOf(log, { from: i, to: i + 3 }),
            someTexts(3, i).slice(0, 100 - i),
          )
        }
        for (const from of [0, 1005, 1050, 1099, 1100]) {
          const first = someTexts(100).findIndex((_, i) => times(i) >= from)
          const expected = first < 0 ? [] : someTexts(100 - first, first)
          assert.deepEqual(await textsOf(log, { fromTimestamp: from }), expected)
        }
      })
    }
  }

  function rewrite(files: ForgetfulFiles, name: string, bytes: Uint8Array): void {
    files.removeSync(`/log/${name}`)
    const file = files.openSync(`/log/${name}`, 'create')
    file.writeSync(bytes, 0)
    file.closeSync()
  }

  it('that is missing is rebuilt', async () => {
    const files = await madeLog()
    for (const name of namesOf(files, '.index')) files.removeSync(`/log/${name}`)
    await assertSame(files)
  })

  it('that is damaged anywhere is rebuilt', async () => {
    const whole = await madeLog()
    const { length } = readFile(whole, namesOf(whole, '.index')[0]!)
    for (const at of [0, 4, 8, 12, 16, 20, 28, 32, 36, 40, length - 1]) {
      const files = await madeLog()
      for (const name of namesOf(files, '.index')) {
        const bytes = readFile(files, name)
        bytes[Math.min(at, bytes.length - 1)]! ^= 0x40
        rewrite(files, name, bytes)
      }
      await assertSame(files)
    }
  })

  it('that is cut short, too long, or empty is rebuilt', async () => {
    for (const change of [
      (b: Buffer) => b.subarray(0, 0),
      (b: Buffer) => b.subarray(0, 10),
      (b: Buffer) => b.subarray(0, b.length - 16),
      (b: Buffer) => Buffer.concat([b, Buffer.alloc(16)]),
      () => Buffer.alloc(100_000, 0xff),
    ]) {
      const files = await madeLog()
      for (const name of namesOf(files, '.index'))
        rewrite(files, name, change(readFile(files, name)))
      await assertSame(files)
    }
  })

  it('of another segment is not believed', async () => {
    const files = await madeLog()
    const names = namesOf(files, '.index')
    const contents = names.map((name) => readFile(files, name))
    names.forEach((name, i) => {
      rewrite(files, name, contents[(i + 1) % contents.length]!)
    })
    await assertSame(files)
  })

  it('of another segment is not believed, even if that is as long', async () => {
    const files = newFiles()
    const sizes = [
      [300, 20, 20],
      [20, 20, 300],
    ]
    await using(files, { segmentBytes: 600, indexIntervalBytes: 1 }, async (log) => {
      for (const batch of sizes) await log.appendBatch(batch.map((size) => Buffer.alloc(size)))
    })
    const [first, second] = namesOf(files, '.index')
    const contents = [readFile(files, first!), readFile(files, second!)]
    assert.equal(
      contents[0]!.readUInt32LE(12),
      contents[1]!.readUInt32LE(12),
      'they cover the same',
    )
    rewrite(files, first!, contents[1]!)
    rewrite(files, second!, contents[0]!)
    await using(files, { indexIntervalBytes: 1 }, async (log) => {
      for (const [offset, size] of sizes.flat().entries()) {
        assert.equal((await log.get(offset))?.data.length, size)
      }
    })
  })

  it('that covers more than is left after a cut is not believed', async () => {
    const files = newFiles()
    const settings = { segmentBytes: 700, indexIntervalBytes: 150 }
    const log = await openReplica(files, settings)
    await appendTexts(log, someTexts(40))
    const before = new Map(namesOf(files, '.index').map((name) => [name, readFile(files, name)]))
    assert(before.size > 1)
    const cut = Number([...before.keys()][1]!.slice(0, 20)) + 5
    await log.replica.truncateAfter(cut)
    await appendTexts(log, someTexts(20, 500), 2)
    log.replica.commit(cut + 20)
    await log.close()
    for (const [name, bytes] of before) {
      if (files.existsSync(`/log/${name}`)) rewrite(files, name, bytes)
    }
    const texts = [...someTexts(cut), ...someTexts(20, 500)]
    await usingReplica(files, settings, async (again) => {
      for (const [offset, text] of texts.entries()) {
        assert.equal((await again.get(offset))?.data.toString(), text)
      }
      assert.deepEqual(await textsOf(again), texts)
      assert.deepEqual(await textsOf(again, { reverse: true }), texts.toReversed())
    })
  })

  it('that is older than its store is not believed', async () => {
    const files = newFiles()
    await using(files, { indexIntervalBytes: 1 }, (log) => log.appendBatch(someTexts(10)))
    const [name] = namesOf(files, '.index')
    const old = readFile(files, name!)
    await using(files, { indexIntervalBytes: 1 }, (log) => log.appendBatch(someTexts(10, 10)))
    rewrite(files, name!, old)
    await using(files, { indexIntervalBytes: 1 }, async (log) => {
      assert.deepEqual(await textsOf(log), someTexts(20))
      assert.equal((await log.get(15))?.data.toString(), 'entry 15')
      assert.equal((await entriesOf(log, { reverse: true }))[0]?.offset, 19)
    })
  })

  it('may have been written with another interval', async () => {
    const files = await madeLog()
    for (const indexIntervalBytes of [4096, 100, 1]) {
      await using(files, { segmentBytes: 2048, indexIntervalBytes }, async (log) => {
        assert.deepEqual(await textsOf(log), someTexts(100))
        for (let i = 0; i < 100; i += 9) {
          assert.equal((await log.get(i))?.data.toString(), `entry ${i}`)
        }
      })
    }
  })
})
