import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import fs, { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { nodeFiles } from '#dist/io/node-files.js'

function folderFor(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-files-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

const original: Record<string, unknown> = { ...fs }

/** Replaces functions of node:fs, for everyone, until the test ends. */
function replaceFs(t: TestContext, functions: Record<string, unknown>): void {
  Object.assign(fs, functions)
  syncBuiltinESMExports()
  t.after(() => {
    for (const name of Object.keys(functions)) Object.assign(fs, { [name]: original[name] })
    syncBuiltinESMExports()
  })
}

function failure(code: string): Error {
  return Object.assign(new Error(code), { code })
}

const bytes = (text: string) => new Uint8Array(Buffer.from(text))

describe('a file', () => {
  it('is written and read at any position, in both forms', async (t) => {
    const path = join(folderFor(t), 'file')
    const file = nodeFiles.openSync(path, 'create')
    file.writeSync(bytes('hello'), 0)
    await file.write(bytes('world'), 6)
    await file.write(bytes(''), 100)
    file.writeSync(bytes(''), 100)
    assert.equal(file.sizeSync(), 11)
    const buffer = new Uint8Array(11)
    assert.equal(file.readSync(buffer, 0), 11)
    assert.equal(Buffer.from(buffer).toString(), 'hello\0world')
    const late = new Uint8Array(20)
    assert.equal(await file.read(late, 6), 5)
    assert.equal(file.readSync(late, 6), 5)
    assert.equal(Buffer.from(late).toString(), `world${'\0'.repeat(15)}`)
    assert.equal(await file.read(late, 11), 0)
    assert.equal(file.readSync(late, 4096), 0)
    assert.equal(await file.read(new Uint8Array(0), 0), 0)
    file.truncateSync(4)
    file.truncateSync(6)
    file.datasyncSync()
    await file.datasync()
    file.closeSync()
    assert.equal(readFileSync(path, 'latin1'), 'hell\0\0')
  })

  it('opened for writing keeps its bytes and its positions', (t) => {
    const path = join(folderFor(t), 'file')
    assert.throws(() => nodeFiles.openSync(path, 'write'), { code: 'ENOENT' })
    assert.throws(() => nodeFiles.openSync(path, 'read'), { code: 'ENOENT' })
    nodeFiles.openSync(path, 'create').closeSync()
    assert.throws(() => nodeFiles.openSync(path, 'create'), { code: 'EEXIST' })
    writeFileSync(path, 'AAAA')
    const file = nodeFiles.openSync(path, 'write')
    file.writeSync(bytes('BB'), 1)
    file.closeSync()
    assert.equal(readFileSync(path, 'latin1'), 'ABBA')
    const reader = nodeFiles.openSync(path, 'read')
    assert.throws(() => reader.writeSync(bytes('C'), 0), { code: 'EBADF' })
    reader.closeSync()
  })

  it('is closed once, and not used after', async (t) => {
    const file = nodeFiles.openSync(join(folderFor(t), 'file'), 'create')
    file.closeSync()
    assert.throws(() => file.closeSync(), /invariant/)
    assert.throws(() => file.sizeSync(), /invariant/)
    assert.throws(() => file.writeSync(bytes('x'), 0), /invariant/)
    await assert.rejects(file.write(bytes('x'), 0), /invariant/)
    await assert.rejects(file.datasync(), /invariant/)
  })

  it('that is closed under an operation does not hand its descriptor to another', async (t) => {
    const folder = folderFor(t)
    const first = nodeFiles.openSync(join(folder, 'first'), 'create')
    const written = first.write(bytes('for the first'), 0)
    first.closeSync()
    const second = nodeFiles.openSync(join(folder, 'second'), 'create')
    await written
    assert.equal(second.sizeSync(), 0)
    assert.equal(readFileSync(join(folder, 'first'), 'latin1'), 'for the first')
    // The descriptor of the first is free now, so the next file gets it.
    const third = nodeFiles.openSync(join(folder, 'third'), 'create')
    third.closeSync()
    second.closeSync()
  })

  it('keeps no process alive', () => {
    const module = import.meta.resolve('#dist/io/node-files.js')
    const code = `
      import { tmpdir } from 'node:os'
      import { join } from 'node:path'
      import { nodeFiles } from '${module}'
      const path = join(tmpdir(), 'tidemark-idle-' + process.pid)
      const file = nodeFiles.openSync(path, 'create')
      await file.write(new Uint8Array(10), 0)
      await file.datasync()
      nodeFiles.removeSync(path)`
    const child = spawnSync(process.execPath, ['--input-type=module', '-e', code], {
      timeout: 20_000,
    })
    assert.equal(child.status, 0, String(child.stderr))
  })
})

describe('a transfer', () => {
  it('goes on after short counts and interrupts', async (t) => {
    const path = join(folderFor(t), 'file')
    const file = nodeFiles.openSync(path, 'create')
    t.after(() => file.closeSync())
    const { readSync, writeSync, read, write } = fs
    let calls = 0
    type Callback = (error: Error | null, count: number) => void
    type Sync = (fd: number, b: Uint8Array, offset: number, size: number, at: number) => number
    type Async = (...args: [...Parameters<Sync>, Callback]) => void
    /** At most two bytes in each call, and every third call is interrupted. */
    const stingy =
      (call: Sync): Sync =>
      (fd, b, offset, size, at) => {
        if (calls++ % 3 === 0) throw failure(calls % 2 === 0 ? 'EINTR' : 'EAGAIN')
        return call(fd, b, offset, Math.min(size, 2), at)
      }
    const stingyAsync =
      (call: Async): Async =>
      (fd, b, offset, size, at, done) => {
        if (calls++ % 3 === 0) process.nextTick(done, failure('EINTR'))
        else call(fd, b, offset, Math.min(size, 2), at, done)
      }
    replaceFs(t, {
      readSync: stingy(readSync),
      writeSync: stingy(writeSync),
      read: stingyAsync(read),
      write: stingyAsync(write),
    })
    const text = 'a text of some length'
    file.writeSync(bytes(text), 0)
    await file.write(bytes(text), text.length)
    const buffer = new Uint8Array(2 * text.length)
    assert.equal(file.readSync(buffer, 0), buffer.length)
    assert.equal(Buffer.from(buffer).toString(), text + text)
    assert.equal(await file.read(buffer.fill(0), 1), buffer.length - 1)
    assert.equal(Buffer.from(buffer).toString(), `${(text + text).slice(1)}\0`)
  })

  it('gives up when it is interrupted for ever, or gets nowhere', async (t) => {
    const file = nodeFiles.openSync(join(folderFor(t), 'file'), 'create')
    t.after(() => file.closeSync())
    type Callback = (error: Error | null, count?: number) => void
    replaceFs(t, {
      writeSync: () => {
        throw failure('EINTR')
      },
      write: (...args: unknown[]) => process.nextTick(args.at(-1) as Callback, failure('EINTR')),
    })
    assert.throws(() => file.writeSync(bytes('x'), 0), { code: 'EINTR' })
    await assert.rejects(file.write(bytes('x'), 0), { code: 'EINTR' })
    replaceFs(t, {
      writeSync: () => 0,
      write: (...args: unknown[]) => process.nextTick(args.at(-1) as Callback, null, 0),
    })
    assert.throws(() => file.writeSync(bytes('xyz'), 0), { code: 'EIO', message: /0 of 3 bytes/ })
    await assert.rejects(file.write(bytes('xyz'), 0), { code: 'EIO' })
  })

  it('to a full disk reports ENOSPC, also when a part still fits', async (t) => {
    const folder = folderFor(t)
    const options = ['-t', 'tmpfs', '-o', 'size=64k', 'tidemark-test', folder]
    const mounted = spawnSync('mount', options, { encoding: 'utf8' })
    if (mounted.status !== 0) return t.skip(`mount: ${mounted.stderr ?? mounted.error}`)
    try {
      for (const form of ['sync', 'async']) {
        const path = join(folder, 'file')
        const file = nodeFiles.openSync(path, 'create')
        const big = new Uint8Array(100 * 1024).fill(1)
        if (form === 'sync') assert.throws(() => file.writeSync(big, 0), { code: 'ENOSPC' })
        else await assert.rejects(file.write(big, 0), { code: 'ENOSPC' })
        assert.ok(file.sizeSync() > 0, 'a part is there')
        file.truncateSync(0)
        file.writeSync(big.subarray(0, 1024), 0)
        file.closeSync()
        nodeFiles.removeSync(path)
      }
    } finally {
      spawnSync('umount', [folder])
    }
  })
})

describe('folders', () => {
  it('are made, listed and synced', async (t) => {
    const folder = folderFor(t)
    const deep = join(folder, 'a', 'b', 'c')
    assert.equal(nodeFiles.makeFolderSync(deep), join(folder, 'a'))
    assert.equal(nodeFiles.makeFolderSync(deep), undefined)
    assert.throws(() => nodeFiles.listSync(join(folder, 'none')), { code: 'ENOENT' })
    const path = join(deep, 'file')
    writeFileSync(path, 'x')
    assert.deepEqual(nodeFiles.listSync(deep), ['file'])
    assert.ok(nodeFiles.existsSync(path))
    assert.ok(nodeFiles.existsSync(deep))
    nodeFiles.syncDirectorySync(deep)
    await nodeFiles.syncDirectory(deep)
    writeFileSync(`${path}2`, 'y')
    nodeFiles.renameSync(`${path}2`, path)
    assert.equal(readFileSync(path, 'utf8'), 'y')
    nodeFiles.removeSync(path)
    assert.throws(() => nodeFiles.removeSync(path), { code: 'ENOENT' })
    assert.ok(!nodeFiles.existsSync(path))
    assert.ok(!nodeFiles.existsSync(join(path, 'below', 'nothing')))
    await assert.rejects(nodeFiles.syncDirectory(path), { code: 'ENOENT' })
    assert.throws(() => nodeFiles.syncDirectorySync(path), { code: 'ENOENT' })
  })

  it('that may not be looked into are not said to be empty', (t) => {
    const folder = folderFor(t)
    symlinkSync('loop', join(folder, 'loop'))
    assert.throws(() => nodeFiles.existsSync(join(folder, 'loop')), { code: 'ELOOP' })
  })

  it('are closed again when their sync fails, and only Windows may fail it', async (t) => {
    const folder = folderFor(t)
    const fsync = (_fd: number, done: (error: Error) => void) => done(failure('EPERM'))
    const closed: number[] = []
    const { closeSync } = fs
    replaceFs(t, {
      fsync,
      fsyncSync: () => {
        throw failure('EPERM')
      },
      closeSync: (fd: number) => {
        closed.push(fd)
        closeSync(fd)
      },
    })
    if (process.platform !== 'win32') {
      assert.throws(() => nodeFiles.syncDirectorySync(folder), { code: 'EPERM' })
      await assert.rejects(nodeFiles.syncDirectory(folder), { code: 'EPERM' })
      Object.defineProperty(process, 'platform', { value: 'win32' })
      t.after(() => Object.defineProperty(process, 'platform', { value: 'linux' }))
    }
    nodeFiles.syncDirectorySync(folder)
    await nodeFiles.syncDirectory(folder)
    assert.ok(closed.length >= 2)
  })
})

describe('making folders', () => {
  it('ends with an error where a folder cannot be made', (t) => {
    if (process.platform !== 'linux') return t.skip('there is no /proc here')
    assert.throws(() => nodeFiles.makeFolderSync('/proc/tidemark'), { code: 'ENOENT' })
  })
})
