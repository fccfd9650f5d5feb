// What fuzzing and the writing of docs/format.md have found, one test for each.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Log, type LogOptions, TidemarkError, verifyLog } from 'tidemark'
import { viewOf } from '#dist/base/index.js'
import { type Files, seededRandom } from '#dist/io/index.js'
import { EntryHeader, mayBeHeader } from '#dist/log/entry-format.js'
import { errnoError, ForgetfulFiles, ManualClock } from '#dist/simulation/index.js'
import { dump, readFolder, writeFolder } from '../golden/dump.ts'
import { entryPositions, kindOf, resealEntry, resealFile } from '../golden/reseal.ts'
import { closedLog, FOLDER, killedLog, replicaLog, type Specimen } from '../golden/specimens.ts'
import { guardAllocations } from './allocations.ts'
import type { Contents } from './mutations.ts'

type Options = Omit<LogOptions, 'codec'>

function open(files: Files, options: Options = {}): Promise<Log> {
  const fixed = { files, clock: new ManualClock(), random: seededRandom(5) }
  return Log.open(FOLDER, { ...fixed, segmentBytes: 640, indexIntervalBytes: 128, ...options })
}

function isCorrupt(error: unknown): true {
  assert.ok(error instanceof TidemarkError, `not a TidemarkError: ${error}`)
  assert.equal(error.code, 'CORRUPT', error.message)
  return true
}

async function offsetsIn(log: Log): Promise<number[]> {
  const offsets: number[] = []
  for await (const { offset } of log.read()) offsets.push(offset)
  return offsets
}

async function expectBelow16(log: Log): Promise<void> {
  for await (const { offset } of log.read()) assert.ok(offset < 16, `offset ${offset} was cut off`)
}

/** A specimen with some of its files changed. */
async function changed(
  make: () => Promise<Specimen>,
  change: (contents: Contents) => void,
): Promise<ForgetfulFiles> {
  const contents = readFolder((await make()).files, FOLDER)
  change(contents)
  return writeFolder(contents, FOLDER)
}

/** Sets a field of a file, and the checksum that fits. */
function setField(
  contents: Contents,
  name: RegExp,
  at: number,
  bytes: number,
  value: bigint,
): void {
  const [found] = [...contents.keys()].filter((each) => name.test(each)).slice(-1)
  assert.ok(found, `no file ${name}`)
  const b = contents.get(found)!
  for (let i = 0; i < bytes; i++) b[at + i] = Number((value >> BigInt(8 * i)) & 0xffn)
  resealFile(kindOf(found)!, b)
}

/** Opening for writing is refused as damage, and no byte is changed. */
async function expectRefusal(files: ForgetfulFiles, options: Options = {}): Promise<void> {
  const before = dump(readFolder(files, FOLDER))
  await assert.rejects(open(files, options), isCorrupt)
  assert.equal(dump(readFolder(files, FOLDER)), before, 'what was refused has been changed')
}

describe('the low-water mark is evidence', () => {
  /** Ten entries in one group, the first five of them trimmed; the marks file is lost with the power. */
  async function trimmedLog(): Promise<Contents> {
    const { files } = await closedLog()
    const { clock, random } = { clock: new ManualClock(), random: seededRandom(1) }
    const log = await Log.open('/other', { files, clock, random })
    await Promise.all(Array.from({ length: 10 }, (_, i) => log.append(`entry ${i}`)))
    await log.trim(5)
    const contents = readFolder(files, '/other')
    contents.delete('marks')
    await log.close()
    return contents
  }

  function damageEntry(contents: Contents, number: number): void {
    const [name] = [...contents.keys()].filter((each) => each.endsWith('.store'))
    const b = contents.get(name!)!
    b[entryPositions(b)[number]! + 20]! ^= 1
  }

  it('an entry below it was synced once, so that it is bad is no torn tail', async () => {
    const contents = await trimmedLog()
    damageEntry(contents, 3)
    await expectRefusal(writeFolder(contents, FOLDER))
  })

  it('a reader is not shown an empty log in the place of what lies behind such an entry', async () => {
    const contents = await trimmedLog()
    damageEntry(contents, 3)
    const log = await open(writeFolder(contents, FOLDER), { mode: 'read' })
    assert.equal(log.highWaterMark, 10)
    // The way to offset 5 may lead past the damage, and then that is said.
    const outcome = await offsetsIn(log).catch(isCorrupt)
    if (outcome !== true) assert.deepEqual(outcome, [5, 6, 7, 8, 9])
    await log.close()
  })

  for (const [name, make] of [
    ['closed', closedLog],
    ['killed', killedLog],
  ] as const) {
    it(`one beyond the end of a ${name} log refuses it before anything is changed`, async () => {
      const files = await changed(make, (contents) => setField(contents, /^meta$/, 8, 8, 1000n))
      await expectRefusal(files)
    })
  }
})

describe('the marks file is evidence', () => {
  for (const mode of ['append', 'read'] as const) {
    it(`it names a segment that is not there any more (mode ${mode})`, async () => {
      const files = await changed(replicaLog, (contents) => {
        for (const name of [...contents.keys()]) {
          if (name.startsWith('00000000000000000016-')) contents.delete(name)
        }
      })
      // Without its successor the segment before would be read to its end, and what was cut off with it.
      if (mode === 'append') await expectRefusal(files, { replica: true })
      else await assert.rejects(open(files, { mode }).then(expectBelow16), isCorrupt)
    })
  }

  for (const [what, left] of [
    ['a store that was cut back to its header', (b: Uint8Array) => b.slice(0, 64)],
    ['no store', () => undefined],
  ] as const) {
    it(`a marks file beside ${what}, and no meta file, is not a log that was never made`, async () => {
      const files = await changed(killedLog, (contents) => {
        contents.delete('meta')
        for (const [name, bytes] of contents) {
          if (!name.endsWith('.store')) continue
          const rest = left(bytes)
          if (rest) contents.set(name, rest)
          else contents.delete(name)
        }
      })
      await expectRefusal(files)
      await assert.rejects(open(files, { mode: 'read' }), isCorrupt)
      assert.equal((await verifyLog(FOLDER, { files })).sound, false)
    })
  }

  it('that of a dead writer does not speak for one that is still recovering', async () => {
    const { files } = await closedLog()
    const clock = new ManualClock()
    const log = await Log.open('/other', { files, clock, random: seededRandom(1), sync: 'never' })
    await log.append('synced')
    await log.flush()
    for (let i = 0; i < 9; i++) await log.append(`only in the kernel ${i}`)
    await clock.advance(20)
    const contents = readFolder(files, '/other')
    await log.close()
    // The power fails. The marks have reached the disk, the entries that they speak of have not.
    const [name] = [...contents.keys()].filter((each) => each.endsWith('.store'))
    const b = contents.get(name!)!
    contents.set(name!, b.slice(0, entryPositions(b)[1]))
    const left = writeFolder(contents, FOLDER)
    let goOn = () => {}
    const gate = new Promise<void>((resolve) => {
      goOn = resolve
    })
    left.syncDelay = () => gate
    const opening = open(left, { sync: 'never' })
    await clock.advance(1)
    const reader = await open(left, { mode: 'read' })
    assert.ok(reader.highWaterMark <= 1, `shows offsets to ${reader.highWaterMark}`)
    goOn()
    const writer = await opening
    assert.deepEqual(await offsetsIn(reader), [0])
    await reader.close()
    await writer.close()
  })
})

describe('a snapshot', () => {
  const of = (offset: number) => `snapshots/${String(offset).padStart(20, '0')}.snapshot`

  it('has frames that belong to its header: those of another one are refused', async () => {
    const files = await changed(closedLog, (contents) => {
      const [one, other] = [contents.get(of(14))!, contents.get(of(20))!]
      contents.set(of(14), Buffer.concat([one.subarray(0, 24), other.subarray(24)]))
    })
    const log = await open(files, { mode: 'read' })
    const reading = async () => {
      for await (const _ of log.snapshots.read(14));
    }
    await assert.rejects(reading, isCorrupt)
    await log.close()
  })

  it('of an offset that cannot be is not listed', async () => {
    const files = await changed(closedLog, (contents) => {
      contents.set('snapshots/99999999999999999999.snapshot', contents.get(of(14))!)
    })
    const log = await open(files, { mode: 'read' })
    assert.deepEqual(await log.snapshots.list(), [14, 20])
    await log.close()
  })
})

describe('an index whose checksum fits, but whose points are nonsense, does no harm', () => {
  const cases: readonly [what: string, at: number, bytes: number, value: bigint][] = [
    ['a position far beyond the store', 52, 4, 0x7fff_ffffn],
    ['positions that go back', 52, 4, 1n],
    ['offsets that go back', 48, 4, 0n],
    ['an offset that no entry has', 48, 4, 0xffff_fff0n],
    ['a first point that is not the first entry', 36, 4, 104n],
  ]
  for (const [what, at, bytes, value] of cases) {
    it(what, async () => {
      const { contents } = await closedLog()
      const files = await changed(closedLog, (all) => {
        for (const name of all.keys()) {
          if (name.endsWith('.index') && all.get(name)!.length >= 64) {
            setField(all, new RegExp(name), at, bytes, value)
          }
        }
      })
      const guard = guardAllocations()
      try {
        const log = await open(files)
        for (const { offset, count, data } of contents.entries) {
          const entry = await log.get(offset + count - 1).catch(isCorrupt)
          if (entry === true) continue
          assert.equal(entry?.data.toString('base64'), data, `offset ${offset}`)
        }
        for (let i = 0; i < 9; i++) await log.append(Buffer.alloc(60))
        await log.close()
        assert.equal(guard.refused, undefined)
      } finally {
        guard.release()
      }
    })
  }
})

describe('a field that no writer writes is damage, though its checksum fits', () => {
  it('a segment that ends within its own header', async () => {
    const files = await changed(closedLog, (contents) => setField(contents, /\.store$/, 24, 4, 0n))
    await assert.rejects(open(files, { mode: 'read' }).then(offsetsIn), isCorrupt)
    await expectRefusal(files)
  })

  it('a segment that begins beyond what an offset can be', async () => {
    const files = await changed(killedLog, (contents) => {
      const [name] = [...contents.keys()].filter((each) => each.endsWith('.store'))
      setField(contents, /\.store$/, 16, 8, (1n << 53n) - 1n)
      contents.set(name!.replace(/^\d{20}/, '00009007199254740991'), contents.get(name!)!)
      contents.delete(name!)
    })
    await assert.rejects(open(files, { mode: 'read' }).then(offsetsIn), isCorrupt)
    await expectRefusal(files)
  })

  for (const [what, at, bytes, value] of [
    ['offset that lies before its segment', 24, 8, 0n],
    ['position within the header of its segment', 32, 4, 0n],
    ['high-water mark beyond it', 46, 8, 5000n],
  ] as const) {
    it(`a clean end with an ${what}`.replace('an p', 'a p').replace('an h', 'a h'), async () => {
      const files = await changed(closedLog, (contents) => {
        setField(contents, /^meta$/, at, bytes, value)
        // So that the end is believed, if nothing else is looked at.
        const [name] = [...contents.keys()].filter((each) => each.endsWith('.store')).slice(-1)
        if (at === 32) contents.set(name!, contents.get(name!)!.slice(0, 0))
      })
      await expectRefusal(files)
    })
  }

  it('an entry that spans more offsets than a segment can have', async () => {
    const files = await changed(killedLog, (contents) => {
      const [name] = [...contents.keys()].filter((each) => each.endsWith('.store'))
      const b = contents.get(name!)!
      const at = entryPositions(b)[8]!
      b.fill(0xff, at + 20, at + 24)
      resealEntry(b, at)
    })
    await assert.rejects(open(files, { mode: 'read' }).then(offsetsIn), isCorrupt)
    await expectRefusal(files)
  })
})

it('the search behind damage misses no header that a scan would believe', async () => {
  const contents = readFolder((await closedLog()).files, FOLDER)
  const header = new EntryHeader()
  for (const [name, b] of contents) {
    if (!name.endsWith('.store')) continue
    const salt = new DataView(b.buffer, b.byteOffset).getUint32(8, true)
    for (const at of entryPositions(b)) {
      for (const field of [20, 23, 24, 27, 28, 31, 39]) {
        const one = b.slice()
        one[at + field]! ^= 0x80
        resealEntry(one, at)
        if (!header.read(viewOf(one), at, salt)) continue
        assert.ok(mayBeHeader(one, at, one.length - at, 0), `byte ${field} of a header in ${name}`)
      }
    }
  }
})

it('no entry is written with a term lower than the one before, not even behind the highest', async () => {
  const files = await changed(killedLog, (contents) => {
    const [name] = [...contents.keys()].filter((each) => each.endsWith('.store'))
    const b = contents.get(name!)!
    const at = entryPositions(b)[8]!
    b.fill(0xff, at + 16, at + 20)
    resealEntry(b, at)
  })
  const log = await open(files)
  const end = log.highWaterMark
  const outcome = await log.append('one more').catch((error: unknown) => error)
  await log.close()
  const again = await open(files)
  if (typeof outcome === 'number') assert.equal((await again.get(end))?.data.toString(), 'one more')
  else assert.ok(outcome instanceof TidemarkError, String(outcome))
  assert.equal((await verifyLog(FOLDER, { files })).sound, true)
  await again.close()
})

it('a damaged replica whose segment has no offsets left says so, and goes on', async () => {
  const files = await changed(replicaLog, (contents) => {
    const [name] = [...contents.keys()].filter((each) => each.endsWith('.store')).slice(-1)
    const b = contents.get(name!)!
    const at = entryPositions(b)
    // Damage keeps the segment active, and its last entry takes all the offsets that there can be.
    b[at[0]! + 45]! ^= 1
    const view = new DataView(b.buffer, b.byteOffset)
    view.setUint32(at.at(-1)! + 20, 2 ** 32 - 1 - view.getUint32(at.at(-1)!, true), true)
    resealEntry(b, at.at(-1)!)
  })
  const log = await open(files, { replica: true })
  assert.equal(log.replica.damage.length, 1)
  const entry = { term: 9, type: 1, timestamp: 0, count: 1, data: Buffer.from('one more') }
  const failure: unknown = await log.replica.append([entry]).catch((error: unknown) => error)
  assert.ok(failure instanceof TidemarkError && failure.code !== 'POISONED', String(failure))
  await log.close()
})

it('an append that could not be taken back is not said to be gone', async () => {
  const files = new ForgetfulFiles()
  const log = await open(files)
  await log.append('before')
  // The disk fills up behind the first of two appends, and then does not even take the file back.
  files.fault = ({ kind, path }) => {
    if (kind === 'truncate') return errnoError('EIO', 'ftruncate', path)
    return kind === 'write' && path.endsWith('.store') ? { short: 40 + 5 + 10 } : undefined
  }
  const outcomes = await Promise.allSettled([log.append('whole'), log.append('torn')])
  files.fault = undefined
  await log.close()
  const again = await open(files)
  for (const [i, outcome] of outcomes.entries()) {
    assert.equal(outcome.status, 'rejected')
    const { code } = (outcome as PromiseRejectedResult).reason as TidemarkError
    // IO says that nothing of the append was kept; POISONED says that nobody knows.
    if (code === 'IO') assert.equal(await again.get(1 + i), undefined, `append ${i} is there`)
    else assert.equal(code, 'POISONED')
  }
  await again.close()
})

it('a log with many damaged entries is examined in one pass, not in one pass for each', async () => {
  const { files } = await closedLog()
  const clock = new ManualClock()
  const settings = { files, clock, random: seededRandom(1), sync: 'never' } as const
  const log = await Log.open('/other', settings)
  for (let i = 0; i < 160; i++) await log.append(Buffer.alloc(100_000))
  await log.flush()
  await clock.advance(10)
  const contents = readFolder(files, '/other')
  await log.close()
  const [name] = [...contents.keys()].filter((each) => each.endsWith('.store'))
  const b = contents.get(name!)!
  const at = entryPositions(b)
  for (let i = 2; i < 60; i += 2) b[at[i]! + 1000]! ^= 1
  const left = writeFolder(contents, FOLDER)
  let read = 0
  left.fault = ({ kind, size = 0 }) => {
    if (kind === 'read') read += size
    return undefined
  }
  await assert.rejects(open(left), isCorrupt)
  const times = read / b.length
  // A search reads a window of one MiB, whatever it finds.
  assert.ok(times < 8, `the store was read ${times.toFixed(0)} times over`)
})
