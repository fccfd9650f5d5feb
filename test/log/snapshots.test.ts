import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Log } from 'tidemark'
import { cloneAll, extremeImages, type ForgetfulFiles } from 'tidemark/testing'
import { errnoOf } from '#dist/base/index.js'
import {
  assertCode,
  failOn,
  newFiles,
  openOn,
  readFile,
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

async function written(): Promise<ForgetfulFiles> {
  const files = newFiles()
  await using(files, {}, (log) => log.snapshots.write(7, CHUNKS))
  return files
}

describe('a snapshot', () => {
  it('is on the disk when write resolves', async () => {
    const files = newFiles()
    const log = await openOn(files)
    await log.snapshots.write(7, CHUNKS)
    await using(worstCrash(files), {}, async (left) => {
      assert.deepEqual(await left.snapshots.list(), [7])
      assert((await bytesOf(left)).equals(STATE))
    })
    await log.close()
  })

  it('is the old one, the new one or none, whenever the power is lost', async () => {
    const files = newFiles()
    const log = await openOn(files)
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
    const files = newFiles()
    await using(files, {}, async (log) => {
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
    const log = await openOn(files)
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
