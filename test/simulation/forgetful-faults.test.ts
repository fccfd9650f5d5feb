import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { errnoError, extremeImages, type FileOp, ForgetfulFiles } from '#dist/simulation/index.js'
import { bytes, gate, named, textOf, worstCase } from './contents.ts'

const enospc = { code: 'ENOSPC' }
const eio = { code: 'EIO' }

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
    assert.equal(textOf(files, 'a'), 'text')
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
    assert.equal(textOf(files, 'a'), 'ab')
    await assert.rejects(file.write(bytes('xyz'), 2), enospc)
    assert.equal(textOf(files, 'a'), 'abxy')
    files.fault = () => ({ short: 99, error: errnoError('EIO', 'write', 'a') })
    assert.throws(() => file.writeSync(bytes('123'), 0), eio)
    files.fault = undefined
    assert.equal(textOf(files, 'a'), '123y')
  })

  it('runs out of space, and goes on when some is free again', () => {
    const files = new ForgetfulFiles({ capacityBytes: 10 })
    const a = files.openSync('a', 'create')
    const b = files.openSync('b', 'create')
    a.writeSync(bytes('123456'), 0)
    b.truncateSync(100)
    assert.throws(() => b.writeSync(bytes('abcdef'), 0), enospc)
    assert.equal(textOf(files, 'b').slice(0, 6), 'abcd..')
    assert.throws(() => b.writeSync(bytes('x'), 4), enospc)
    a.writeSync(bytes('654321'), 0)
    assert.throws(() => a.writeSync(bytes('4321+'), 2), enospc)
    assert.equal(textOf(files, 'a'), '654321')
    a.truncateSync(4)
    b.writeSync(bytes('ef'), 4)
    assert.throws(() => b.writeSync(bytes('g'), 6), enospc)
    files.capacityBytes = 11
    b.writeSync(bytes('g'), 6)
    assert.throws(() => b.writeSync(bytes('h'), 7), enospc)
    files.removeSync('a')
    b.writeSync(bytes('h'), 7)
    assert.equal(textOf(files, 'b').slice(0, 9), 'abcdefgh.')
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
      assert.equal(textOf(files, 'a'), 'safeDOOMEDlater')
      const left = new Set(extremeImages(files).map((image) => textOf(image.files, 'a')))
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
    assert.equal(textOf(worstCase(files), 'a'), 'abc')
    file.writeSync(bytes('e'), 4)
    file.datasyncSync()
    assert.equal(textOf(worstCase(files), 'a'), 'abc.e')
    file.writeSync(bytes('def'), 3)
    assert.equal(textOf(worstCase(files), 'a'), 'abc.e')
    file.datasyncSync()
    assert.equal(textOf(worstCase(files), 'a'), 'abcdef')
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
    assert.equal(textOf(worstCase(files), 'a'), '')
  })

  it('saves a length after a datasync failed: only pages count as clean', () => {
    const files = new ForgetfulFiles()
    const file = named(files, 'a', 'abcdef')
    file.datasyncSync()
    file.truncateSync(3)
    fail(files, 'datasync')
    assert.throws(() => file.datasyncSync(), eio)
    files.fault = undefined
    assert.equal(textOf(worstCase(files), 'a'), 'abcdef')
    file.datasyncSync()
    assert.equal(textOf(worstCase(files), 'a'), 'abc')
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
    assert.equal(textOf(worstCase(files), 'a'), '...two')
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
    assert.equal(textOf(worstCase(files), 'a'), '')
    second.datasyncSync()
    assert.equal(textOf(worstCase(files), 'a'), '....more')
  })
})

describe('ForgetfulFiles: hooks', () => {
  it('tells of each operation before it takes effect, of asynchronous ones twice', async () => {
    const files = new ForgetfulFiles({ trace: true })
    const seen: string[] = []
    files.onOperation = (op, index) => {
      const there = files.existsSync('a') ? textOf(files, 'a') : 'none'
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
      const left = extremeImages(files).map((image) => textOf(image.files, 'a'))
      sizes.push(left.sort())
    }
    await file.datasync()
    assert.deepEqual(sizes, [
      ['', '....', 'text'],
      ['', '....', 'text'],
    ])
    assert.equal(textOf(worstCase(files), 'a'), 'text')
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
