import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type Random, seededRandom } from '#dist/io/index.js'
import { crashImage, extremeImages, ForgetfulFiles } from '#dist/simulation/index.js'
import { bytes, gate, named, textOf, worstCase } from './contents.ts'

describe('ForgetfulFiles: files', () => {
  it('reads what was written, with zeros in the gaps', () => {
    const files = new ForgetfulFiles()
    const file = files.openSync('/a', 'create')
    file.writeSync(bytes('abc'), 4)
    file.writeSync(bytes('xy'), 0)
    assert.equal(textOf(files, '/a'), 'xy..abc')
    file.truncateSync(5)
    file.truncateSync(9)
    assert.equal(textOf(files, '/a'), 'xy..a....')
    assert.equal(file.sizeSync(), 9)
  })

  it('reads short only at the end of the file', () => {
    const files = new ForgetfulFiles()
    const file = files.openSync('a', 'create')
    file.writeSync(bytes('hello'), 0)
    const buffer = new Uint8Array(4).fill(1)
    assert.equal(file.readSync(buffer, 3), 2)
    assert.deepEqual([...buffer], [...bytes('lo'), 1, 1])
    assert.equal(file.readSync(buffer, 5), 0)
    assert.equal(file.readSync(buffer, 500), 0)
  })

  it('copies what it is given, also from a Buffer, whose slices share its memory', () => {
    for (const buffer of [bytes('one'), Buffer.from('one')]) {
      const files = new ForgetfulFiles()
      const file = files.openSync('a', 'create')
      file.writeSync(buffer, 0)
      buffer.set(bytes('two'))
      file.datasyncSync()
      files.syncDirectorySync('/')
      assert.equal(textOf(files, 'a'), 'one')
      assert.equal(textOf(worstCase(files), 'a'), 'one')
    }
  })

  it('opens as the mode says', () => {
    const files = new ForgetfulFiles()
    assert.throws(() => files.openSync('a', 'read'), { code: 'ENOENT' })
    assert.throws(() => files.openSync('a', 'write'), { code: 'ENOENT' })
    files.openSync('a', 'create').writeSync(bytes('x'), 0)
    assert.throws(() => files.openSync('a', 'create'), {
      code: 'EEXIST',
      path: 'a',
      syscall: 'open',
    })
    const reader = files.openSync('a', 'read')
    assert.throws(() => reader.writeSync(bytes('y'), 0), { code: 'EBADF' })
    assert.throws(() => reader.truncateSync(0), { code: 'EBADF' })
    files.openSync('a', 'write').writeSync(bytes('y'), 0)
    assert.equal(textOf(files, 'a'), 'y')
  })

  it('refuses a closed file and impossible positions', async () => {
    const files = new ForgetfulFiles()
    const file = files.openSync('a', 'create')
    assert.throws(() => file.writeSync(bytes('y'), -1), { code: 'EINVAL' })
    assert.throws(() => file.readSync(bytes('y'), Number.NaN), { code: 'EINVAL' })
    assert.throws(() => file.truncateSync(1.5), { code: 'EINVAL' })
    file.closeSync()
    const closed = { code: 'EBADF' }
    assert.throws(() => file.writeSync(bytes('y'), 0), closed)
    assert.throws(() => file.readSync(bytes('y'), 0), closed)
    assert.throws(() => file.truncateSync(0), closed)
    assert.throws(() => file.datasyncSync(), closed)
    assert.throws(() => file.sizeSync(), closed)
    assert.throws(() => file.closeSync(), closed)
    await assert.rejects(file.write(bytes('y'), 0), closed)
    await assert.rejects(file.read(bytes('y'), 0), closed)
    await assert.rejects(file.datasync(), closed)
  })

  it('keeps a file that is open when its name goes', () => {
    const files = new ForgetfulFiles()
    const file = files.openSync('a', 'create')
    file.writeSync(bytes('kept'), 0)
    files.removeSync('a')
    assert.equal(files.existsSync('a'), false)
    files.openSync('a', 'create').writeSync(bytes('new'), 0)
    const buffer = new Uint8Array(4)
    file.readSync(buffer, 0)
    assert.equal(new TextDecoder().decode(buffer), 'kept')
    assert.equal(textOf(files, 'a'), 'new')
  })
})

describe('ForgetfulFiles: names', () => {
  it('takes POSIX paths, relative ones from the root', () => {
    const files = new ForgetfulFiles()
    assert.equal(files.makeFolderSync('./logs//orders/'), '/logs')
    assert.equal(files.makeFolderSync('/logs/orders'), undefined)
    assert.equal(files.makeFolderSync('/logs/orders/a/b'), '/logs/orders/a')
    files.openSync('logs/x/../orders/./f', 'create')
    assert.deepEqual(files.listSync('/logs/orders').sort(), ['a', 'f'])
    assert.deepEqual(files.listSync('/'), ['logs'])
    assert.equal(files.existsSync('/'), true)
    assert.equal(files.existsSync('/logs/orders/f'), true)
    assert.equal(files.existsSync('/logs/orders/f/g'), false)
  })

  it('fails as an operating system does', async () => {
    const files = new ForgetfulFiles()
    files.makeFolderSync('d')
    files.openSync('f', 'create')
    assert.throws(() => files.openSync('d', 'read'), { code: 'EISDIR' })
    assert.throws(() => files.openSync('no/f', 'create'), { code: 'ENOENT' })
    assert.throws(() => files.openSync('f/g', 'create'), { code: 'ENOTDIR' })
    assert.throws(() => files.openSync('/', 'create'), { code: 'EISDIR' })
    assert.throws(() => files.listSync('no'), { code: 'ENOENT' })
    assert.throws(() => files.listSync('f'), { code: 'ENOTDIR' })
    assert.throws(() => files.makeFolderSync('f/g'), { code: 'ENOTDIR' })
    assert.throws(() => files.removeSync('no'), { code: 'ENOENT' })
    assert.throws(() => files.removeSync('d'), { code: 'EISDIR' })
    assert.throws(() => files.syncDirectorySync('no'), { code: 'ENOENT' })
    await assert.rejects(files.syncDirectory('f'), { code: 'ENOTDIR' })
  })

  it('renames files and folders in one step', () => {
    const files = new ForgetfulFiles()
    files.makeFolderSync('d/e')
    files.openSync('d/e/f', 'create').writeSync(bytes('f'), 0)
    files.openSync('g', 'create').writeSync(bytes('g'), 0)
    files.renameSync('g', 'd/e/f')
    assert.equal(textOf(files, 'd/e/f'), 'g')
    assert.equal(files.existsSync('g'), false)
    files.renameSync('d/e', 'h')
    assert.equal(textOf(files, 'h/f'), 'g')
    files.renameSync('h/f', 'h/f')
    assert.equal(textOf(files, 'h/f'), 'g')
    assert.throws(() => files.renameSync('no', 'x'), { code: 'ENOENT' })
    assert.throws(() => files.renameSync('h/f', 'no/f'), { code: 'ENOENT' })
    assert.throws(() => files.renameSync('h/f', 'd'), { code: 'EISDIR' })
    assert.throws(() => files.renameSync('d', 'h/f'), { code: 'ENOTDIR' })
    assert.throws(() => files.renameSync('d', 'h'), { code: 'ENOTEMPTY' })
    assert.throws(() => files.renameSync('h', 'h/below'), { code: 'EINVAL' })
  })

  it('lets a lock be held once, and creates its file', () => {
    const files = new ForgetfulFiles({ pid: 4711 })
    assert.equal(files.lockHolderSync('d/lock'), undefined)
    assert.throws(() => files.lockSync('d/lock'), { code: 'ENOENT' })
    files.makeFolderSync('d')
    const lock = files.lockSync('d/lock')
    assert.equal(files.existsSync('d/lock'), true)
    assert.equal(files.lockHolderSync('/d/lock')?.pid, 4711)
    assert.throws(() => files.lockSync('/d/./lock'), {
      name: 'TidemarkError',
      code: 'LOCKED',
      message: '/d/lock is locked by process 4711',
      details: { pid: 4711 },
    })
    lock.releaseSync()
    assert.equal(files.lockHolderSync('d/lock'), undefined)
    const second = files.lockSync('d/lock')
    lock.releaseSync()
    assert.equal(files.lockHolderSync('d/lock')?.pid, 4711)
    second.releaseSync()
  })
})

describe('ForgetfulFiles: durability', () => {
  it('forgets bytes, lengths and names that were not synced, each on its own', () => {
    const files = new ForgetfulFiles()
    const a = named(files, 'a', 'unsynced')
    assert.deepEqual(files.unsynced(), ['/a'])
    assert.equal(textOf(worstCase(files), 'a'), '')
    a.datasyncSync()
    assert.deepEqual(files.unsynced(), [])
    const b = files.openSync('b', 'create')
    b.writeSync(bytes('synced'), 0)
    b.datasyncSync()
    assert.deepEqual(files.unsynced(), ['/'])
    assert.deepEqual(worstCase(files).listSync('/'), ['a'])
    files.syncDirectorySync('/')
    assert.equal(textOf(worstCase(files), 'b'), 'synced')
    b.truncateSync(2)
    assert.equal(textOf(worstCase(files), 'b'), 'synced')
    b.datasyncSync()
    assert.equal(textOf(worstCase(files), 'b'), 'sy')
  })

  it('forgets folders with all that is in them', () => {
    const files = new ForgetfulFiles()
    files.makeFolderSync('/d/e')
    const file = files.openSync('/d/e/f', 'create')
    file.writeSync(bytes('f'), 0)
    file.datasyncSync()
    files.syncDirectorySync('/d/e')
    files.syncDirectorySync('/d')
    assert.deepEqual(worstCase(files).listSync('/'), [])
    files.syncDirectorySync('/')
    assert.equal(textOf(worstCase(files), '/d/e/f'), 'f')
  })

  it('brings back a file whose removal, and a name whose replacement, was not synced', () => {
    const files = new ForgetfulFiles()
    const a = named(files, 'a', 'old a')
    a.datasyncSync()
    named(files, 'b', 'b').datasyncSync()
    files.renameSync('b', 'a')
    const crashed = worstCase(files)
    assert.equal(textOf(crashed, 'a'), 'old a')
    assert.equal(textOf(crashed, 'b'), 'b')
    files.removeSync('a')
    assert.deepEqual(worstCase(files).listSync('/'), ['a', 'b'])
    files.syncDirectorySync('/')
    assert.deepEqual(worstCase(files).listSync('/'), [])
  })

  it('saves a rename between folders by syncing either', () => {
    for (const synced of ['/from', '/to']) {
      const files = new ForgetfulFiles()
      files.makeFolderSync('/from')
      files.makeFolderSync('/to')
      files.syncDirectorySync('/')
      files.openSync('/from/x', 'create')
      files.renameSync('/from/x', '/from/y')
      files.renameSync('/from/y', '/to/z')
      assert.deepEqual(worstCase(files).listSync('/from'), [])
      files.syncDirectorySync(synced)
      for (const { files: crashed } of extremeImages(files)) {
        assert.deepEqual(crashed.listSync('/from'), [])
        assert.deepEqual(crashed.listSync('/to'), ['z'])
      }
    }
  })

  it('saves with an asynchronous datasync what was written before the call, once it completes', async () => {
    const { delay, open } = gate()
    const files = new ForgetfulFiles({ syncDelay: delay })
    const file = named(files, 'a', 'before')
    const synced = file.datasync()
    file.writeSync(bytes('AFTER'), 6)
    file.truncateSync(20)
    assert.equal(textOf(worstCase(files), 'a'), '')
    open()
    await synced
    assert.equal(textOf(worstCase(files), 'a'), 'before')
    assert.equal(textOf(files, 'a'), 'beforeAFTER.........')
    file.datasyncSync()
    assert.equal(textOf(worstCase(files), 'a'), 'beforeAFTER.........')
  })

  it('lets a blocking datasync overtake an asynchronous one', async () => {
    const { delay, open } = gate()
    const files = new ForgetfulFiles({ syncDelay: delay })
    const file = named(files, 'a', 'one')
    const synced = file.datasync()
    file.writeSync(bytes('two'), 3)
    file.datasyncSync()
    assert.equal(textOf(worstCase(files), 'a'), 'onetwo')
    file.writeSync(bytes('six'), 0)
    open()
    await synced
    assert.equal(textOf(worstCase(files), 'a'), 'onetwo')
  })

  it('saves with an asynchronous directory sync the names from before the call', async () => {
    const { delay, open } = gate()
    const files = new ForgetfulFiles({ syncDelay: delay })
    files.openSync('a', 'create')
    const synced = files.syncDirectory('/')
    files.openSync('b', 'create')
    assert.deepEqual(worstCase(files).listSync('/'), [])
    open()
    await synced
    assert.deepEqual(worstCase(files).listSync('/'), ['a'])
  })

  it('lets an asynchronous write take effect only when it completes', async () => {
    const files = new ForgetfulFiles()
    const file = named(files, 'a')
    const buffer = bytes('one')
    const written = file.write(buffer, 0)
    file.datasyncSync()
    assert.equal(textOf(files, 'a'), '')
    buffer.set(bytes('two'))
    await written
    assert.equal(textOf(files, 'a'), 'two')
    assert.equal(textOf(worstCase(files), 'a'), '')
    const read = new Uint8Array(3)
    assert.equal(await file.read(read, 0), 3)
    assert.deepEqual(read, bytes('two'))
  })

  it('fails an asynchronous operation whose file is closed meanwhile, without effect', async () => {
    const files = new ForgetfulFiles()
    const file = named(files, 'a', 'text')
    const results = [file.write(bytes('more'), 4), file.datasync(), file.read(new Uint8Array(1), 0)]
    file.closeSync()
    for (const result of results) await assert.rejects(result, { code: 'EBADF' })
    assert.equal(textOf(files, 'a'), 'text')
    assert.equal(textOf(worstCase(files), 'a'), '')
  })
})

// A file system that knows nothing of crashes, to compare with.
class PlainFiles {
  readonly contents = new Map<string, Uint8Array>()

  write(path: string, data: Uint8Array, position: number): void {
    const old = this.contents.get(path)!
    const grown = new Uint8Array(Math.max(old.length, position + data.length))
    grown.set(old)
    grown.set(data, position)
    this.contents.set(path, grown)
  }

  truncate(path: string, size: number): void {
    const cut = new Uint8Array(size)
    cut.set(this.contents.get(path)!.subarray(0, size))
    this.contents.set(path, cut)
  }

  rename(from: string, to: string): void {
    const content = this.contents.get(from)!
    this.contents.delete(from)
    this.contents.set(to, content)
  }
}

function everything(files: ForgetfulFiles): Map<string, string> {
  return new Map(
    files
      .listSync('/')
      .sort()
      .map((name) => [name, textOf(files, name)]),
  )
}

function plainly(plain: PlainFiles): Map<string, string> {
  const text = (data: Uint8Array) => new TextDecoder().decode(data).replaceAll('\0', '.')
  return new Map([...plain.contents].sort().map(([name, data]) => [name, text(data)]))
}

/** One random operation on both; returns true if everything was synced by it. */
function randomStep(files: ForgetfulFiles, plain: PlainFiles, random: Random): boolean {
  const below = (bound: number) => random.uint32() % bound
  const name = `f${below(3)}`
  const there = plain.contents.has(name)
  const kind = below(12)
  if (!there) {
    files.openSync(name, 'create').closeSync()
    plain.contents.set(name, new Uint8Array(0))
    return false
  }
  if (kind === 0) {
    files.removeSync(name)
    plain.contents.delete(name)
    return false
  }
  if (kind === 1) {
    const to = `f${below(3)}`
    files.renameSync(name, to)
    plain.rename(name, to)
    return false
  }
  if (kind === 2) {
    for (const each of plain.contents.keys()) files.openSync(each, 'write').datasyncSync()
    files.syncDirectorySync('/')
    return true
  }
  const file = files.openSync(name, 'write')
  if (kind === 3) file.datasyncSync()
  else if (kind === 4) {
    const size = below(1500)
    file.truncateSync(size)
    plain.truncate(name, size)
  } else {
    const data = new Uint8Array(below(700)).fill(97 + below(26))
    const position = below(1200)
    file.writeSync(data, position)
    if (data.length > 0) plain.write(name, data, position)
  }
  return false
}

describe('ForgetfulFiles: random operations', () => {
  it('reads as a plain file system does, and loses nothing that was synced', () => {
    let synced = 0
    for (let seed = 0; seed < 60; seed++) {
      const random = seededRandom(seed)
      const files = new ForgetfulFiles()
      const plain = new PlainFiles()
      for (let step = 0; step < 60; step++) {
        const safe = randomStep(files, plain, random)
        assert.deepEqual(everything(files), plainly(plain))
        const images = [...extremeImages(files, 20), crashImage(files, random)]
        const kept = images.filter((image) => image.kind === 'all kept')
        for (const image of kept) assert.deepEqual(everything(image.files), plainly(plain))
        if (!safe) continue
        synced++
        assert.deepEqual(files.unsynced(), [])
        for (const image of images) {
          assert.equal(image.kind, 'nothing unsynced')
          assert.deepEqual(everything(image.files), plainly(plain))
        }
      }
    }
    assert.ok(synced > 100, `only ${synced} states were synced`)
  })
})
