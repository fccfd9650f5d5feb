// A backup is a log of its own, whatever the writer does meanwhile and whenever the power fails.
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { backupLog, Log, verifyLog } from 'tidemark'
import { crashImage, errnoError, ForgetfulFiles, seededRandom } from 'tidemark/testing'
import {
  assertCode,
  damageEntry,
  everyFile,
  FOLDER,
  failOn,
  openOn,
  placesOf,
  someTexts,
  storesOf,
  textsOf,
  using,
} from './fixtures.ts'

const TO = '/copy'
const SMALL = { segmentBytes: 600 }

/** A closed log of several segments. */
async function someLog(count = 60): Promise<ForgetfulFiles> {
  const files = new ForgetfulFiles()
  await using(files, SMALL, async (log) => {
    for (const text of someTexts(count)) await log.append(text)
  })
  return files
}

function openCopy(files: ForgetfulFiles, mode: 'append' | 'read' = 'append'): Promise<Log> {
  return Log.open(TO, { ...SMALL, mode, files })
}

async function copiedTexts(files: ForgetfulFiles): Promise<string[]> {
  const copy = await openCopy(files, 'read')
  const texts = await textsOf(copy)
  await copy.close()
  return texts
}

describe('a backup', () => {
  it('is a log that was closed, with the same entries, and goes on by itself', async () => {
    const files = await someLog()
    const before = everyFile(files)
    const report = await backupLog(FOLDER, TO, { files })
    assert.deepEqual(everyFile(files), before)
    assert.equal(report.highWaterMark, 60)
    assert.equal(report.segments, storesOf(files).length)
    assert.ok(report.linkedBytes > report.copiedBytes)
    const verified = await verifyLog(TO, { files })
    assert.deepEqual([verified.sound, verified.notes, verified.highWaterMark], [true, [], 60])
    const copy = await openCopy(files)
    await copy.append('only here')
    assert.equal((await copy.get(60))?.data.toString(), 'only here')
    await copy.trim(50)
    await copy.close()
    assert.deepEqual(everyFile(files), before, 'what the copy does changes nothing of the log')
    await using(files, SMALL, async (log) => {
      for (const text of someTexts(60)) await log.append(`there ${text}`)
      await log.trim(100)
    })
    assert.deepEqual(await copiedTexts(files), [...someTexts(60).slice(50), 'only here'])
    assert.equal((await verifyLog(TO, { files })).sound, true)
  })

  it('is made of empty logs, trimmed ones, and ones that were never closed', async () => {
    for (const [count, trimTo] of [
      [0, 0],
      [1, 1],
      [40, 33],
    ] as const) {
      const files = new ForgetfulFiles()
      const log = await openOn(files, SMALL)
      for (const text of someTexts(count)) await log.append(text)
      await log.trim(trimTo)
      await log.backup(TO)
      const copy = await openCopy(files)
      assert.deepEqual([copy.lowWaterMark, copy.highWaterMark], [trimTo, count])
      assert.deepEqual(await textsOf(copy), someTexts(count).slice(trimTo))
      assert.equal(await copy.append('more'), count)
      await copy.close()
      await log.close()
    }
  })

  it('has the snapshots and what lies in cursors, each a file of its own', async () => {
    const files = await someLog()
    await using(files, SMALL, (log) => log.snapshots.write(20, [Buffer.from('state')]))
    files.makeFolderSync(`${FOLDER}/cursors`)
    const cursor = files.openSync(`${FOLDER}/cursors/billing.cursor`, 'create')
    cursor.writeSync(Buffer.from('12'), 0)
    await backupLog(FOLDER, TO, { files })
    cursor.writeSync(Buffer.from('34'), 0)
    cursor.closeSync()
    const copy = await openCopy(files)
    assert.deepEqual(await copy.snapshots.list(), [20])
    const parts: Buffer[] = []
    for await (const chunk of copy.snapshots.read(20)) parts.push(Buffer.from(chunk))
    assert.equal(Buffer.concat(parts).toString(), 'state')
    await copy.close()
    const kept = files.openSync(`${TO}/cursors/billing.cursor`, 'read')
    const bytes = Buffer.alloc(2)
    kept.readSync(bytes, 0)
    kept.closeSync()
    assert.equal(bytes.toString(), '12')
  })

  it('copies where there are no links', async () => {
    const files = await someLog()
    failOn(files, 'link', '', 'EXDEV')
    const report = await backupLog(FOLDER, TO, { files })
    files.fault = undefined
    assert.equal(report.linkedBytes, 0)
    assert.deepEqual(await copiedTexts(files), someTexts(60))
  })

  it('refuses a target that is there, or that lies in the log, and a log that is not there', async () => {
    const files = await someLog()
    files.makeFolderSync(TO)
    await assertCode('INVALID_ARGUMENT', backupLog(FOLDER, TO, { files }))
    await assertCode('INVALID_ARGUMENT', backupLog(FOLDER, FOLDER, { files }))
    await assertCode('INVALID_ARGUMENT', backupLog(FOLDER, `${FOLDER}/copy`, { files }))
    await assertCode('INVALID_ARGUMENT', backupLog(FOLDER, '', { files }))
    await assertCode('NOT_FOUND', backupLog('/nowhere', '/copy2', { files }))
    assert.deepEqual(files.listSync('/').sort(), ['copy', 'log'])
  })

  it('refuses damage in what it copies, and leaves nothing behind', async () => {
    const files = await someLog()
    damageEntry(files, placesOf(files, storesOf(files).at(-1)!)[0]!)
    const error = await assertCode('CORRUPT', backupLog(FOLDER, TO, { files }))
    assert.equal(error.details.file, storesOf(files).at(-1))
    assert.deepEqual(files.listSync('/'), ['log'])
  })

  it('leaves nothing behind when it is stopped, or the disk is full', async () => {
    const files = await someLog()
    const stop = new AbortController()
    const reason = new Error('stop')
    const onProgress = () => stop.abort(reason)
    const stopped = backupLog(FOLDER, TO, { files, signal: stop.signal, onProgress })
    await assert.rejects(stopped, (error) => error === reason)
    assert.deepEqual(files.listSync('/'), ['log'])
    files.fault = (op) => {
      return op.kind === 'write' && op.path.startsWith(TO)
        ? errnoError('ENOSPC', 'write', op.path)
        : undefined
    }
    await assertCode('IO', backupLog(FOLDER, TO, { files }))
    assert.deepEqual(files.listSync('/'), ['log'])
  })

  it('tells how far it is', async () => {
    const files = await someLog()
    const seen: number[] = []
    await backupLog(FOLDER, TO, {
      files,
      onProgress: ({ bytes, totalBytes }) => {
        assert.ok(bytes <= totalBytes)
        seen.push(bytes / totalBytes)
      },
    })
    assert.ok(seen.length > 3)
    assert.deepEqual(
      seen,
      [...seen].sort((a, b) => a - b),
    )
    assert.equal(seen.at(-1), 1)
  })
})

describe('a crash during a backup', () => {
  it('leaves a whole backup or none, and the log as it was', async (t) => {
    const files = await someLog()
    await using(files, SMALL, (log) => log.snapshots.write(20, [Buffer.from('state')]))
    const random = seededRandom(11)
    const images: ForgetfulFiles[] = []
    files.onOperation = () => {
      for (let i = 0; i < 8; i++) images.push(crashImage(files, random).files)
    }
    await backupLog(FOLDER, TO, { files })
    files.onOperation = undefined
    for (let i = 0; i < 20; i++) images.push(crashImage(files, random).files)
    let whole = 0
    for (const image of images) {
      await using(image, { mode: 'read' }, async (log) => {
        assert.deepEqual(await textsOf(log), someTexts(60))
      })
      if (!image.existsSync(TO)) continue
      whole++
      assert.deepEqual(await copiedTexts(image), someTexts(60))
      const copy = await openCopy(image)
      assert.deepEqual(await copy.snapshots.list(), [20])
      await copy.append('more')
      await copy.close()
    }
    t.diagnostic(`${images.length} images, ${whole} with a backup`)
    assert.ok(images.length > 200 && whole >= 20)
  })
})

/** A writer at full load on the real disk, which trims and rolls as it goes. */
class Load {
  readonly log: Log
  readonly #lines = 64
  acknowledged = 0
  #isOver = false
  #work: Promise<unknown> = Promise.resolve()

  constructor(log: Log) {
    this.log = log
  }

  start(): void {
    const one = async () => {
      while (!this.#isOver) {
        const number = await this.log.append(`entry ${this.log.highWaterMark} ${'x'.repeat(90)}`)
        this.acknowledged = Math.max(this.acknowledged, number + 1)
      }
    }
    const trims = async () => {
      while (!this.#isOver) {
        await this.log.trim(Math.max(0, this.log.highWaterMark - 5000))
        await new Promise((resolve) => setTimeout(resolve, 3))
      }
    }
    this.#work = Promise.all([trims(), ...Array.from({ length: this.#lines }, one)])
  }

  async stop(): Promise<void> {
    this.#isOver = true
    await this.#work
  }
}

function realFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-backup-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** Every store of the backup is the beginning of the log's store of that name, byte by byte. */
function checkPrefix(log: string, copy: string): number {
  let compared = 0
  for (const name of readdirSync(copy).filter((each) => each.endsWith('.store'))) {
    const path = join(log, name)
    if (!statSync(path, { throwIfNoEntry: false })) continue
    const mine = readFileSync(join(copy, name))
    assert.ok(readFileSync(path).subarray(0, mine.length).equals(mine), name)
    compared++
  }
  return compared
}

describe('a backup under full load', () => {
  for (const who of ['the writer', 'another process'] as const) {
    it(`made by ${who} has all that was acknowledged, ten times`, async (t) => {
      const folder = realFolder(t)
      const path = join(folder, 'log')
      const log = await Log.open(path, { segmentBytes: 64 * 1024 })
      const load = new Load(log)
      load.start()
      t.after(() => load.stop())
      let rolls = 0
      let trims = 0
      let linked = 0
      for (let round = 0; round < 10; round++) {
        await new Promise((resolve) => setTimeout(resolve, 30))
        const to = join(folder, `copy ${round}`)
        const { acknowledged } = load
        const low = log.lowWaterMark
        const report = who === 'the writer' ? await log.backup(to) : await backupLog(path, to)
        assert.ok(report.highWaterMark >= acknowledged, `${report.highWaterMark} < ${acknowledged}`)
        assert.ok(report.lowWaterMark >= low)
        assert.ok(report.highWaterMark <= log.highWaterMark)
        linked += report.linkedBytes
        rolls += report.segments - 1
        trims += report.lowWaterMark > 0 ? 1 : 0
        checkPrefix(path, to)
        assert.deepEqual((await verifyLog(to)).damage, [])
        const copy = await Log.open(to)
        assert.equal(copy.highWaterMark, report.highWaterMark)
        let expected = report.lowWaterMark
        for await (const entry of copy.read()) {
          assert.equal(entry.offset, expected++)
          assert.match(entry.data.toString(), /^entry \d+ x{90}$/)
        }
        assert.equal(expected, report.highWaterMark)
        assert.equal(await copy.append('goes on'), report.highWaterMark)
        await copy.close()
      }
      await load.stop()
      await log.close()
      assert.equal((await verifyLog(path)).sound, true)
      for (let round = 0; round < 10; round++) {
        const copy = await Log.open(join(folder, `copy ${round}`), { mode: 'read' })
        assert.equal((await copy.get(copy.highWaterMark - 1))?.data.toString(), 'goes on')
        await copy.close()
      }
      assert.deepEqual(
        readdirSync(folder).filter((name) => name.endsWith('.tmp')),
        [],
      )
      t.diagnostic(`${rolls} sealed segments, ${trims} trimmed logs, ${linked} bytes linked`)
      assert.ok(rolls > 10 && trims > 3 && linked > 0)
    })
  }
})

describe('a roll during a backup', () => {
  it('may cut off the space that was reserved behind the entries', async () => {
    const files = new ForgetfulFiles()
    const log = await openOn(files, { segmentBytes: 300_000 })
    const texts = someTexts(2000)
    await log.appendBatch(texts.slice(0, 1999))
    await log.append(texts[1999]!)
    const store = storesOf(files)[0]!
    const { position, size } = placesOf(files, store).at(-1)!
    // Between the look at its size and the reading of it.
    let isCut = false
    files.writeDelay = async (op) => {
      if (isCut || op.kind !== 'read' || (op.size ?? 0) <= position + size) return
      isCut = true
      const file = files.openSync(`${FOLDER}/${store}`, 'write')
      file.truncateSync(position + size)
      file.closeSync()
    }
    const { highWaterMark } = await log.backup(TO)
    assert.equal(highWaterMark, texts.length)
    assert.ok(isCut)
    assert.deepEqual(await copiedTexts(files), texts)
    await log.close()
  })
})

describe('a backup and what lies around the log', () => {
  it('cannot lie in the log, by whatever name', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'tidemark-backup-'))
    t.after(() => rmSync(folder, { recursive: true, force: true }))
    const path = join(folder, 'log')
    const log = await Log.open(path)
    await log.append('one')
    await log.close()
    symlinkSync('log', join(folder, 'link'))
    for (const [from, to] of [
      [path, 'link/bk'],
      [path, 'link/cursors/bk'],
      [join(folder, 'link'), 'log/bk'],
    ]) {
      await assertCode('INVALID_ARGUMENT', backupLog(from!, join(folder, to!)))
    }
  })

  it('takes cursors, and not the locks of those who hold them', async () => {
    const files = await someLog()
    const log = await openOn(files, SMALL)
    const cursor = await log.cursor('billing')
    await cursor.commit(3)
    await log.backup(TO)
    assert.deepEqual(files.listSync(`${TO}/cursors`), ['billing.cursor'])
    const copy = await openCopy(files)
    const [info] = await copy.cursors.list()
    assert.deepEqual([info?.position, info?.isHeld], [4, false])
    await copy.close()
    await log.close()
  })
})
