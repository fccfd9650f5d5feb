import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  crashImage,
  errnoError,
  extremeImages,
  type File,
  type FileOp,
  ForgetfulFiles,
  type Random,
  seededRandom,
} from '#dist/io/index.js'

const bytes = (text: string) => new TextEncoder().encode(text)
const enospc = { code: 'ENOSPC' }
const eio = { code: 'EIO' }

function contentOf(files: ForgetfulFiles, path: string): string {
  const file = files.openSync(path, 'read')
  const buffer = new Uint8Array(file.sizeSync())
  assert.equal(file.readSync(buffer, 0), buffer.length)
  file.closeSync()
  return new TextDecoder().decode(buffer).replaceAll('\0', '.')
}

/** What is left when a crash takes all that it can. */
function worstCase(files: ForgetfulFiles): ForgetfulFiles {
  return extremeImages(files)[0]!.files
}

/** A file whose name is durable and whose content is `text`, not synced. */
function named(files: ForgetfulFiles, path: string, text = ''): File {
  const file = files.openSync(path, 'create')
  files.syncDirectorySync('/')
  if (text) file.writeSync(bytes(text), 0)
  return file
}

/** A delay that ends when it is told to. */
function gate(): { delay: () => Promise<void>; open: () => void } {
  let open = () => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { delay: () => opened, open }
}

describe('ForgetfulFiles: files', () => {
  it('reads what was written, with zeros in the gaps', () => {
    const files = new ForgetfulFiles()
    const file = files.openSync('/a', 'create')
    file.writeSync(bytes('abc'), 4)
    file.writeSync(bytes('xy'), 0)
    assert.equal(contentOf(files, '/a'), 'xy..abc')
    file.truncateSync(5)
    file.truncateSync(9)
    assert.equal(contentOf(files, '/a'), 'xy..a....')
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

  it('copies what it is given', () => {
    const files = new ForgetfulFiles()
    const buffer = bytes('one')
    const file = files.openSync('a', 'create')
    file.writeSync(buffer, 0)
    buffer.set(bytes('two'))
    file.datasyncSync()
    files.syncDirectorySync('/')
    assert.equal(contentOf(files, 'a'), 'one')
    assert.equal(contentOf(worstCase(files), 'a'), 'one')
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
    assert.equal(contentOf(files, 'a'), 'y')
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
    assert.equal(contentOf(files, 'a'), 'new')
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
    assert.equal(contentOf(files, 'd/e/f'), 'g')
    assert.equal(files.existsSync('g'), false)
    files.renameSync('d/e', 'h')
    assert.equal(contentOf(files, 'h/f'), 'g')
    files.renameSync('h/f', 'h/f')
    assert.equal(contentOf(files, 'h/f'), 'g')
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
    assert.deepEqual(files.lockHolderSync('/d/lock'), { pid: 4711 })
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
    assert.deepEqual(files.lockHolderSync('d/lock'), { pid: 4711 })
    second.releaseSync()
  })
})

describe('ForgetfulFiles: durability', () => {
  it('forgets bytes, lengths and names that were not synced, each on its own', () => {
    const files = new ForgetfulFiles()
    const a = named(files, 'a', 'unsynced')
    assert.deepEqual(files.unsynced(), ['/a'])
    assert.equal(contentOf(worstCase(files), 'a'), '')
    a.datasyncSync()
    assert.deepEqual(files.unsynced(), [])
    const b = files.openSync('b', 'create')
    b.writeSync(bytes('synced'), 0)
    b.datasyncSync()
    assert.deepEqual(files.unsynced(), ['/'])
    assert.deepEqual(worstCase(files).listSync('/'), ['a'])
    files.syncDirectorySync('/')
    assert.equal(contentOf(worstCase(files), 'b'), 'synced')
    b.truncateSync(2)
    assert.equal(contentOf(worstCase(files), 'b'), 'synced')
    b.datasyncSync()
    assert.equal(contentOf(worstCase(files), 'b'), 'sy')
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
    assert.equal(contentOf(worstCase(files), '/d/e/f'), 'f')
  })

  it('brings back a file whose removal, and a name whose replacement, was not synced', () => {
    const files = new ForgetfulFiles()
    const a = named(files, 'a', 'old a')
    a.datasyncSync()
    named(files, 'b', 'b').datasyncSync()
    files.renameSync('b', 'a')
    const crashed = worstCase(files)
    assert.equal(contentOf(crashed, 'a'), 'old a')
    assert.equal(contentOf(crashed, 'b'), 'b')
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
    assert.equal(contentOf(worstCase(files), 'a'), '')
    open()
    await synced
    assert.equal(contentOf(worstCase(files), 'a'), 'before')
    assert.equal(contentOf(files, 'a'), 'beforeAFTER.........')
    file.datasyncSync()
    assert.equal(contentOf(worstCase(files), 'a'), 'beforeAFTER.........')
  })

  it('lets a blocking datasync overtake an asynchronous one', async () => {
    const { delay, open } = gate()
    const files = new ForgetfulFiles({ syncDelay: delay })
    const file = named(files, 'a', 'one')
    const synced = file.datasync()
    file.writeSync(bytes('two'), 3)
    file.datasyncSync()
    assert.equal(contentOf(worstCase(files), 'a'), 'onetwo')
    file.writeSync(bytes('six'), 0)
    open()
    await synced
    assert.equal(contentOf(worstCase(files), 'a'), 'onetwo')
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
    assert.equal(contentOf(files, 'a'), '')
    buffer.set(bytes('two'))
    await written
    assert.equal(contentOf(files, 'a'), 'two')
    assert.equal(contentOf(worstCase(files), 'a'), '')
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
    assert.equal(contentOf(files, 'a'), 'text')
    assert.equal(contentOf(worstCase(files), 'a'), '')
  })
})

describe('ForgetfulFiles: faults', () => {
  const fail = (files: ForgetfulFiles, kind: FileOp['kind'], code = 'EIO') => {
    files.fault = (op) => (op.kind === kind ? errnoError(code, kind, op.path) : undefined)
  }

  it('fails each kind of operation without effect', async () => {
    const files = new ForgetfulFiles()
    files.makeFolderSync('d')
    const file = named(files, 'a', 'text')
    fail(files, 'write')
    assert.throws(() => file.writeSync(bytes('X'), 0), eio)
    await assert.rejects(file.write(bytes('X'), 0), eio)
    fail(files, 'truncate')
    assert.throws(() => file.truncateSync(0), eio)
    fail(files, 'read')
    assert.throws(() => file.readSync(new Uint8Array(1), 0), eio)
    await assert.rejects(file.read(new Uint8Array(1), 0), eio)
    fail(files, 'create', 'ENOSPC')
    assert.throws(() => files.openSync('b', 'create'), enospc)
    assert.throws(() => files.lockSync('b'), enospc)
    assert.equal(files.lockHolderSync('b'), undefined)
    fail(files, 'rename')
    assert.throws(() => files.renameSync('a', 'b'), eio)
    fail(files, 'remove')
    assert.throws(() => files.removeSync('a'), eio)
    fail(files, 'makeFolder')
    assert.throws(() => files.makeFolderSync('e'), eio)
    files.fault = undefined
    assert.equal(contentOf(files, 'a'), 'text')
    assert.deepEqual(files.listSync('/').sort(), ['a', 'd'])
  })

  it('keeps names unsynced when a directory sync fails', async () => {
    const files = new ForgetfulFiles()
    files.openSync('a', 'create')
    fail(files, 'syncDirectory')
    assert.throws(() => files.syncDirectorySync('/'), eio)
    await assert.rejects(files.syncDirectory('/'), eio)
    assert.deepEqual(worstCase(files).listSync('/'), [])
    files.fault = undefined
    files.syncDirectorySync('/')
    assert.deepEqual(worstCase(files).listSync('/'), ['a'])
  })

  it('lets a part of a write land', async () => {
    const files = new ForgetfulFiles()
    const file = named(files, 'a')
    files.fault = (op) => (op.kind === 'write' ? { short: 2 } : undefined)
    assert.throws(() => file.writeSync(bytes('abcd'), 0), enospc)
    assert.equal(contentOf(files, 'a'), 'ab')
    await assert.rejects(file.write(bytes('xyz'), 2), enospc)
    assert.equal(contentOf(files, 'a'), 'abxy')
    files.fault = () => ({ short: 99, error: errnoError('EIO', 'write', 'a') })
    assert.throws(() => file.writeSync(bytes('123'), 0), eio)
    files.fault = undefined
    assert.equal(contentOf(files, 'a'), '123y')
  })

  it('runs out of space, and goes on when some is free again', () => {
    const files = new ForgetfulFiles({ capacityBytes: 10 })
    const a = files.openSync('a', 'create')
    const b = files.openSync('b', 'create')
    a.writeSync(bytes('123456'), 0)
    b.truncateSync(100)
    assert.throws(() => b.writeSync(bytes('abcdef'), 0), enospc)
    assert.equal(contentOf(files, 'b').slice(0, 6), 'abcd..')
    assert.throws(() => b.writeSync(bytes('x'), 4), enospc)
    a.writeSync(bytes('654321'), 0)
    assert.throws(() => a.writeSync(bytes('4321+'), 2), enospc)
    assert.equal(contentOf(files, 'a'), '654321')
    a.truncateSync(4)
    b.writeSync(bytes('ef'), 4)
    assert.throws(() => b.writeSync(bytes('g'), 6), enospc)
    files.capacityBytes = 11
    b.writeSync(bytes('g'), 6)
    assert.throws(() => b.writeSync(bytes('h'), 7), enospc)
    files.removeSync('a')
    b.writeSync(bytes('h'), 7)
    assert.equal(contentOf(files, 'b').slice(0, 9), 'abcdefgh.')
  })

  it('leaves the bytes of a failed datasync readable, and losable for good', async () => {
    for (const form of ['datasync', 'datasyncSync'] as const) {
      const files = new ForgetfulFiles()
      const file = named(files, 'a', 'safe')
      file.datasyncSync()
      file.writeSync(bytes('DOOMED'), 4)
      fail(files, 'datasync')
      await assert.rejects(async () => file[form](), eio)
      files.fault = undefined
      await file[form]()
      assert.deepEqual(files.unsynced(), ['/a'])
      file.writeSync(bytes('later'), 10)
      await file[form]()
      assert.equal(contentOf(files, 'a'), 'safeDOOMEDlater')
      const left = new Set(extremeImages(files).map((image) => contentOf(image.files, 'a')))
      assert.deepEqual([...left].sort(), ['safe......later', 'safeDOOMEDlater'])
    }
  })

  it('heals what a failed datasync left by writing it again, byte by byte', () => {
    const files = new ForgetfulFiles()
    const file = named(files, 'a', 'abcdef')
    fail(files, 'datasync')
    assert.throws(() => file.datasyncSync(), eio)
    files.fault = undefined
    file.writeSync(bytes('abc'), 0)
    file.datasyncSync()
    assert.equal(contentOf(worstCase(files), 'a'), 'abc')
    file.writeSync(bytes('e'), 4)
    file.datasyncSync()
    assert.equal(contentOf(worstCase(files), 'a'), 'abc.e')
    file.writeSync(bytes('def'), 3)
    assert.equal(contentOf(worstCase(files), 'a'), 'abc.e')
    file.datasyncSync()
    assert.equal(contentOf(worstCase(files), 'a'), 'abcdef')
    assert.deepEqual(files.unsynced(), [])
  })

  it('forgets what a failed datasync left when it is cut off', () => {
    const files = new ForgetfulFiles()
    const file = named(files, 'a', 'abcdef')
    fail(files, 'datasync')
    assert.throws(() => file.datasyncSync(), eio)
    files.fault = undefined
    file.truncateSync(0)
    file.datasyncSync()
    assert.deepEqual(files.unsynced(), [])
    assert.equal(contentOf(worstCase(files), 'a'), '')
  })

  it('saves a length after a datasync failed: only pages count as clean', () => {
    const files = new ForgetfulFiles()
    const file = named(files, 'a', 'abcdef')
    file.datasyncSync()
    file.truncateSync(3)
    fail(files, 'datasync')
    assert.throws(() => file.datasyncSync(), eio)
    files.fault = undefined
    assert.equal(contentOf(worstCase(files), 'a'), 'abcdef')
    file.datasyncSync()
    assert.equal(contentOf(worstCase(files), 'a'), 'abc')
  })

  it('dooms only what the failed datasync was to save', async () => {
    const { delay, open } = gate()
    const files = new ForgetfulFiles({ syncDelay: delay })
    const file = named(files, 'a', 'one')
    fail(files, 'datasync')
    const failed = file.datasync()
    file.writeSync(bytes('two'), 3)
    open()
    await assert.rejects(failed, eio)
    files.fault = undefined
    file.datasyncSync()
    assert.equal(contentOf(worstCase(files), 'a'), '...two')
  })

  it('reports a failed datasync once to every file that was open, and to none opened later', () => {
    const files = new ForgetfulFiles()
    const first = named(files, 'a', 'text')
    const second = files.openSync('a', 'write')
    const other = named(files, 'b', 'text')
    fail(files, 'datasync')
    assert.throws(() => first.datasyncSync(), eio)
    files.fault = undefined
    files.openSync('a', 'write').datasyncSync()
    first.datasyncSync()
    other.datasyncSync()
    second.writeSync(bytes('more'), 4)
    assert.throws(() => second.datasyncSync(), eio)
    assert.equal(contentOf(worstCase(files), 'a'), '')
    second.datasyncSync()
    assert.equal(contentOf(worstCase(files), 'a'), '....more')
  })
})

describe('ForgetfulFiles: hooks', () => {
  it('tells of each operation before it takes effect, of asynchronous ones twice', async () => {
    const files = new ForgetfulFiles({ trace: true })
    const seen: string[] = []
    files.onOperation = (op, index) => {
      const there = files.existsSync('a') ? contentOf(files, 'a') : 'none'
      seen.push(`${index} ${op.kind}${op.issued ? ' issued' : ''} ${there}`)
    }
    const file = files.openSync('a', 'create')
    file.writeSync(bytes('x'), 0)
    await file.write(bytes('y'), 1)
    await file.datasync()
    file.datasyncSync()
    file.readSync(new Uint8Array(1), 0)
    file.truncateSync(1)
    await files.syncDirectory('/')
    files.renameSync('a', 'b')
    files.renameSync('b', 'a')
    files.removeSync('a')
    const expected = [
      'create none',
      'write ',
      'write issued x',
      'write x',
      'datasync issued xy',
      'datasync xy',
      'datasync xy',
      'truncate xy',
      'syncDirectory issued x',
      'syncDirectory x',
      'rename x',
      'rename none',
      'remove x',
    ]
    assert.deepEqual(
      seen,
      expected.map((line, index) => `${index} ${line}`),
    )
    assert.equal(files.operations, expected.length)
    assert.deepEqual(files.trace(), [
      'create a',
      'write a @0 +1',
      'write a @1 +1 (issued)',
      'write a @1 +1',
      'datasync a (issued)',
      'datasync a',
      'datasync a',
      'truncate a =1',
      'syncdir / (issued)',
      'syncdir /',
      'rename a -> b',
      'rename b -> a',
      'remove a',
    ])
  })

  it('shows a crash both before and within an asynchronous datasync', async () => {
    const files = new ForgetfulFiles()
    const file = named(files, 'a', 'text')
    const sizes: string[][] = []
    files.onOperation = () => {
      const left = extremeImages(files).map((image) => contentOf(image.files, 'a'))
      sizes.push(left.sort())
    }
    await file.datasync()
    assert.deepEqual(sizes, [
      ['', '....', 'text'],
      ['', '....', 'text'],
    ])
    assert.equal(contentOf(worstCase(files), 'a'), 'text')
  })

  it('names files as they are called now', () => {
    const files = new ForgetfulFiles({ trace: true })
    files.makeFolderSync('logs')
    const file = files.openSync('logs/new.tmp', 'create')
    files.renameSync('logs/new.tmp', 'logs/00000000000000000042-00c0ffee.store')
    file.writeSync(bytes('x'), 64)
    files.renameSync('logs', 'archive')
    file.datasyncSync()
    files.openSync('archive/00000000000000000000-00c0ffee.store', 'create')
    files.fault = (op) => errnoError('EIO', op.kind, op.path)
    assert.throws(() => files.syncDirectorySync('archive'), eio)
    assert.deepEqual(files.trace(), [
      'mkdir logs',
      'create logs/new.tmp',
      'rename logs/new.tmp -> logs/0..42-00c0ffee.store',
      'write logs/0..42-00c0ffee.store @64 +1',
      'rename logs -> archive',
      'datasync archive/0..42-00c0ffee.store',
      'create archive/0..0-00c0ffee.store',
      "syncdir archive: EIO: i/o error, syncDirectory '/archive'",
    ])
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
      .map((name) => [name, contentOf(files, name)]),
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
