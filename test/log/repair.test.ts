// A repair loses exactly what it says, keeps everything else byte by byte, and can be interrupted.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { backupLog, FolderLock, Log, type RepairReport, repairLog, verifyLog } from 'tidemark'
import {
  cloneAll,
  crashImage,
  type ForgetfulFiles,
  ManualClock,
  seededRandom,
} from 'tidemark/testing'
import { caseCount, casesOf } from '../cases.ts'
import { closedLog, FOLDER, killedLog, SETTINGS, type Specimen } from '../damage/specimen.js'
import { readFolder } from '../golden/dump.js'
import { readPlainly } from '../golden/plain-reader.js'
import {
  assertCode,
  everyFile,
  namesOf,
  placesOf,
  readFile,
  storesOf,
  writeFile,
} from './fixtures.js'

/** With ids of its own: the specimen's own opening would draw those again that it has. */
function open(files: ForgetfulFiles, mode: 'append' | 'read'): Promise<Log> {
  return Log.open(FOLDER, { ...SETTINGS, files, mode, clock: new ManualClock() })
}

type Random = ReturnType<typeof seededRandom>

/** What was done to a log, and to which offsets. */
interface Harm {
  readonly what: string
  /** Offsets whose bytes were touched. */
  readonly touched: ReadonlySet<number>
}

interface Extent {
  readonly store: string
  readonly offset: number
  readonly from: number
  readonly to: number
}

/** Where each entry lies. */
function extentsOf(files: ForgetfulFiles): Extent[] {
  return storesOf(files).flatMap((store) => {
    const base = Number(store.slice(0, 20))
    return placesOf(files, store).map(({ lsn, position, size }) => {
      return { store, offset: base + lsn, from: position, to: position + size }
    })
  })
}

function touchedBy(extents: readonly Extent[], store: string, from: number, to: number) {
  const touched = extents.filter((one) => one.store === store && one.from < to && one.to > from)
  return new Set(touched.map(({ offset }) => offset))
}

const below = (random: Random, limit: number) => random.uint32() % limit

function pick<T>(random: Random, list: readonly T[]): T {
  return list[below(random, list.length)]!
}

/** The ways in which a disk, or a person, harms a log. */
const HARMS: readonly ((files: ForgetfulFiles, random: Random) => Harm)[] = [
  function flipBits(files, random) {
    const store = pick(random, storesOf(files))
    const extents = extentsOf(files)
    const bytes = readFile(files, store)
    const touched = new Set<number>()
    const places: number[] = []
    for (let i = 1 + below(random, 3); i > 0; i--) {
      const at = 64 + below(random, Math.max(1, bytes.length - 64))
      if (at >= bytes.length) continue
      bytes[at]! ^= 1 << below(random, 8)
      places.push(at)
      for (const offset of touchedBy(extents, store, at, at + 1)) touched.add(offset)
    }
    writeFile(files, store, bytes)
    return { what: `bits at ${places} of ${store}`, touched }
  },
  function truncate(files, random) {
    const store = pick(random, storesOf(files))
    const extents = extentsOf(files)
    const bytes = readFile(files, store)
    const size = below(random, bytes.length)
    writeFile(files, store, bytes.subarray(0, size))
    const touched = touchedBy(extents, store, size, Number.POSITIVE_INFINITY)
    return { what: `${store} truncated to ${size}`, touched }
  },
  function zeroStretch(files, random) {
    const store = pick(random, storesOf(files))
    const extents = extentsOf(files)
    const bytes = readFile(files, store)
    const from = below(random, bytes.length)
    const to = Math.min(bytes.length, from + 1 + below(random, 400))
    bytes.fill(0, from, to)
    writeFile(files, store, bytes)
    return { what: `${store} zeroed ${from}..${to}`, touched: touchedBy(extents, store, from, to) }
  },
  function deleteSegment(files, random) {
    const store = pick(random, storesOf(files))
    const touched = touchedBy(extentsOf(files), store, 0, Number.POSITIVE_INFINITY)
    files.removeSync(`${FOLDER}/${store}`)
    return { what: `${store} deleted`, touched }
  },
  function damageHeader(files, random) {
    const store = pick(random, storesOf(files))
    const bytes = readFile(files, store)
    const at = below(random, 64)
    bytes[at]! ^= 1 << below(random, 8)
    writeFile(files, store, bytes)
    return { what: `header of ${store} at ${at}`, touched: new Set() }
  },
  function damageMeta(files, random) {
    if (below(random, 2) === 0) {
      files.removeSync(`${FOLDER}/meta`)
      return { what: 'meta deleted', touched: new Set() }
    }
    const bytes = readFile(files, 'meta')
    const at = below(random, bytes.length)
    bytes[at]! ^= 1 << below(random, 8)
    writeFile(files, 'meta', bytes)
    return { what: `meta at ${at}`, touched: new Set() }
  },
  function damageMarks(files, random) {
    const bytes = readFile(files, 'marks')
    bytes[below(random, bytes.length)]! ^= 1 << below(random, 8)
    writeFile(files, 'marks', bytes)
    return { what: 'marks', touched: new Set() }
  },
  function damageIndex(files, random) {
    const name = pick(random, namesOf(files, '.index'))
    const bytes = readFile(files, name)
    bytes[below(random, bytes.length)]! ^= 1 << below(random, 8)
    writeFile(files, name, bytes)
    return { what: name, touched: new Set() }
  },
]

function lostOffsets({ lost }: Pick<RepairReport, 'lost'>): number[] {
  return lost.flatMap(({ offset, endOffset }) => {
    return Array.from({ length: endOffset - offset }, (_, i) => offset + i)
  })
}

/** All entries of a log, read in every way, which have to agree. */
async function readAll(files: ForgetfulFiles): Promise<Map<number, string>> {
  const log = await open(files, 'read')
  const found = new Map<number, string>()
  for await (const { offset, data } of log.read()) found.set(offset, data.toString('latin1'))
  const backward: number[] = []
  for await (const { offset } of log.read({ reverse: true })) backward.push(offset)
  assert.deepEqual(backward.reverse(), [...found.keys()])
  for (let offset = log.lowWaterMark; offset < log.highWaterMark; offset++) {
    const entry = await log.get(offset)
    assert.equal(entry?.data.toString('latin1'), found.get(offset), `get ${offset}`)
    const first = (await log.read({ from: offset }).next()).value?.offset
    const later = [...found.keys()].find((each) => each >= offset)
    assert.equal(first, later, `read from ${offset}`)
  }
  await log.close()
  return found
}

/** Nothing but the repair shall be at stake. */
function makeDurable(files: ForgetfulFiles): void {
  for (const name of files.listSync(FOLDER)) {
    if (name === 'snapshots') continue
    const file = files.openSync(`${FOLDER}/${name}`, 'write')
    file.datasyncSync()
    file.closeSync()
  }
  for (const folder of ['/', FOLDER]) files.syncDirectorySync(folder)
}

/** The log after a repair is what the report says. */
async function check(
  files: ForgetfulFiles,
  specimen: Specimen,
  report: Pick<RepairReport, 'lost' | 'highWaterMark'>,
): Promise<number[]> {
  const verified = await verifyLog(FOLDER, { files })
  assert.deepEqual(verified.damage, [])
  const found = await readAll(files)
  const gone = [...specimen.contents.keys()].filter((offset) => !found.has(offset))
  const lost = lostOffsets(report)
  assert.deepEqual(lost, gone, 'what is said to be lost is what is lost')
  for (const [offset, text] of specimen.contents) {
    if (found.has(offset)) assert.equal(found.get(offset), text, `offset ${offset}`)
  }
  const log = await open(files, 'append')
  assert.equal(log.highWaterMark, report.highWaterMark)
  const { first, last } = await log.appendBatch([Buffer.from('new'), Buffer.from('entries')])
  assert.equal(first, report.highWaterMark)
  for (let i = 0; i < 10; i++) await log.append(Buffer.alloc(200, 'x'))
  await log.close()
  const again = await readAll(files)
  assert.deepEqual([again.get(first), again.get(last)], ['new', 'entries'])
  for (const [offset, text] of found) assert.equal(again.get(offset), text)
  assert.equal((await verifyLog(FOLDER, { files })).sound, true)
  const contents = readFolder(files, FOLDER)
  // A damaged index is no damage, and that reader is stricter.
  for (const name of contents.keys()) if (name.endsWith('.index')) contents.delete(name)
  const plain = readPlainly(contents).entries.map(({ offset, data }) => {
    return [offset, Buffer.from(data, 'base64').toString('latin1')] as const
  })
  assert.deepEqual(new Map(plain), again, 'a reader that knows only docs/format.md finds the same')
  return lost
}

async function isSound(files: ForgetfulFiles): Promise<boolean> {
  return (await verifyLog(FOLDER, { files })).sound
}

const DAMAGES = caseCount(60, 24)
const SPECIMENS = [closedLog, () => killedLog('fresh')] as const

for (const skip of [false, true]) {
  describe(skip ? 'a repair with skip' : 'a repair', () => {
    it(`loses exactly what it says, of ${DAMAGES} random damages to each of two logs`, async (t) => {
      const random = seededRandom(60)
      let sound = 0
      let lost = 0
      for (const make of SPECIMENS) {
        const specimen = await make()
        for (let round = 0; round < DAMAGES; round++) {
          const files = cloneAll(specimen.files)
          const harm = HARMS[round % HARMS.length]!(files, random)
          const before = everyFile(files)
          try {
            const planned = await repairLog(FOLDER, { files, skip, dryRun: true })
            assert.deepEqual(everyFile(files), before, 'a dry run changes nothing')
            const wasSound = await isSound(files)
            const report = await repairLog(FOLDER, { files, skip })
            assert.deepEqual(report, planned)
            assert.equal(report.wasSound, wasSound, 'it repairs what a verification finds')
            if (wasSound) {
              sound++
              assert.deepEqual(everyFile(files), { ...before, lock: '' })
            }
            const gone = await check(files, specimen, report)
            lost += gone.length
            if (!skip) continue
            for (const offset of gone) assert.ok(harm.touched.has(offset), `${offset} was whole`)
          } catch (error) {
            const message = `${specimen.name}, damage ${round}, ${harm.what}`
            throw new Error(`${message}: ${error instanceof Error ? error.stack : error}`)
          }
        }
      }
      t.diagnostic(`${sound} of ${2 * DAMAGES} were harmless; ${lost} entries lost`)
      assert.ok(sound < DAMAGES && lost > DAMAGES)
    })

    it('can be interrupted at any moment, and run again', async (t) => {
      const random = seededRandom(61)
      let images = 0
      for (const make of SPECIMENS) {
        const specimen = await make()
        for (let round = 0; round < 12; round++) {
          const files = cloneAll(specimen.files)
          const harm = HARMS[round % 6]!(files, random)
          makeDurable(files)
          const crashes: ForgetfulFiles[] = []
          files.onOperation = () => crashes.push(crashImage(files, random).files)
          const report = await repairLog(FOLDER, { files, skip })
          files.onOperation = undefined
          crashes.push(cloneAll(files), crashImage(files, random).files)
          for (const image of casesOf(crashes, 6)) {
            try {
              const again = await repairLog(FOLDER, { files: image, skip })
              if (!again.wasSound) assert.deepEqual(again.lost, report.lost)
              await check(image, specimen, report)
              images++
            } catch (error) {
              const why = error instanceof Error ? error.stack : error
              throw new Error(`${specimen.name}, ${harm.what}: ${why}`)
            }
          }
        }
      }
      t.diagnostic(`${images} images`)
      assert.ok(images > caseCount(300, 60))
    })
  })
}

describe('a repair', () => {
  const harmed = async () => {
    const specimen = await closedLog()
    const files = cloneAll(specimen.files)
    const store = storesOf(files)[1]!
    const bytes = readFile(files, store)
    bytes[64 + 40]! ^= 1
    writeFile(files, store, bytes)
    return { files, store, specimen }
  }

  it('keeps what it replaces, under another name', async () => {
    const { files, store } = await harmed()
    const before = readFile(files, store)
    const { kept } = await repairLog(FOLDER, { files, skip: true })
    assert.deepEqual(kept, [`${store}.broken`])
    assert.ok(readFile(files, `${store}.broken`).equals(before))
    const bytes = readFile(files, store)
    bytes[64 + 40]! ^= 1
    writeFile(files, store, bytes)
    const second = await repairLog(FOLDER, { files, skip: true })
    assert.deepEqual(second.kept, [`${store}.2.broken`])
    assert.ok(readFile(files, `${store}.broken`).equals(before))
  })

  it('does not touch a backup that shares the files', async () => {
    const { files, specimen } = await harmed()
    const sound = cloneAll(specimen.files)
    await backupLog(FOLDER, '/copy', { files: sound })
    const before = everyFile(sound, '/copy')
    const store = storesOf(sound)[1]!
    // The shared file itself goes bad, for both.
    const bytes = readFile(sound, store)
    bytes[64 + 40]! ^= 1
    const file = sound.openSync(`${FOLDER}/${store}`, 'write')
    file.writeSync(bytes, 0)
    file.closeSync()
    const shared = everyFile(sound, '/copy')
    assert.notDeepEqual(shared, before)
    await repairLog(FOLDER, { files: sound })
    assert.deepEqual(everyFile(sound, '/copy'), shared)
    assert.ok(!(await repairLog('/copy', { files: sound, skip: true })).wasSound)
    assert.equal((await verifyLog('/copy', { files: sound })).sound, true)
    void files
  })

  it('is refused while somebody writes, and where there is no log', async () => {
    const { files } = await harmed()
    const log = await open(files, 'append')
    for (const dryRun of [true, false]) {
      await assertCode('LOCKED', repairLog(FOLDER, { files, dryRun }))
    }
    await log.close()
    files.makeFolderSync('/empty')
    await assertCode('NOT_FOUND', repairLog('/empty', { files }))
    await assertCode('NOT_FOUND', repairLog('/nowhere', { files }))
    assert.deepEqual(files.listSync('/empty'), [])
  })

  it('leaves a replica to its peers', async () => {
    const { files } = await harmed()
    const replica = await Log.open('/replica', { files, replica: true })
    await replica.close()
    await assertCode('INVALID_ARGUMENT', repairLog('/replica', { files }))
  })

  it('says what a verification then notes', async () => {
    const { files, store } = await harmed()
    const { lost } = await repairLog(FOLDER, { files, skip: true })
    const offset = Number(store.slice(0, 20))
    assert.deepEqual(lost, [{ offset, endOffset: offset + 1 }])
    const { notes, entries, highWaterMark } = await verifyLog(FOLDER, { files })
    assert.ok(notes.includes(`offset ${offset} was lost, and given up by a repair`), `${notes}`)
    assert.equal(entries, highWaterMark - 1)
  })
})

describe('a repair of a log whose meta file is damaged too', () => {
  for (const skip of [false, true]) {
    it(`says what a missing segment has taken (skip: ${skip})`, async () => {
      const { files } = await closedLog()
      const stores = storesOf(files)
      const gone = stores.at(-2)!
      const missing = Number(gone.slice(0, 20))
      const next = Number(stores.at(-1)!.slice(0, 20))
      const before = new Map<number, string>()
      const log = await open(files, 'read')
      for await (const { offset, data } of log.read()) before.set(offset, data.toString('base64'))
      await log.close()
      files.removeSync(`${FOLDER}/${gone}`)
      const meta = readFile(files, 'meta')
      meta[meta.length - 1]! ^= 1
      writeFile(files, 'meta', meta)
      const { lost } = await repairLog(FOLDER, { files, skip })
      const isLost = (offset: number) =>
        lost.some((range) => offset >= range.offset && offset < range.endOffset)
      const repaired = await open(files, 'read')
      const after = new Map<number, string>()
      for await (const { offset, data } of repaired.read())
        after.set(offset, data.toString('base64'))
      await repaired.close()
      assert.ok(isLost(missing) && isLost(next - 1))
      for (const [offset, data] of before) {
        assert.equal(after.get(offset), isLost(offset) ? undefined : data, `offset ${offset}`)
        assert.equal(isLost(offset), skip ? offset >= missing && offset < next : offset >= missing)
      }
    })
  }

  it('can be tried under the lock that covers the log', async () => {
    const { files } = await closedLog()
    const lock = await FolderLock.acquire('/', { files })
    assert.equal((await repairLog(FOLDER, { files, lock, dryRun: true })).wasSound, true)
    const error = await assertCode('LOCKED', repairLog(FOLDER, { files, dryRun: true }))
    assert.equal(error.details.pid, process.pid)
    lock.release()
  })
})
