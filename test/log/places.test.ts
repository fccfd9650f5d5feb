// What docs/operating.md says of real places: a disk without one free byte, a read-only one, and containers,
// of which Linux makes the part that matters here with a new pid namespace. Each needs the right to make it.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { backupLog, inspectLog, Log, verifyLog } from 'tidemark'
import { errnoOf } from '#dist/base/index.js'
import { assertCode, someTexts, textsOf } from './fixtures.ts'

/** A file system in memory, or undefined, and the test is skipped. */
function mountSmall(t: TestContext): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-places-'))
  t.after(() => {
    spawnSync('umount', [folder])
    rmSync(folder, { recursive: true, force: true })
  })
  const options = ['-t', 'tmpfs', '-o', 'size=1m', 'tidemark-test', folder]
  const { status, stderr, error } = spawnSync('mount', options, { encoding: 'utf8' })
  if (status === 0) return folder
  t.skip(`mount: ${stderr ?? error}`)
  return undefined
}

async function assertRefused(errno: string, folder: string): Promise<void> {
  const error = await assertCode('IO', Log.open(folder))
  assert.equal(errnoOf(error.cause), errno, error.message)
}

describe('a disk without one free byte', () => {
  it('opens no log for writing, is read all the same, and opens it with a little room', async (t) => {
    const disk = mountSmall(t)
    if (disk === undefined) return
    const folder = join(disk, 'log')
    const log = await Log.open(folder)
    await log.appendBatch(someTexts(10))
    await log.close()
    const ballast = join(disk, 'ballast')
    assert.throws(() => writeFileSync(ballast, Buffer.alloc(2 ** 21)), { code: 'ENOSPC' })
    await assertRefused('ENOSPC', folder)
    await assertRefused('ENOSPC', join(disk, 'new'))
    const reader = await Log.open(folder, { mode: 'read' })
    assert.deepEqual(await textsOf(reader), someTexts(10))
    await reader.close()
    assert.equal((await inspectLog(folder)).hasWriter, false)
    assert.ok((await verifyLog(folder)).sound)
    rmSync(ballast)
    const again = await Log.open(folder)
    assert.equal(await again.append('room again'), 10)
    await again.close()
  })
})

describe('a read-only disk', () => {
  it('is read, also where the writer was killed', async (t) => {
    const disk = mountSmall(t)
    if (disk === undefined) return
    const folder = join(disk, 'log')
    const killed = join(disk, 'killed')
    const log = await Log.open(folder)
    await log.appendBatch(someTexts(10))
    cpSync(folder, killed, { recursive: true })
    // Its text names this process, which lives: the copy is to look like that of one that does not.
    rmSync(join(killed, 'lock'))
    await log.close()
    const { status, stderr } = spawnSync('mount', ['-o', 'remount,ro', disk], { encoding: 'utf8' })
    assert.equal(status, 0, stderr)
    for (const path of [folder, killed]) {
      await assertRefused('EROFS', path)
      const reader = await Log.open(path, { mode: 'read' })
      assert.deepEqual(await textsOf(reader), someTexts(10))
      await reader.close()
      assert.ok((await verifyLog(path)).sound)
      const backup: string = `${disk}-backup`
      t.after(() => rmSync(backup, { recursive: true, force: true }))
      assert.equal((await backupLog(path, backup)).highWaterMark, 10)
      rmSync(backup, { recursive: true })
    }
  })
})

const WRITER = `
  import { Log } from 'tidemark'
  const folder = process.env.TIDEMARK_TEST_FOLDER
  const log = await Log.open(folder).catch((error) => ({ error }))
  if (log.error) {
    console.log(log.error.code + (log.error.message.includes('remove') ? ', remove' : ''))
  } else {
    console.log('pid ' + process.pid + ', offset ' + await log.append('x'))
    // It holds on until it is killed, unless it is to close.
    if (process.env.TIDEMARK_TEST_CLOSE === '1') await log.close()
    else setInterval(() => {}, 1000)
  }
`

/** Starts a writer as the first process of a new pid namespace, as a container does. */
function contained(folder: string, env: NodeJS.ProcessEnv): ChildProcess {
  const node = [process.execPath, '--input-type=module', '-e', WRITER]
  const args = ['--pid', '--fork', '--mount-proc', '--kill-child=SIGKILL', ...node]
  return spawn('unshare', args, {
    env: { ...env, TIDEMARK_TEST_FOLDER: folder },
    stdio: ['ignore', 'pipe', 'ignore'],
  })
}

async function lineOf(child: ChildProcess): Promise<string> {
  const [line] = (await once(child.stdout!, 'data')) as [Buffer]
  return line.toString().trim()
}

/** What a writer in a container of its own says, once it has ended. */
async function saidBy(folder: string, env: NodeJS.ProcessEnv): Promise<string> {
  const child = contained(folder, { ...env, TIDEMARK_TEST_CLOSE: '1' })
  const ended = once(child, 'close')
  const line = await lineOf(child)
  await ended
  return line
}

/** Holds a log in one container, kills that, and opens it in two more. What each of them says. */
async function afterContainer(t: TestContext, env: NodeJS.ProcessEnv): Promise<string[]> {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-contained-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const first = contained(folder, env)
  const closed = once(first, 'close')
  const said = [await lineOf(first)]
  said.push(await saidBy(folder, env))
  // With `unshare` goes its child, which is pid 1 of the namespace.
  first.kill('SIGKILL')
  // Its output is closed when that has ended too.
  await closed
  said.push(await saidBy(folder, env))
  rmSync(join(folder, 'lock'))
  said.push(await saidBy(folder, env))
  return said
}

describe('a writer that is pid 1 of a container', () => {
  const probe = spawnSync('unshare', ['--pid', '--fork', '--mount-proc', 'true'])
  const skip = probe.status === 0 ? false : 'no new pid namespaces here'

  it('is followed by the next at once, with the kernel’s lock', { skip }, async (t) => {
    const said = await afterContainer(t, process.env)
    if (said[1] === 'LOCKED, remove') return t.skip('no native package')
    assert.deepEqual(said, ['pid 1, offset 0', 'LOCKED', 'pid 1, offset 1', 'pid 1, offset 2'])
  })

  it('keeps the next out with the text alone, until the file is removed', { skip }, async (t) => {
    const said = await afterContainer(t, { ...process.env, TIDEMARK_NO_NATIVE_LOCK: '1' })
    const refused = 'LOCKED, remove'
    assert.deepEqual(said, ['pid 1, offset 0', refused, refused, 'pid 1, offset 1'])
  })
})
