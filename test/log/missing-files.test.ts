import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { cloneAll, type ForgetfulFiles, ManualClock } from 'tidemark/testing'
import { crc32 } from '#dist/base/index.js'
import {
  assertCode,
  everyFile,
  newFiles,
  openOn,
  patchFile,
  readFile,
  resizeFile,
  SEGMENT_HEADER_BYTES,
  someTexts,
  storesOf,
  textsOf,
  using,
  writeFile,
} from './fixtures.ts'

// Whole files that are missing, left over, or not what their names say.

async function closedLog(count = 40): Promise<ForgetfulFiles> {
  const files = newFiles()
  await using(files, { segmentBytes: 512 }, async (log) => {
    for (const text of someTexts(count)) await log.append(text)
  })
  assert(storesOf(files).length >= 4)
  return files
}

async function assertRefused(
  files: ForgetfulFiles,
  code: 'CORRUPT' | 'UNSUPPORTED_VERSION' = 'CORRUPT',
): Promise<void> {
  const before = everyFile(files)
  for (const mode of ['append', 'read', 'append'] as const) {
    const error = await assertCode(code, openOn(files, { mode }))
    assert(error.details.file, 'the error names a file')
  }
  assert.deepEqual(everyFile(files), before, 'a refused opening changes no byte')
}

describe('a segment that is missing', () => {
  it('in the middle refuses', async () => {
    const whole = await closedLog()
    for (const store of storesOf(whole).slice(1, -1)) {
      const files = cloneAll(whole)
      files.removeSync(`/log/${store}`)
      await assertRefused(files)
    }
  })

  it('at the beginning refuses, unless it was trimmed', async () => {
    const files = await closedLog()
    const [first] = storesOf(files)
    const trimmed = cloneAll(files)
    files.removeSync(`/log/${first}`)
    await assertRefused(files)
    const base = Number(storesOf(trimmed)[1]!.slice(0, 20))
    await using(trimmed, {}, (log) => log.trim(base))
    assert(!storesOf(trimmed).includes(first!))
    await using(trimmed, {}, async (log) => {
      assert.deepEqual(await textsOf(log), someTexts(40).slice(base))
    })
  })

  it('at the end refuses after a clean end', async () => {
    const files = await closedLog()
    files.removeSync(`/log/${storesOf(files).at(-1)}`)
    await assertRefused(files)
    for (const store of storesOf(files)) files.removeSync(`/log/${store}`)
    await assertRefused(files)
  })

  it('with its number taken by another file refuses', async () => {
    const files = await closedLog()
    const [, second, third] = storesOf(files)
    writeFile(files, second!, readFile(files, third!))
    await assertRefused(files)
  })
})

describe('a header that is damaged', () => {
  it('in any bit refuses', async () => {
    const whole = await closedLog()
    const stores = storesOf(whole)
    for (const store of [stores[0]!, stores[1]!, stores.at(-1)!]) {
      for (let at = 0; at < SEGMENT_HEADER_BYTES; at++) {
        const files = cloneAll(whole)
        patchFile(files, store, (bytes) => {
          bytes[at]! ^= 1 << (at % 8)
        })
        await assertRefused(files)
      }
    }
  })

  it('by being cut short refuses', async () => {
    const whole = await closedLog()
    for (const length of [0, 1, 63]) {
      const files = cloneAll(whole)
      const store = storesOf(files)[1]!
      writeFile(files, store, readFile(files, store).subarray(0, length))
      await assertRefused(files)
    }
  })
})

describe('the meta file', () => {
  it('that is missing refuses', async () => {
    const files = await closedLog()
    files.removeSync('/log/meta')
    await assertRefused(files)
  })

  it('that is missing beside one segment with entries refuses', async () => {
    const files = newFiles()
    await using(files, {}, (log) => log.append('precious'))
    files.removeSync('/log/meta')
    await assertRefused(files)
  })

  it('that is damaged in any byte, or of the wrong size, refuses', async () => {
    const whole = await closedLog()
    const meta = readFile(whole, 'meta')
    for (let at = 0; at < meta.length; at++) {
      const files = cloneAll(whole)
      patchFile(files, 'meta', (bytes) => {
        bytes[at]! ^= 1 << (at % 8)
      })
      await assertRefused(files)
    }
    for (const bytes of [
      meta.subarray(0, 0),
      meta.subarray(0, 63),
      Buffer.concat([meta, Buffer.alloc(1)]),
      Buffer.alloc(1000),
    ]) {
      const files = cloneAll(whole)
      writeFile(files, 'meta', bytes)
      await assertRefused(files)
    }
  })

  it('with a low-water mark beyond the end refuses, and leaves even a torn tail alone', async () => {
    const files = newFiles()
    const log = await openOn(files, { sync: 'never', clock: new ManualClock() })
    for (const text of someTexts(5)) await log.append(text)
    const killed = cloneAll(files)
    await log.close()
    const [store] = storesOf(files)
    resizeFile(killed, store!, readFile(killed, store!).length - 3)
    writeFile(killed, 'meta.tmp', Buffer.from('left over'))
    for (const each of [files, killed]) {
      patchFile(each, 'meta', (bytes) => {
        bytes.writeUInt32LE(50, 8)
        bytes.writeUInt32LE(crc32(bytes, 0, 60), 60)
      })
      const before = everyFile(each)
      await assertCode('CORRUPT', openOn(each))
      assert.deepEqual(everyFile(each), before)
    }
  })
})

describe('a newer format', () => {
  it('of the meta file or any segment is told apart from damage', async () => {
    const whole = await closedLog()
    const stores = storesOf(whole)
    for (const name of ['meta', stores[0]!, stores[1]!, stores.at(-1)!]) {
      const files = cloneAll(whole)
      patchFile(files, name, (bytes) => {
        bytes.writeUInt16LE(2, 4)
        bytes.writeUInt32LE(crc32(bytes, 0, 60), 60)
      })
      await assertRefused(files, 'UNSUPPORTED_VERSION')
    }
  })

  it('of an index file is only rebuilt', async () => {
    const files = await closedLog()
    for (const name of files.listSync('/log').filter((each) => each.endsWith('.index'))) {
      patchFile(files, name, (bytes) => {
        bytes.writeUInt16LE(2, 4)
        bytes.writeUInt32LE(crc32(bytes, 32, bytes.length, crc32(bytes, 0, 28)), 28)
      })
    }
    await using(files, {}, async (log) => assert.deepEqual(await textsOf(log), someTexts(40)))
  })
})

describe('what a crash leaves over', () => {
  it('of the creation of a log is finished by the next opening', async () => {
    const files = newFiles()
    const images: ForgetfulFiles[] = []
    files.onOperation = () => images.push(cloneAll(files))
    const log = await openOn(files)
    files.onOperation = undefined
    await log.close()
    assert(images.length > 5)
    for (const image of images) {
      await using(image, {}, async (again) => {
        assert.deepEqual(await textsOf(again), [])
        assert.equal(await again.append('first'), 0)
      })
      assert.equal(storesOf(image).length, 1)
    }
  })

  it('is removed: temporary files, dead segments, indexes without a store', async () => {
    const files = await closedLog()
    const stores = storesOf(files)
    const before = await closedLog(45)
    // A segment of another life: not linked to by any that is newer.
    const dead = storesOf(before)[0]!
    writeFile(files, dead, readFile(before, dead))
    const rubbish = [
      'meta.tmp',
      `${stores[0]}.tmp`,
      '00000000000000000007-0badf00d.store.tmp',
      '00000000000000000003-12345678.index',
    ]
    for (const name of rubbish) writeFile(files, name, Buffer.from('left over'))
    const hasDead = storesOf(files).length
    await using(files, { mode: 'read' }, async (log) => {
      assert.deepEqual(await textsOf(log), someTexts(40))
    })
    assert.equal(storesOf(files).length, hasDead, 'a reader removes nothing')
    await using(files, {}, async (log) => assert.deepEqual(await textsOf(log), someTexts(40)))
    assert.deepEqual(storesOf(files), stores)
    for (const name of rubbish) assert(!files.existsSync(`/log/${name}`), `${name} is still there`)
  })

  it('of a trim is removed, and does not come back', async () => {
    const files = newFiles()
    const log = await openOn(files, { segmentBytes: 512 })
    for (const text of someTexts(40)) await log.append(text)
    const images: ForgetfulFiles[] = []
    files.onOperation = () => images.push(cloneAll(files))
    await log.trim(25)
    files.onOperation = undefined
    const kept = storesOf(files)
    await log.close()
    for (const image of images) {
      await using(image, {}, async (again) => {
        assert([0, 25].includes(again.lowWaterMark))
        assert.deepEqual(await textsOf(again), someTexts(40).slice(again.lowWaterMark))
        await again.trim(25)
      })
      await using(image, {}, async (again) => {
        assert.deepEqual(await textsOf(again), someTexts(40).slice(25))
      })
      assert.deepEqual(storesOf(image), kept)
    }
  })

  it('that is somebody else’s is left alone', async () => {
    const files = await closedLog()
    const foreign = ['README', 'notes.txt', '123.store', 'meta.bak', 'x.index']
    for (const name of foreign) writeFile(files, name, Buffer.from('mine'))
    await using(files, {}, async (log) => {
      await log.append('more')
      await log.trim(20)
    })
    for (const name of foreign) assert.equal(readFile(files, name).toString(), 'mine')
  })
})
