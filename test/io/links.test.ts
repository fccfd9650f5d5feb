// A file with two names, on the real file system and on the one that forgets.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { describe, it, type TestContext } from 'node:test'
import { type Files, nodeFiles } from '#dist/io/index.js'
import { cloneAll, extremeImages, ForgetfulFiles } from '#dist/simulation/index.js'

function put(files: Files, path: string, text: string): void {
  const isThere = files.existsSync(path)
  const file = files.openSync(path, isThere ? 'write' : 'create')
  file.writeSync(Buffer.from(text), 0)
  file.datasyncSync()
  file.closeSync()
}

function read(files: Files, path: string): string | undefined {
  if (!files.existsSync(path)) return undefined
  const file = files.openSync(path, 'read')
  const bytes = Buffer.alloc(file.sizeSync())
  file.readSync(bytes, 0)
  file.closeSync()
  return bytes.toString()
}

function realFolder(t: TestContext): string {
  const folder = mkdtempSync(`${tmpdir()}/tidemark-links-`)
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

for (const [what, make] of [
  ['of this machine', () => nodeFiles],
  ['that forgets', () => new ForgetfulFiles()],
] as const) {
  describe(`a link on the file system ${what}`, () => {
    const setUp = (t: TestContext) => {
      const files: Files = make()
      const folder = files === nodeFiles ? realFolder(t) : ''
      files.makeFolderSync(`${folder}/a`)
      files.makeFolderSync(`${folder}/b`)
      put(files, `${folder}/a/f`, 'one')
      return { files, folder }
    }

    it('is one file under two names', (t) => {
      const { files, folder } = setUp(t)
      files.linkSync(`${folder}/a/f`, `${folder}/b/g`)
      put(files, `${folder}/a/f`, 'two')
      assert.equal(read(files, `${folder}/b/g`), 'two')
      files.removeSync(`${folder}/a/f`)
      assert.equal(read(files, `${folder}/a/f`), undefined)
      assert.equal(read(files, `${folder}/b/g`), 'two')
    })

    it('takes no name that is taken, and needs a file', (t) => {
      const { files, folder } = setUp(t)
      put(files, `${folder}/b/g`, 'other')
      assert.throws(() => files.linkSync(`${folder}/a/f`, `${folder}/b/g`), { code: 'EEXIST' })
      assert.throws(() => files.linkSync(`${folder}/a/no`, `${folder}/b/h`), { code: 'ENOENT' })
      assert.throws(() => files.linkSync(`${folder}/a/f`, `${folder}/no/h`), { code: 'ENOENT' })
      assert.equal(read(files, `${folder}/b/g`), 'other')
    })

    it('removes a folder only if it is empty', (t) => {
      const { files, folder } = setUp(t)
      assert.throws(() => files.removeFolderSync(`${folder}/a`), { code: 'ENOTEMPTY' })
      assert.throws(() => files.removeFolderSync(`${folder}/no`), { code: 'ENOENT' })
      files.removeFolderSync(`${folder}/b`)
      assert.equal(files.existsSync(`${folder}/b`), false)
    })
  })
}

describe('a crash, and a file with two names', () => {
  const setUp = () => {
    const files = new ForgetfulFiles()
    files.makeFolderSync('a')
    files.makeFolderSync('b')
    put(files, 'a/f', 'one')
    for (const folder of ['a', 'b', '/']) files.syncDirectorySync(folder)
    return files
  }
  const states = (files: ForgetfulFiles) =>
    new Set(
      extremeImages(files).map(({ files: image }) => {
        return `${read(image, 'a/f') ?? '-'} ${read(image, 'b/g') ?? '-'}`
      }),
    )

  it('saves the second name with a sync of its own folder, and no other', () => {
    const files = setUp()
    files.linkSync('a/f', 'b/g')
    files.removeSync('a/f')
    // The name that was removed is gone for good, and the other may be lost: and with it the file.
    files.syncDirectorySync('a')
    assert.deepEqual(states(files), new Set(['- one', '- -']))
    files.syncDirectorySync('b')
    assert.deepEqual(states(files), new Set(['- one']))
  })

  it('may keep a removed name where the second one was saved', () => {
    const files = setUp()
    files.linkSync('a/f', 'b/g')
    files.removeSync('a/f')
    files.syncDirectorySync('b')
    assert.deepEqual(states(files), new Set(['- one', 'one one']))
  })

  it('leaves one file, not two', () => {
    const files = setUp()
    files.linkSync('a/f', 'b/g')
    files.syncDirectorySync('b')
    for (const image of [cloneAll(files), ...extremeImages(files).map((each) => each.files)]) {
      put(image, 'a/f', 'two')
      assert.equal(read(image, 'b/g'), 'two')
    }
  })
})
