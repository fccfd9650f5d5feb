import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { FolderLock, inspectLog, Log } from 'tidemark'
import { ForgetfulFiles } from 'tidemark/testing'
import { assertCode, newFiles, openOn, textsOf, worstCrash } from './fixtures.ts'

const folders: string[] = []
after(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

function freshFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-lock-'))
  folders.push(folder)
  return folder
}

describe('the lock of a log', () => {
  it('refuses a second writer in the same process, by pid, and hurts nobody', async () => {
    const folder = freshFolder()
    const log = await Log.open(folder)
    await log.append('a')
    for (const path of [folder, join(folder, '.'), `${folder}/x/..`]) {
      const error = await assertCode('LOCKED', Log.open(path))
      assert.equal(error.details.pid, process.pid)
      assert(error.message.includes(String(process.pid)))
    }
    await log.append('b')
    const reader = await Log.open(folder, { mode: 'read' })
    await reader.close()
    await log.close()
    const again = await Log.open(folder)
    assert.deepEqual(await textsOf(again), ['a', 'b'])
    await again.close()
  })

  it('refuses a writer in another process', async () => {
    const folder = freshFolder()
    const log = await Log.open(folder)
    const code = `
      import { Log } from 'tidemark'
      const folder = ${JSON.stringify(folder)}
      const found = await Log.open(folder).then(() => 'opened', (error) => error.code + ' ' + error.details.pid)
      const reader = await Log.open(folder, { mode: 'read' })
      process.stdout.write(found + ' ' + reader.highWaterMark)
    `
    await log.append('x')
    // The marks file follows a moment behind.
    await new Promise((resolve) => setTimeout(resolve, 20))
    const child = spawn(process.execPath, ['--input-type=module', '-e', code], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let text = ''
    child.stdout.on('data', (chunk) => {
      text += chunk
    })
    await new Promise((resolve) => child.on('close', resolve))
    assert.equal(text, `LOCKED ${process.pid} 1`)
    await log.close()
  })

  it('is released by close, and by an opening that fails', async () => {
    const files = newFiles()
    const log = await openOn(files)
    await log.append('x')
    await log.close()
    assert.equal(files.lockHolderSync('/log/lock'), undefined)
    files.removeSync('/log/meta')
    await assertCode('CORRUPT', openOn(files))
    assert.equal(files.lockHolderSync('/log/lock'), undefined)
  })

  it('is held until close has finished', async () => {
    const files = newFiles()
    const log = await openOn(files, { sync: 'never' })
    await log.append('x')
    const closing = log.close()
    await assertCode('LOCKED', openOn(files))
    await closing
    await (await openOn(files)).close()
  })

  it('is not touched by readers', async () => {
    const files = newFiles()
    await (await openOn(files)).close()
    const reader = await openOn(files, { mode: 'read' })
    assert.equal(files.lockHolderSync('/log/lock'), undefined)
    const writer = await openOn(files)
    await reader.close()
    await assertCode('LOCKED', openOn(files))
    await writer.close()
  })
})

describe('the lock of a data folder', () => {
  it('covers the logs in it, at any depth', async () => {
    const files = newFiles()
    const lock = await FolderLock.acquire('/data', { files })
    const open = (folder: string) => Log.open(folder, { files, lock })
    const logs = [await open('/data/a'), await open('/data/b'), await open('/data/deep/er/c')]
    for (const log of logs) assert.equal(await log.append('x'), 0)
    for (const log of logs) await log.close()
    assert.equal(files.existsSync('/data/a/lock'), false, 'no log has a lock file of its own')
    const again = await open('/data/a')
    assert.deepEqual(await textsOf(again), ['x'])
    await again.close()
    lock.release()
  })

  it('can be that of the root', async () => {
    const files = newFiles()
    const lock = await FolderLock.acquire('/', { files })
    await assertCode('LOCKED', FolderLock.acquire('/', { files }))
    await (await Log.open('/a', { files, lock })).close()
    lock.release()
  })

  it('refuses a log for which a lock in between is held', async () => {
    const files = newFiles()
    const lower = await FolderLock.acquire('/data/part', { files })
    const log = await Log.open('/data/part/a', { files, lock: lower })
    const upper = await FolderLock.acquire('/data', { files })
    const error = await assertCode('LOCKED', Log.open('/data/part/a', { files, lock: upper }))
    assert(error.message.includes('/data/part'), error.message)
    await log.close()
    lower.release()
    await (await Log.open('/data/part/a', { files, lock: upper })).close()
    upper.release()
  })

  it('holds by whatever name a log is reached', async (t) => {
    const root = mkdtempSync(join(tmpdir(), 'tidemark-links-'))
    t.after(() => rmSync(root, { recursive: true, force: true }))
    const at = (name: string) => join(root, name)
    mkdirSync(at('data/ada'), { recursive: true })
    symlinkSync('data', at('alias'))
    symlinkSync('data/ada', at('orders'))
    symlinkSync('ada', at('data/same'))
    mkdirSync(at('disk'))
    symlinkSync('../disk', at('data/moved'))
    const lock = await FolderLock.acquire(at('alias'))
    const log = await Log.open(at('data/ada'), { lock })
    await assertCode('LOCKED', Log.open(at('orders')))
    await assertCode('LOCKED', Log.open(at('data/same'), { lock }))
    await assertCode('LOCKED', FolderLock.acquire(at('data')))
    // What a link leads out of the folder is not under its lock.
    await assertCode('INVALID_ARGUMENT', Log.open(at('data/moved'), { lock }))
    const reader = await Log.open(at('orders'), { mode: 'read' })
    await log.append('seen')
    await reader.barrier()
    assert.deepEqual(await textsOf(reader), ['seen'])
    await reader.close()
    await log.close()
    lock.release()
  })

  it('refuses whoever comes without it, and whoever comes with another', async () => {
    const files = newFiles()
    const lock = await FolderLock.acquire('/data', { files })
    for (const folder of ['/data/a', '/data/deep/er/c']) {
      const error = await assertCode('LOCKED', Log.open(folder, { files }))
      assert.equal(error.details.pid, process.pid)
    }
    for (const folder of ['/other/a', '/database', '/', '/data/../other']) {
      await assertCode('INVALID_ARGUMENT', Log.open(folder, { files, lock }))
    }
    const other = await FolderLock.acquire('/data2', { files })
    await assertCode('INVALID_ARGUMENT', Log.open('/data/a', { files, lock: other }))
    await assertCode('LOCKED', FolderLock.acquire('/data', { files }))
    other.release()
    lock.release()
  })

  it('refuses a log that is being written under a lock of its own', async () => {
    const files = newFiles()
    const alone = await Log.open('/data/a', { files })
    const lock = await FolderLock.acquire('/data', { files })
    const error = await assertCode('LOCKED', Log.open('/data/a', { files, lock }))
    assert.equal(error.details.pid, process.pid)
    await alone.append('x')
    await alone.close()
    const log = await Log.open('/data/a', { files, lock })
    assert.deepEqual(await textsOf(log), ['x'])
    await log.close()
    lock.release()
  })

  it('refuses the same log twice', async () => {
    const files = newFiles()
    const lock = await FolderLock.acquire('/data', { files })
    const log = await Log.open('/data/a', { files, lock })
    await assertCode('LOCKED', Log.open('/data/a', { files, lock }))
    await log.append('x')
    await log.close()
    const again = await Log.open('/data/a', { files, lock })
    assert.deepEqual(await textsOf(again), ['x'])
    await again.close()
    lock.release()
  })

  it('is not given back while logs under it are open', async () => {
    const files = newFiles()
    const lock = await FolderLock.acquire('/data', { files })
    const log = await Log.open('/data/a', { files, lock })
    assert.throws(() => lock.release(), { code: 'INVALID_ARGUMENT' })
    await assertCode('LOCKED', Log.open('/data/b', { files }))
    await log.append('x')
    await log.close()
    lock.release()
    assert.equal(files.lockHolderSync('/data/lock'), undefined)
  })

  it('is given back although an opening under it has failed', async () => {
    const files = newFiles()
    const lock = await FolderLock.acquire('/data', { files })
    const first = await Log.open('/data/a', { files, lock })
    await first.append('x')
    await first.close()
    files.removeSync('/data/a/meta')
    for (let i = 0; i < 2; i++) {
      await assertCode('CORRUPT', Log.open('/data/a', { files, lock }))
    }
    lock.release()
  })

  it('is free again once released, and then opens nothing more', async () => {
    const files = newFiles()
    const lock = await FolderLock.acquire('/data', { files })
    lock.release()
    lock.release()
    await assertCode('INVALID_ARGUMENT', Log.open('/data/a', { files, lock }))
    const alone = await Log.open('/data/a', { files })
    await alone.close()
    const next = await FolderLock.acquire('/data', { files })
    next[Symbol.dispose]()
    assert.equal(files.lockHolderSync('/data/lock'), undefined)
  })

  it('makes the name of the folder durable, also if its maker was killed before that', async () => {
    const files = newFiles()
    files.makeFolderSync('/data')
    const lock = await FolderLock.acquire('/data', { files })
    const log = await Log.open('/data/a', { files, lock })
    await log.append('x')
    const again = await Log.open('/data/a', { files: worstCrash(files) })
    assert.deepEqual(await textsOf(again), ['x'])
    await again.close()
    await log.close()
    lock.release()
  })

  it('tells readers that there is a writer', async () => {
    const files = newFiles()
    const lock = await FolderLock.acquire('/data', { files })
    const log = await Log.open('/data/a', { files, lock })
    await log.append('x')
    const info = await inspectLog('/data/a', { files })
    assert.equal(info.hasWriter, true)
    assert.equal(info.writerPid, process.pid)
    await log.close()
    lock.release()
    assert.equal((await inspectLog('/data/a', { files })).hasWriter, false)
  })

  it('works on real files', async () => {
    const folder = freshFolder()
    const lock = await FolderLock.acquire(folder)
    const log = await Log.open(join(folder, 'a'), { lock })
    await log.append('x')
    await assertCode('LOCKED', Log.open(join(folder, 'b')))
    await assertCode('LOCKED', FolderLock.acquire(folder))
    await log.close()
    lock.release()
    const alone = await Log.open(join(folder, 'a'))
    await assertCode('LOCKED', Log.open(join(folder, 'a')))
    await alone.close()
  })
})

describe('locks on simulated files', () => {
  it('end with the process, as the kernel’s do', async () => {
    const files = new ForgetfulFiles({ pid: 4711 })
    const log = await openOn(files)
    const error = await assertCode('LOCKED', openOn(files))
    assert.equal(error.details.pid, 4711)
    await log.close()
  })
})
