import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { cloneAll, extremeImages, type ForgetfulFiles, ManualClock } from 'tidemark/testing'
import { crc32, viewOf } from '#dist/base/index.js'
import { sealEntryHeader, writeEntryFields } from '#dist/log/entry-format.js'
import {
  assertCode,
  ENTRY_HEADER_BYTES,
  everyFile,
  gateOn,
  newFiles,
  openOn,
  type Place,
  type PlainOptions,
  patchFile,
  placesOf,
  readFile,
  resizeFile,
  SEGMENT_HEADER_BYTES,
  someTexts,
  storesOf,
  textsOf,
  using,
  writeFile,
} from './fixtures.ts'

// Torn or damaged: what nobody was promised is cut; what was once synced is never thrown away. The
// three proofs of the latter are tried one at a time, with the others taken away.

const VERBOSE: PlainOptions = { preallocate: false, indexIntervalBytes: 1 }

/** A log whose writer died: each text appended on its own, the process gone, everything in the cache. */
async function killedLog(
  texts: readonly string[],
  options: PlainOptions = {},
): Promise<ForgetfulFiles> {
  const files = newFiles()
  // The clock stands still, so the marks file keeps what it said when the log was opened.
  const log = await openOn(files, { ...VERBOSE, clock: new ManualClock(), ...options })
  for (const text of texts) await log.append(text)
  const left = cloneAll(files)
  await log.close()
  return left
}

/** Takes away what the marks file proves. */
function loseMarks(files: ForgetfulFiles): void {
  if (files.existsSync('/log/marks')) files.removeSync('/log/marks')
}

function lastStore(files: ForgetfulFiles): string {
  return storesOf(files).at(-1)!
}

function flip(files: ForgetfulFiles, name: string, at: number): void {
  patchFile(files, name, (bytes) => {
    bytes[at]! ^= 0x10
  })
}

async function assertRefused(files: ForgetfulFiles, offset: number, place?: Place): Promise<void> {
  const before = everyFile(files)
  for (let attempt = 0; attempt < 2; attempt++) {
    const error = await assertCode('CORRUPT', openOn(files, VERBOSE))
    assert.equal(error.details.offset, offset, error.message)
    if (place) {
      assert.equal(error.details.file, place.store)
      assert.equal(error.details.position, place.position)
    }
    assert(error.message.includes(String(offset)))
  }
  assert.deepEqual(everyFile(files), before, 'a refused opening changes no byte')
}

/** Opens, checks what is there, appends, and checks again after another opening. */
async function assertOpens(files: ForgetfulFiles, texts: readonly string[]): Promise<void> {
  await using(files, VERBOSE, async (log) => {
    assert.deepEqual(await textsOf(log), texts)
    assert.equal(log.highWaterMark, texts.length)
    assert.equal(await log.append('new'), texts.length)
  })
  await using(files, VERBOSE, async (log) => {
    assert.deepEqual(await textsOf(log), [...texts, 'new'])
  })
}

describe('a torn tail', () => {
  it('is cut wherever it is torn', async () => {
    const files = await killedLog(someTexts(5))
    loseMarks(files)
    const store = lastStore(files)
    const { position, size } = placesOf(files, store)[4]!
    for (let length = position; length < position + size; length++) {
      const torn = cloneAll(files)
      resizeFile(torn, store, length)
      await assertOpens(torn, someTexts(4))
    }
  })

  it('is cut when bytes of it are missing, zero or rubbish', async () => {
    const files = await killedLog(someTexts(5))
    loseMarks(files)
    const store = lastStore(files)
    const last = placesOf(files, store)[4]!
    for (let at = 0; at < last.size; at++) {
      const torn = cloneAll(files)
      flip(torn, store, last.position + at)
      await assertOpens(torn, someTexts(4))
    }
    for (const fill of [0, 0xff]) {
      const torn = cloneAll(files)
      patchFile(torn, store, (bytes) => bytes.fill(fill, last.position))
      await assertOpens(torn, someTexts(4))
    }
  })

  it('is cut with all that follows it', async () => {
    // Nothing was synced, so nothing behind the tear has a witness for it.
    const files = await killedLog(someTexts(20), { sync: 'never' })
    loseMarks(files)
    const store = lastStore(files)
    const places = placesOf(files, store)
    assert.equal(places.at(-1)!.witness, 0)
    flip(files, store, places[7]!.position + ENTRY_HEADER_BYTES)
    await assertOpens(files, someTexts(7))
    assert.equal(placesOf(files, store).length, 8)
  })

  it('may be the whole log', async () => {
    const files = await killedLog(someTexts(3), { sync: 'never' })
    loseMarks(files)
    flip(files, lastStore(files), SEGMENT_HEADER_BYTES)
    await assertOpens(files, [])
  })

  it('may be nothing but reserved zeros', async () => {
    const files = await killedLog(someTexts(3))
    const store = lastStore(files)
    resizeFile(files, store, readFile(files, store).length + 100_000)
    await assertOpens(files, someTexts(3))
  })

  it('does not come back behind what is appended later', async () => {
    const files = await killedLog(['a', 'b', 'the same length', 'the same length', 'c'], {
      sync: 'never',
    })
    loseMarks(files)
    const store = lastStore(files)
    flip(files, store, placesOf(files, store)[2]!.position + ENTRY_HEADER_BYTES)
    await using(files, VERBOSE, async (log) => {
      assert.deepEqual(await textsOf(log), ['a', 'b'])
      await log.append('THE SAME LENGTH')
      const left = cloneAll(files)
      await using(left, VERBOSE, async (again) => {
        assert.deepEqual(await textsOf(again), ['a', 'b', 'THE SAME LENGTH'])
      })
    })
  })
})

describe('an incomplete batch', () => {
  async function batchTornAt(entries: number): Promise<ForgetfulFiles> {
    const files = newFiles()
    const log = await openOn(files, { ...VERBOSE, sync: 'never', clock: new ManualClock() })
    await log.append('before')
    await log.appendBatch(someTexts(5))
    const left = cloneAll(files)
    await log.close()
    loseMarks(left)
    const places = placesOf(left, lastStore(left))
    resizeFile(left, lastStore(left), places[entries + 1]!.position)
    return left
  }

  it('is cut although its entries are sound', async () => {
    for (let entries = 0; entries < 5; entries++) {
      await assertOpens(await batchTornAt(entries), ['before'])
    }
  })

  it('is not shown by a reader that finds no writer', async () => {
    for (let entries = 0; entries < 5; entries++) {
      const files = await batchTornAt(entries)
      const before = everyFile(files)
      await using(files, { mode: 'read' }, async (log) => {
        assert.deepEqual(await textsOf(log), ['before'])
        assert.equal(log.highWaterMark, 1)
        assert.equal(await log.get(1), undefined)
      })
      assert.deepEqual(everyFile(files), before)
    }
  })
})

describe('damage that is proven', () => {
  it('by the witness of a later entry', async () => {
    const files = await killedLog(someTexts(10))
    loseMarks(files)
    const store = lastStore(files)
    const places = placesOf(files, store)
    assert(places[9]!.witness > places[5]!.lsn)
    for (const at of [0, 12, 38, ENTRY_HEADER_BYTES]) {
      for (const hurt of [0, 5, 8]) {
        const damaged = cloneAll(files)
        flip(damaged, store, places[hurt]!.position + at)
        await assertRefused(damaged, hurt, places[hurt])
      }
    }
  })

  it('by a witness far behind, when all between is gone', async () => {
    const files = await killedLog(someTexts(10))
    loseMarks(files)
    const store = lastStore(files)
    const places = placesOf(files, store)
    patchFile(files, store, (bytes) => bytes.fill(0, places[2]!.position, places[9]!.position))
    await assertRefused(files, 2, places[2])
  })

  it('not by a witness that says too little', async () => {
    // The last entry knows of those before it, but nothing knows of the last.
    const files = await killedLog(someTexts(10))
    loseMarks(files)
    const store = lastStore(files)
    flip(files, store, placesOf(files, store)[9]!.position + ENTRY_HEADER_BYTES)
    await assertOpens(files, someTexts(9))
  })

  it('not by bytes that only look like an entry of this segment', async () => {
    const files = await killedLog(someTexts(3))
    loseMarks(files)
    const store = lastStore(files)
    const bytes = readFile(files, store)
    // A header with a high witness, sealed for another segment: an old life of the disk's block.
    const stray = new Uint8Array(ENTRY_HEADER_BYTES)
    const kind = { type: 1, term: 1, timestamp: 0, count: 1 }
    writeEntryFields(viewOf(stray), 0, kind, 0, crc32(new Uint8Array(0)), false)
    sealEntryHeader(viewOf(stray), 0, 50, 50, 0xdeadbeef)
    writeFile(files, store, Buffer.concat([bytes, Buffer.from('torn'), stray]))
    await assertOpens(files, someTexts(3))
  })

  it('not by an entry inside an entry’s data', async () => {
    const files = newFiles()
    const log = await openOn(files, { ...VERBOSE, clock: new ManualClock() })
    for (const text of someTexts(20)) await log.append(text)
    // The store itself, as it lies there: headers that are sound, of this very segment.
    const store = lastStore(files)
    const whole = readFile(files, store)
    await log.append(whole)
    const left = cloneAll(files)
    await log.close()
    loseMarks(left)
    const last = placesOf(left, store)[20]!
    assert(last.size > whole.length)
    for (const at of [0, ENTRY_HEADER_BYTES, ENTRY_HEADER_BYTES + 300]) {
      const torn = cloneAll(left)
      flip(torn, store, last.position + at)
      await assertOpens(torn, someTexts(20))
    }
  })

  it('by the marks file', async () => {
    const files = newFiles()
    const clock = new ManualClock()
    const log = await openOn(files, { ...VERBOSE, clock })
    for (const text of someTexts(10)) await log.append(text)
    await clock.advance(5)
    const left = cloneAll(files)
    await log.close()
    const store = lastStore(left)
    const last = placesOf(left, store)[9]!
    const flipped = cloneAll(left)
    flip(flipped, store, last.position + ENTRY_HEADER_BYTES)
    await assertRefused(flipped, 9, last)
    const short = cloneAll(left)
    resizeFile(short, store, last.position)
    await assertRefused(short, 9, last)
    const zeros = cloneAll(left)
    patchFile(zeros, store, (bytes) => bytes.fill(0, last.position))
    await assertRefused(zeros, 9, last)
  })

  it('not by a marks file that is torn, of the wrong size or missing', async () => {
    for (const change of [
      (bytes: Buffer) => {
        bytes[8]! ^= 1
      },
      (bytes: Buffer) => bytes.fill(0),
      (bytes: Buffer) => bytes.fill(0, 28),
    ]) {
      const files = newFiles()
      const clock = new ManualClock()
      const log = await openOn(files, { ...VERBOSE, clock })
      for (const text of someTexts(4)) await log.append(text)
      await clock.advance(5)
      const left = cloneAll(files)
      await log.close()
      patchFile(left, 'marks', change)
      flip(left, lastStore(left), placesOf(left, lastStore(left))[3]!.position)
      await assertOpens(left, someTexts(3))
    }
  })

  it('by a successor, for the length of its predecessor', async () => {
    const files = await killedLog(someTexts(30), { segmentBytes: 512 })
    loseMarks(files)
    const [store] = storesOf(files)
    const last = placesOf(files, store!).at(-1)!
    resizeFile(files, store!, last.position)
    const before = everyFile(files)
    for (const mode of ['append', 'read'] as const) {
      const error = await assertCode('CORRUPT', openOn(files, { ...VERBOSE, mode }))
      assert.equal(error.details.file, store)
    }
    assert.deepEqual(everyFile(files), before)
  })

  it('by a successor, for the bytes of its predecessor: reading meets it', async () => {
    const files = await killedLog(someTexts(30), { segmentBytes: 512 })
    loseMarks(files)
    const [store] = storesOf(files)
    const places = placesOf(files, store!)
    flip(files, store!, places.at(-1)!.position + ENTRY_HEADER_BYTES)
    const hurt = places.length - 1
    await using(files, VERBOSE, async (log) => {
      assert.equal(log.highWaterMark, 30, 'nothing is cut')
      const error = await assertCode('CORRUPT', textsOf(log))
      assert.equal(error.details.offset, hurt)
      assert.deepEqual(await textsOf(log, { from: hurt + 1 }), someTexts(29 - hurt, hurt + 1))
    })
  })

  it('by a clean end, for a store that is too short', async () => {
    const files = newFiles()
    await using(files, VERBOSE, (log) => log.appendBatch(someTexts(5)))
    loseMarks(files)
    const store = lastStore(files)
    const places = placesOf(files, store)
    for (const [length, offset] of [
      [SEGMENT_HEADER_BYTES, 0],
      [places[4]!.position, 0],
      [places[4]!.position + 41, 4],
    ] as const) {
      const short = cloneAll(files)
      resizeFile(short, store, length)
      await assertRefused(short, offset)
    }
    for (const [i, text] of someTexts(5).entries()) {
      const each = newFiles()
      await using(each, VERBOSE, async (log) => {
        for (const one of someTexts(5)) await log.append(one)
      })
      loseMarks(each)
      const place = placesOf(each, lastStore(each))[i]!
      resizeFile(each, lastStore(each), place.position + 10)
      await assertRefused(each, i, place)
      assert(text)
    }
  })

  it('by a clean end, for bytes behind it that changed its length', async () => {
    const files = newFiles()
    await using(files, VERBOSE, (log) => log.appendBatch(someTexts(5)))
    const store = lastStore(files)
    resizeFile(files, store, readFile(files, store).length + 1000)
    await assertOpens(files, someTexts(5))
  })
})

describe('the marks file', () => {
  it('never speaks of what is not synced', async () => {
    for (const sync of ['always', 'never'] as const) {
      const files = newFiles()
      const clock = new ManualClock()
      const log = await openOn(files, { ...VERBOSE, clock, sync })
      await log.append('first')
      const gate = gateOn(files, 'datasync', '.store')
      const append = sync === 'always' ? log.append('second') : log.flush()
      await gate.reached()
      // A timer of before fires while the sync is under way.
      await clock.advance(10)
      for (const { files: image } of extremeImages(files)) {
        await using(image, VERBOSE, async (left) => {
          assert.deepEqual(await textsOf(left), ['first', 'second'].slice(0, left.highWaterMark))
          if (sync === 'always') assert(left.highWaterMark >= 1)
        })
      }
      gate.open()
      await append
      await log.close()
    }
  })
})

describe('recovery', () => {
  it('does the same when it is interrupted anywhere and begun again', async () => {
    const torn = await killedLog(someTexts(12), { segmentBytes: 512 })
    const store = lastStore(torn)
    loseMarks(torn)
    resizeFile(torn, store, readFile(torn, store).length + 13)
    const images: ForgetfulFiles[] = []
    const files = cloneAll(torn)
    files.onOperation = () => images.push(cloneAll(files))
    const log = await openOn(files)
    files.onOperation = undefined
    assert.deepEqual(await textsOf(log), someTexts(12))
    await log.close()
    assert(images.length > 3)
    for (const image of images) await assertOpens(image, someTexts(12))
  })

  it('never changes anything of a log that was closed', async () => {
    const files = newFiles()
    await using(files, { segmentBytes: 512 }, (log) => log.appendBatch(someTexts(5)))
    const { marks: _, ...before } = everyFile(files)
    await using(files, {}, async (log) => assert.deepEqual(await textsOf(log), someTexts(5)))
    await using(files, { mode: 'read' }, async (log) => {
      assert.deepEqual(await textsOf(log), someTexts(5))
    })
    const { marks: __, ...after } = everyFile(files)
    assert.deepEqual(after, before)
  })

  it('goes on with a higher term after each unclean end', async () => {
    let files = newFiles()
    for (let term = 1; term <= 3; term++) {
      const log = await openOn(files, VERBOSE)
      await log.append(`term ${term}`)
      files = cloneAll(files)
    }
    await using(files, VERBOSE, async (log) => {
      const terms: number[] = []
      for await (const entry of log.read()) terms.push(entry.term)
      assert.deepEqual(terms, [1, 2, 3])
    })
  })
})
