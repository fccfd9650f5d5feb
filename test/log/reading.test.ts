import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { ForgetfulFiles } from 'tidemark/testing'
import { errnoOf, viewOf } from '#dist/base/index.js'
import { sealEntryHeader } from '#dist/log/entry-format.js'
import {
  assertCode,
  damageEntry,
  entriesOf,
  failOn,
  Gate,
  gateOn,
  newFiles,
  openOn,
  patchFile,
  placesOf,
  someTexts,
  storesOf,
  textsOf,
  using,
} from './fixtures.ts'

const LARGE = Buffer.alloc(1200 * 1024, 0x5a)

describe('reading beside a large write that is under way', () => {
  it('every way of reading sees exactly what was acknowledged', async () => {
    for (const sync of ['always', 'never'] as const) {
      const files = newFiles()
      const log = await openOn(files, { sync })
      await log.appendBatch(someTexts(5))
      const gate = new Gate((op) => op.kind === 'write' && op.path.endsWith('.store'))
      files.writeDelay = gate.delay
      // Many entries: index points lie in the middle of what is not written yet.
      const batch = log.appendBatch(Array.from({ length: 100 }, () => Buffer.alloc(12_000, 7)))
      await gate.reached()
      assert.equal(log.highWaterMark, 5)
      assert.deepEqual(await textsOf(log), someTexts(5))
      assert.deepEqual(await textsOf(log, { reverse: true }), someTexts(5).toReversed())
      for (let i = 0; i < 5; i++) {
        assert.equal((await log.get(i))?.data.toString(), `entry ${i}`)
      }
      assert.equal(await log.get(5), undefined)
      assert.deepEqual((await entriesOf(log, { fromTimestamp: 0 })).length, 5)
      gate.open()
      await batch
      assert.equal((await log.get(104))?.data.length, 12_000)
      await log.close()
    }
  })

  it('what failed to be written is not found in any memory', async () => {
    const files = newFiles()
    const log = await openOn(files, { indexIntervalBytes: 1 })
    await log.appendBatch(someTexts(5))
    const gate = gateOn(files, 'write', '.store')
    const failed = assertCode('IO', log.appendBatch([LARGE, 'bad', 'worse']))
    await gate.reached()
    for (let i = 0; i < 5; i++) await log.get(i)
    failOn(files, 'write', '.store', 'ENOSPC', 1)
    gate.open()
    await failed
    files.fault = undefined
    await log.appendBatch(someTexts(5, 5))
    for (let i = 0; i < 10; i++) {
      assert.equal((await log.get(i))?.data.toString(), `entry ${i}`)
    }
    assert.deepEqual(await textsOf(log), someTexts(10))
    await log.close()
  })
})

describe('get', () => {
  it('gives the same with any cache and any index', async () => {
    const files = newFiles()
    const sizes = Array.from({ length: 200 }, (_, i) => (i * 7919) % 3000)
    await using(files, { segmentBytes: 20_000 }, async (log) => {
      for (const [i, size] of sizes.entries()) await log.append(Buffer.alloc(size, i))
    })
    for (const cacheBytes of [0, 5000, 50_000, 10_000_000]) {
      for (const indexIntervalBytes of [1, 500, 4096, 1_000_000]) {
        await using(files, { cacheBytes, indexIntervalBytes }, async (log) => {
          for (let round = 0; round < 400; round++) {
            const i = (round * 61) % 200
            const entry = await log.get(i)
            assert.equal(entry?.offset, i)
            assert(entry.data.equals(Buffer.alloc(sizes[i]!, i)))
          }
        })
      }
    }
  })

  it('that a trim overtakes gives the entry or nothing', async () => {
    const files = newFiles()
    await using(files, { segmentBytes: 512 }, (log) => log.appendBatch(someTexts(5)))
    await using(files, { segmentBytes: 512 }, async (log) => {
      for (const text of someTexts(20, 5)) await log.append(text)
    })
    for (const name of files.listSync('/log')) {
      if (name.endsWith('.index')) files.removeSync(`/log/${name}`)
    }
    const log = await openOn(files, { segmentBytes: 512 })
    const gate = gateOn(files, 'read', '.store')
    const gets = [0, 1, 4, 7].map((offset) => log.get(offset))
    await gate.reached()
    gate.letPass()
    await log.trim(20)
    gate.open()
    for (const entry of await Promise.all(gets)) {
      if (entry) assert.equal(entry.data.toString(), `entry ${entry.offset}`)
    }
    assert.equal(await log.get(4), undefined)
    await log.close()
  })
})

describe('a read that the disk fails', () => {
  it('is an IO error with the system’s as its cause; the next one may succeed', async () => {
    const files = newFiles()
    await using(files, { segmentBytes: 2048 }, async (log) => {
      for (const text of someTexts(100)) await log.append(text)
      for (const action of [
        () => textsOf(log),
        () => textsOf(log, { reverse: true }),
        () => log.get(3),
        () => textsOf(log, { fromTimestamp: 1 }),
      ]) {
        failOn(files, 'read', '.store', 'EIO')
        const error = await assertCode('IO', action)
        assert.equal(errnoOf(error.cause), 'EIO')
        files.fault = undefined
        await action()
      }
      await log.append('writing goes on')
    })
  })

  it('leaves nothing open', async () => {
    const files = newFiles()
    const log = await openOn(files)
    await log.appendBatch(someTexts(10))
    failOn(files, 'read', '.store', 'EIO')
    for (let i = 0; i < 20; i++) await assert.rejects(textsOf(log))
    files.fault = undefined
    assert.deepEqual(await textsOf(log), someTexts(10))
    await log.close()
  })
})

describe('an entry that is damaged while the log is closed', () => {
  const options = { segmentBytes: 1024, indexIntervalBytes: 1 }

  /** A log of 60 entries, of which the one with this number in the second segment is damaged. */
  async function damagedLog(lsn = 3) {
    const files = newFiles()
    await using(files, options, async (log) => {
      for (const text of someTexts(60)) await log.append(text)
    })
    const store = storesOf(files)[1]!
    const place = placesOf(files, store)[lsn]!
    damageEntry(files, place)
    return { files, store, position: place.position, hurt: Number(store.slice(0, 20)) + place.lsn }
  }

  it('fails a get of it with its place, and no get of another', async () => {
    for (const lsn of [0, 1, 3]) {
      for (const hasIndex of [true, false]) {
        const { files, store, position, hurt } = await damagedLog(lsn)
        if (!hasIndex) files.removeSync(`/log/${store.replace('.store', '.index')}`)
        await using(files, options, async (log) => {
          const error = await assertCode('CORRUPT', log.get(hurt))
          assert.deepEqual(error.details, { file: store, position, offset: hurt })
          assert.equal((await log.get(hurt - 1))?.data.toString(), `entry ${hurt - 1}`)
          assert.equal((await log.get(hurt + 1))?.data.toString(), `entry ${hurt + 1}`)
        })
      }
    }
  })

  it('does not hide the entries behind it from a read that begins there', async () => {
    for (const hasIndex of [true, false]) {
      const { files, store, hurt } = await damagedLog(3)
      if (!hasIndex) files.removeSync(`/log/${store.replace('.store', '.index')}`)
      await using(files, options, async (log) => {
        const next = Number(storesOf(files)[2]!.slice(0, 20))
        assert.deepEqual(await textsOf(log, { from: next }), someTexts(60 - next, next))
        assert.deepEqual(await textsOf(log, { from: hurt + 1 }), someTexts(59 - hurt, hurt + 1))
      })
    }
  })

  it('whose length is lost hides nothing behind it once the index is made again', async () => {
    const sparse = { segmentBytes: 64 * 1024, indexIntervalBytes: 4096 }
    for (const mode of ['append', 'read'] as const) {
      const files = newFiles()
      const log = await openOn(files, sparse)
      for (const text of someTexts(60)) await log.append(text)
      const store = storesOf(files)[0]!
      patchFile(files, store, (bytes) => {
        bytes[placesOf(files, store)[20]!.position + 8]! ^= 1
      })
      await log.close()
      files.removeSync(`/log/${store.replace('.store', '.index')}`)
      await using(files, { ...sparse, mode }, async (again) => {
        await assertCode('CORRUPT', again.get(20))
        assert.equal((await again.get(21))?.data.toString(), 'entry 21')
        assert.deepEqual(await textsOf(again, { from: 30 }), someTexts(30, 30))
        const back = await textsOf(again, { from: 30, reverse: true })
        assert.deepEqual(back, someTexts(30, 30).toReversed())
      })
    }
  })

  it('ends a read where it lies, after all that is sound before it', async () => {
    const { files, hurt } = await damagedLog()
    await using(files, options, async (log) => {
      const seen: string[] = []
      const error = await assertCode('CORRUPT', async () => {
        for await (const entry of log.read()) seen.push(entry.data.toString())
      })
      assert.equal(error.details.offset, hurt)
      assert.deepEqual(seen, someTexts(hurt))
      assert.deepEqual(await textsOf(log, { from: hurt + 1 }), someTexts(59 - hurt, hurt + 1))
      assert.deepEqual(await textsOf(log, { to: hurt }), someTexts(hurt))
    })
  })

  it('ends a reverse read behind it, whatever the index', async () => {
    for (const indexIntervalBytes of [1, 4096]) {
      for (const lsns of [[3], [3, 5, 6], [0], [24]]) {
        const files = newFiles()
        const log = await openOn(files, { indexIntervalBytes })
        for (const text of someTexts(25)) await log.append(text)
        await log.close()
        const store = storesOf(files)[0]!
        const places = placesOf(files, store)
        for (const lsn of lsns) damageEntry(files, places[lsn]!)
        await using(files, { mode: 'read' }, async (reader) => {
          const seen: string[] = []
          const last = lsns.at(-1)!
          const error = await assertCode('CORRUPT', async () => {
            for await (const { data } of reader.read({ reverse: true })) seen.push(data.toString())
          })
          assert.equal(error.details.offset, last)
          assert.deepEqual(seen, someTexts(24 - last, last + 1).toReversed())
        })
      }
    }
  })

  it('ends a reverse read, but not one of a range that it does not lie in', async () => {
    const { files, hurt } = await damagedLog()
    await using(files, options, async (log) => {
      await assertCode('CORRUPT', textsOf(log, { reverse: true }))
      const before = await textsOf(log, { reverse: true, to: hurt })
      assert.deepEqual(before, someTexts(hurt).toReversed())
      const after = await textsOf(log, { reverse: true, from: hurt + 1 })
      assert.deepEqual(after, someTexts(59 - hurt, hurt + 1).toReversed())
    })
  })
})

describe('an entry that is sound but out of place', () => {
  /** Seals the header of one entry of ten again, with another offset or term. */
  async function misplaced(change: { lsn?: number; term?: number }): Promise<ForgetfulFiles> {
    const files = newFiles()
    for (let opening = 0; opening < 2; opening++) {
      await using(files, {}, (log) => log.appendBatch(someTexts(5, 5 * opening)))
    }
    const [store] = storesOf(files)
    const { position, lsn, witness } = placesOf(files, store!)[7]!
    patchFile(files, store!, (bytes) => {
      if (change.term !== undefined) bytes.writeUInt32LE(change.term, position + 16)
      const salt = bytes.readUInt32LE(8)
      sealEntryHeader(viewOf(bytes), position, change.lsn ?? lsn, witness, salt)
    })
    return files
  }

  it('is not believed', async () => {
    for (const change of [{ lsn: 6 }, { lsn: 8 }, { lsn: 1000 }, { term: 1 }]) {
      const files = await misplaced(change)
      await using(files, {}, async (log) => {
        const seen: string[] = []
        const error = await assertCode('CORRUPT', async () => {
          for await (const entry of log.read()) seen.push(entry.data.toString())
        })
        assert.equal(error.details.offset, 7)
        assert.deepEqual(seen, someTexts(7))
        await assertCode('CORRUPT', log.get(7))
        await assertCode('CORRUPT', textsOf(log, { reverse: true }))
      })
    }
  })
})
