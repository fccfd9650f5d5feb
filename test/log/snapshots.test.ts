import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type Log, verifyLog } from 'tidemark'
import { cloneAll, extremeImages, type ForgetfulFiles } from 'tidemark/testing'
import { errnoOf } from '#dist/base/index.js'
import {
  assertCode,
  failOn,
  newFiles,
  openOn,
  readFile,
  settle,
  someTexts,
  using,
  worstCrash,
  writeFile,
} from './fixtures.ts'

const FOLDER = '/log/snapshots'
const NAME = '00000000000000000007.snapshot'
const CHUNKS = [Buffer.from('the first chunk, '), Buffer.alloc(3000, 7), Buffer.from('the last')]
const STATE = Buffer.concat(CHUNKS)

async function bytesOf(log: Log, offset = 7): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of log.snapshots.read(offset)) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** A log with entries that there can be states of. */
async function openFilled(files: ForgetfulFiles): Promise<Log> {
  const log = await openOn(files)
  await log.appendBatch(someTexts(10))
  return log
}

async function written(): Promise<ForgetfulFiles> {
  const files = newFiles()
  const log = await openFilled(files)
  await log.snapshots.write(7, CHUNKS)
  await log.close()
  return files
}

describe('a snapshot', () => {
  it('is on the disk when write resolves', async () => {
    const files = newFiles()
    const log = await openFilled(files)
    await log.snapshots.write(7, CHUNKS)
    await using(worstCrash(files), {}, async (left) => {
      assert.deepEqual(await left.snapshots.list(), [7])
      assert((await bytesOf(left)).equals(STATE))
    })
    await log.close()
  })

  it('is the old one, the new one or none, whenever the power is lost', async () => {
    const files = newFiles()
    const log = await openFilled(files)
    await log.snapshots.write(7, [Buffer.from('old')])
    const images: ForgetfulFiles[] = []
    files.onOperation = () => images.push(...extremeImages(files, 30).map((image) => image.files))
    await log.snapshots.write(7, CHUNKS)
    await log.snapshots.write(9, CHUNKS)
    files.onOperation = undefined
    await log.close()
    assert(images.length > 50)
    for (const image of images) {
      await using(image, {}, async (left) => {
        for (const offset of await left.snapshots.list()) {
          const bytes = await bytesOf(left, offset)
          assert(bytes.equals(STATE) || (offset === 7 && bytes.toString() === 'old'))
        }
        assert((await left.snapshots.list()).includes(7))
        await left.snapshots.write(8, [Buffer.from('next')])
        const names = image.listSync(FOLDER).filter((name) => !name.endsWith('.snapshot'))
        assert.deepEqual(names, [], 'what was left over is removed')
      })
    }
  })

  it('that is damaged in any byte, or cut short anywhere, throws CORRUPT', async () => {
    const files = await written()
    const whole = readFile(files, NAME, FOLDER)
    const hurt: Buffer[] = []
    for (let at = 0; at < whole.length; at += at < 100 || at > whole.length - 50 ? 1 : 37) {
      const flipped = Buffer.from(whole)
      flipped[at]! ^= 1 << (at % 8)
      hurt.push(flipped, whole.subarray(0, at))
    }
    const frame = whole.subarray(24, 24 + 8 + CHUNKS[0]!.length)
    const rest = whole.subarray(24 + frame.length)
    hurt.push(Buffer.concat([whole.subarray(0, 24), rest]))
    hurt.push(Buffer.concat([whole.subarray(0, 24), frame, frame, rest]))
    await using(files, {}, async (log) => {
      for (const bytes of hurt) {
        writeFile(files, NAME, bytes, FOLDER)
        const seen: Uint8Array[] = []
        const error = await assertCode('CORRUPT', async () => {
          for await (const chunk of log.snapshots.read(7)) seen.push(chunk)
        })
        assert(error.details.file?.includes(NAME))
        const before = Buffer.concat(seen)
        assert(before.equals(STATE.subarray(0, before.length)), 'what was read before was right')
      }
      writeFile(files, NAME, whole, FOLDER)
      assert((await bytesOf(log)).equals(STATE))
    })
  })

  it('with anything behind its end is damaged, and verify says so', async () => {
    const files = newFiles()
    const log = await openFilled(files)
    await log.snapshots.write(0, [Buffer.from('state')])
    await log.close()
    const [name] = files.listSync('/log/snapshots')
    const file = files.openSync(`/log/snapshots/${name}`, 'write')
    file.writeSync(Buffer.from('junk'), file.sizeSync())
    file.closeSync()
    await using(files, {}, async (again) => {
      await assertCode('CORRUPT', async () => {
        for await (const _ of again.snapshots.read(0));
      })
    })
    const report = await verifyLog('/log', { files })
    assert.equal(report.sound, false)
    assert.equal(report.damage[0]?.file, `snapshots/${name}`)
  })

  it('is never ahead of the log on the disk, under any policy', async () => {
    for (const sync of ['never', { intervalMs: 1000 }, 'always'] as const) {
      const files = newFiles()
      const log = await openOn(files, { sync })
      for (let i = 0; i < 5; i++) await log.append(`entry ${i}`)
      await log.snapshots.write(5, [Buffer.from('five')])
      const left = worstCrash(files)
      await log.close()
      await using(left, {}, async (again) => {
        assert.deepEqual(await again.snapshots.list(), [5])
        assert.equal(again.highWaterMark, 5)
      })
    }
  })

  it('takes chunks of bytes and nothing else', async () => {
    await using(newFiles(), {}, async (log) => {
      await log.snapshots.write(0, [Buffer.from('state')])
      const wrong: unknown[] = [
        Buffer.from('state'),
        'state',
        undefined,
        null,
        5,
        [1, 2],
        [new ArrayBuffer(12)],
        [new Uint16Array(2)],
        ['state'],
        [null],
      ]
      for (const chunks of wrong) {
        await assertCode('INVALID_ARGUMENT', log.snapshots.write(0, chunks as Uint8Array[]))
      }
      assert.equal((await bytesOf(log, 0)).toString(), 'state')
    })
  })

  it('that is not done when the log is closed is none, and hurts no later one', async () => {
    const files = newFiles()
    const old = await openOn(files)
    let goOn = () => {}
    const gate = new Promise<void>((resolve) => {
      goOn = resolve
    })
    async function* slow() {
      yield Buffer.from('old ')
      await gate
      yield Buffer.from('state')
    }
    const writing = old.snapshots.write(0, slow())
    await settle()
    await old.close()
    await using(files, {}, async (log) => {
      await log.snapshots.write(0, [Buffer.from('new state')])
      goOn()
      await assertCode('CLOSED', writing)
      assert.equal((await bytesOf(log, 0)).toString(), 'new state')
      assert.equal(files.listSync('/log/snapshots').length, 1)
    })
  })

  it('of another offset under its name is not believed', async () => {
    const files = await written()
    writeFile(files, '00000000000000000009.snapshot', readFile(files, NAME, FOLDER), FOLDER)
    await using(files, {}, (log) => assertCode('CORRUPT', () => bytesOf(log, 9)))
  })

  it('that cannot be written or read is an IO error, and leaves what was there', async () => {
    const files = await written()
    await using(files, {}, async (log) => {
      for (const kind of ['create', 'write', 'datasync', 'rename', 'syncDirectory'] as const) {
        failOn(files, kind, 'snapshots', 'EIO', 1)
        const error = await assertCode('IO', log.snapshots.write(7, [Buffer.from('new')]))
        assert.equal(errnoOf(error.cause), 'EIO')
        files.fault = undefined
        if (kind === 'syncDirectory') continue
        assert((await bytesOf(log)).equals(STATE), `${kind} hurt the old one`)
        assert.deepEqual(files.listSync(FOLDER), [NAME])
      }
      failOn(files, 'read', 'snapshots', 'EIO')
      await assertCode('IO', () => bytesOf(log))
      failOn(files, 'remove', 'snapshots', 'EIO', 1)
      await assertCode('IO', log.snapshots.remove(7))
      files.fault = undefined
      await log.append('the log itself goes on')
    })
  })

  it('can be read while it is replaced or removed', async () => {
    await using(newFiles(), {}, async (log) => {
      await log.appendBatch(someTexts(10))
      await log.snapshots.write(7, CHUNKS)
      const reading = log.snapshots.read(7)[Symbol.asyncIterator]()
      const chunks = [(await reading.next()).value as Uint8Array]
      await log.snapshots.write(7, [Buffer.from('new')])
      await log.snapshots.remove(7)
      for (let next = await reading.next(); !next.done; next = await reading.next()) {
        chunks.push(next.value)
      }
      assert(Buffer.concat(chunks).equals(STATE))
    })
  })

  it('survives the death of the process, and leaves no lock on what it was doing', async () => {
    const files = newFiles()
    const log = await openFilled(files)
    await log.snapshots.write(7, CHUNKS)
    const left = cloneAll(files)
    await log.close()
    await using(left, {}, async (again) => {
      assert((await bytesOf(again)).equals(STATE))
      await again.snapshots.write(7, [Buffer.from('new')])
      assert.equal((await bytesOf(again)).toString(), 'new')
    })
  })
})
