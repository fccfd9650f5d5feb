// What the forgetful file system shows in memory, on the real program and the real system calls: a disk
// whose syncs fail, and one that is full.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Log } from 'tidemark'
import { freshLog, Tidemark, tidemark } from '../cli/tidemark.ts'
import { breakCall, injection, mendCall } from './preload.ts'

const found = injection()
const env = 'env' in found ? found.env : {}
const skip = 'missing' in found ? found.missing : false
const CHILD = fileURLToPath(new URL('append-child.js', import.meta.url))

async function contents(folder: string): Promise<string[]> {
  await using log = await Log.open(folder)
  const found: string[] = []
  for await (const entry of log.read()) found.push(entry.data.toString())
  return found
}

/** `tidemark append --ack`, which has acknowledged three lines. */
async function appending(folder: string): Promise<Tidemark> {
  const child = new Tidemark(['append', folder, '--ack', '--quiet'], { env })
  child.stdin.write('one\ntwo\nthree\n')
  await child.printed(3)
  return child
}

/** What was acknowledged is there; behind it may be only what was sent, in order. */
function keeps(kept: readonly string[], acknowledged: number, sent: readonly string[]): void {
  assert.ok(kept.length >= acknowledged, `${kept.length} entries of ${acknowledged}`)
  assert.deepEqual(kept, sent.slice(0, kept.length))
}

describe('errors of real system calls', { skip }, () => {
  it('EIO from fdatasync poisons the log; what was acknowledged is there', async (t) => {
    const folder = freshLog(t)
    const child = await appending(folder)
    breakCall(child.pid, 'sync/fdatasync', 'EIO')
    child.stdin.write('four\n')
    const { code, stderr } = await child.result()
    assert.equal(code, 1)
    assert.match(stderr, /^tidemark: POISONED: .*\(line 4 of the input\)\n$/)
    assert.equal(child.lines().length, 3)
    assert.equal((await tidemark(['verify', folder])).code, 0)
    keeps(await contents(folder), 3, ['one', 'two', 'three', 'four'])
  })

  it('ENOSPC from pwrite ends the command; the log is as it was', async (t) => {
    const folder = freshLog(t)
    const child = await appending(folder)
    breakCall(child.pid, 'rw/pwrite', 'ENOSPC')
    child.stdin.write('four\n')
    const { code, stderr } = await child.result()
    assert.equal(code, 1)
    assert.match(stderr, /^tidemark: IO: .*ENOSPC.*\(line 4 of the input\)\n$/)
    assert.deepEqual(await contents(folder), ['one', 'two', 'three'])
    assert.equal((await tidemark(['append', folder], 'later\n')).code, 0)
    assert.deepEqual(await contents(folder), ['one', 'two', 'three', 'later'])
  })

  it('ENOSPC rejects, and the same log goes on when there is space again', async (t) => {
    const folder = freshLog(t)
    const child = new Tidemark([folder], { env, main: CHILD })
    child.stdin.write('one\n')
    await child.printed(1)
    breakCall(child.pid, 'rw/pwrite', 'ENOSPC')
    child.stdin.write('lost\n')
    await child.printed(2)
    mendCall(child.pid, 'rw/pwrite')
    child.stdin.end('two\n')
    const { code, stderr } = await child.result()
    assert.equal(code, 0, stderr)
    assert.deepEqual(child.lines(), ['0', 'IO', '1'])
    assert.deepEqual(await contents(folder), ['one', 'two'])
  })
})
