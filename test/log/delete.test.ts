// A deletion takes what is the log's and nothing else, and never leaves what looks like another log.
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { backupLog, deleteLog, FolderLock, inspectLog, Log, repairLog, verifyLog } from 'tidemark'
import { crashImage, ForgetfulFiles, seededRandom } from 'tidemark/testing'
import {
  assertCode,
  FOLDER,
  openOn,
  readFile,
  someTexts,
  storesOf,
  textsOf,
  using,
  writeFile,
} from './fixtures.ts'

const SMALL = { segmentBytes: 600 }

/** A log with everything that a folder can hold. */
async function richLog(): Promise<ForgetfulFiles> {
  const files = new ForgetfulFiles()
  await using(files, SMALL, async (log) => {
    for (const text of someTexts(50)) await log.append(text)
    await log.snapshots.write(20, [Buffer.from('state')])
    await log.cursor('billing')
    await log.trim(20)
  })
  const bytes = readFile(files, storesOf(files)[1]!)
  bytes[104]! ^= 1
  writeFile(files, storesOf(files)[1]!, bytes)
  await repairLog(FOLDER, { files, skip: true })
  files.openSync(`${FOLDER}/cursors/billing.cursor.tmp`, 'create').closeSync()
  files.openSync(`${FOLDER}/meta.tmp`, 'create').closeSync()
  for (const folder of [FOLDER, `${FOLDER}/cursors`, '/']) files.syncDirectorySync(folder)
  return files
}

describe('the deletion of a log', () => {
  it('removes all that is its own, and the folder', async () => {
    const files = await richLog()
    await backupLog(FOLDER, '/copy', { files })
    const { removed, left } = await deleteLog(FOLDER, { files })
    assert.ok(removed > 10)
    assert.deepEqual(left, [])
    assert.deepEqual(files.listSync('/'), ['copy'])
    assert.equal((await verifyLog('/copy', { files })).sound, true)
  })

  it('works on the files of this machine', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'tidemark-delete-'))
    t.after(() => rmSync(folder, { recursive: true, force: true }))
    const path = join(folder, 'log')
    const log = await Log.open(path)
    await log.append('one')
    await assertCode('LOCKED', deleteLog(path))
    await log.close()
    await deleteLog(path)
    assert.deepEqual(readdirSync(folder), [])
    writeFileSync(join(folder, 'mine'), '')
    await assertCode('NOT_FOUND', deleteLog(folder))
    assert.deepEqual(readdirSync(folder), ['mine'])
  })

  it('leaves what is not its own, and says so', async () => {
    const files = await richLog()
    for (const name of ['notes.txt', 'snapshots/mine', '7.store', 'my.tmp', 'my.broken']) {
      files.openSync(`${FOLDER}/${name}`, 'create').closeSync()
    }
    const { left } = await deleteLog(FOLDER, { files })
    assert.deepEqual(left, ['7.store', 'my.broken', 'my.tmp', 'notes.txt', 'snapshots'])
    assert.deepEqual(files.listSync(`${FOLDER}/snapshots`), ['mine'])
    await assertCode('NOT_FOUND', deleteLog(FOLDER, { files }))
    const log = await openOn(files)
    assert.equal(await log.append('a new log'), 0)
    await log.close()
  })

  it('goes by the names of files where somebody knows that there was a log', async () => {
    const files = await richLog()
    for (const name of files.listSync(FOLDER)) {
      if (!['meta', 'snapshots', 'cursors'].includes(name)) files.removeSync(`${FOLDER}/${name}`)
    }
    writeFile(files, 'meta', Buffer.from('nothing'))
    files.openSync(`${FOLDER}/notes.txt`, 'create').closeSync()
    await assertCode('NOT_FOUND', deleteLog(FOLDER, { files }))
    const { left } = await deleteLog(FOLDER, { files, unrecognized: true })
    assert.deepEqual(left, ['notes.txt'])
    const log = await openOn(files)
    assert.equal(await log.append('a new log'), 0)
    await log.close()
  })

  it('is refused while somebody writes, or holds the lock of the data folder', async () => {
    const files = await richLog()
    const log = await openOn(files)
    await assertCode('LOCKED', deleteLog(FOLDER, { files }))
    await log.close()
    files.makeFolderSync('/data')
    files.renameSync(FOLDER, '/data/log')
    const lock = await FolderLock.acquire('/data', { files })
    await assertCode('LOCKED', deleteLog('/data/log', { files }))
    await deleteLog('/data/log', { files, lock })
    lock.release()
    assert.deepEqual(files.listSync('/data'), ['lock'])
  })

  it('that is interrupted is a whole log, or goes on, or is done', async (t) => {
    const files = await richLog()
    const whole = await using(files, SMALL, (log) => textsOf(log))
    for (const name of files.listSync(FOLDER)) {
      if (name === 'snapshots' || name === 'cursors') continue
      const file = files.openSync(`${FOLDER}/${name}`, 'write')
      file.datasyncSync()
      file.closeSync()
    }
    files.syncDirectorySync(FOLDER)
    const random = seededRandom(5)
    const images: ForgetfulFiles[] = []
    files.onOperation = () => {
      for (let i = 0; i < 8; i++) images.push(crashImage(files, random).files)
    }
    await deleteLog(FOLDER, { files })
    files.onOperation = undefined
    const seen = { whole: 0, unfinished: 0, gone: 0 }
    for (const image of images) {
      const names = image.existsSync(FOLDER) ? image.listSync(FOLDER) : []
      if (names.includes('deletion')) {
        seen.unfinished++
        const before = names.join()
        for (const mode of ['append', 'read'] as const) {
          await assertCode('NOT_FOUND', openOn(image, { mode }))
        }
        await assertCode('NOT_FOUND', verifyLog(FOLDER, { files: image }))
        await assertCode('NOT_FOUND', inspectLog(FOLDER, { files: image }))
        assert.deepEqual(
          image
            .listSync(FOLDER)
            .filter((name) => name !== 'lock')
            .join(),
          before.replace('lock,', ''),
        )
        await deleteLog(FOLDER, { files: image })
        assert.equal(image.existsSync(FOLDER), false)
      } else if (names.some((name) => name.endsWith('.store'))) {
        seen.whole++
        assert.deepEqual(await using(image, SMALL, (log) => textsOf(log)), whole)
      } else {
        seen.gone++
        assert.deepEqual(
          names.filter((name) => name !== 'lock'),
          [],
        )
      }
    }
    t.diagnostic(JSON.stringify(seen))
    assert.ok(seen.whole > 3 && seen.unfinished > 50 && seen.gone > 3)
  })
})

describe('what a deletion leaves alone', () => {
  it('is what others have put beside the log, in it, and among its cursors', async () => {
    const files = await richLog()
    files.openSync(`${FOLDER}/notes.txt`, 'create').closeSync()
    files.openSync(`${FOLDER}/cursors/MY-NOTES.txt`, 'create').closeSync()
    for (const folder of ['cursors/sub', 'cursors/x.cursor', 'meta.broken']) {
      files.makeFolderSync(`${FOLDER}/${folder}`)
    }
    const { left } = await deleteLog(FOLDER, { files })
    assert.deepEqual(left, ['cursors', 'meta.broken', 'notes.txt'])
    assert.deepEqual(files.listSync(FOLDER).sort(), left)
    assert.deepEqual(files.listSync(`${FOLDER}/cursors`).sort(), [
      'MY-NOTES.txt',
      'sub',
      'x.cursor',
    ])
    await assertCode('NOT_FOUND', deleteLog(FOLDER, { files }))
  })

  it('is a folder of which only the names look like those of a log', async () => {
    const files = new ForgetfulFiles()
    files.makeFolderSync('/mine/cursors')
    for (const name of ['meta', 'marks', 'repair', 'deletion', 'cursors/a.cursor']) {
      const file = files.openSync(`/mine/${name}`, 'create')
      file.writeSync(Buffer.from('my own notes'), 0)
      file.closeSync()
    }
    await assertCode('NOT_FOUND', deleteLog('/mine', { files }))
    assert.equal(files.listSync('/mine').length, 5)
  })

  it('is the lock, until nothing else of the log is there: it is held to the end', async () => {
    const files = await richLog()
    let seen = 0
    files.onOperation = (op) => {
      if (op.kind !== 'remove' || op.path !== `${FOLDER}/lock`) return
      seen++
      assert.ok(files.lockHolderSync(op.path), 'the lock was given back before it was removed')
      assert.deepEqual(files.listSync(FOLDER), ['lock'])
    }
    await deleteLog(FOLDER, { files })
    assert.equal(seen, 1)
  })

  it('is a link that leads to the log', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'tidemark-delete-'))
    t.after(() => rmSync(folder, { recursive: true, force: true }))
    const log = await Log.open(join(folder, 'log'))
    await log.close()
    symlinkSync('log', join(folder, 'link'))
    assert.equal((await deleteLog(join(folder, 'link'))).folder, join(realpathSync(folder), 'log'))
    assert.deepEqual(readdirSync(folder), ['link'])
  })

  it('is a log under a lock that does not cover it, or no longer', async () => {
    const files = await richLog()
    const elsewhere = await FolderLock.acquire('/elsewhere', { files })
    const options = { files, lock: elsewhere }
    await assertCode('INVALID_ARGUMENT', deleteLog(FOLDER, options))
    await assertCode('INVALID_ARGUMENT', repairLog(FOLDER, options))
    elsewhere.release()
    const released = await FolderLock.acquire('/', { files })
    released.release()
    await assertCode('INVALID_ARGUMENT', deleteLog(FOLDER, { files, lock: released }))
    assert.equal((await verifyLog(FOLDER, { files })).sound, true)
  })
})
