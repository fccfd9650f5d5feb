// Cursors between real processes: killed with -9 between a commit and the close, and held by one only.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { Log } from 'tidemark'
import { assertCode } from './fixtures.ts'

const parent = mkdtempSync(join(tmpdir(), 'tidemark-cursors-'))
after(() => rmSync(parent, { recursive: true, force: true }))

/** Starts a consumer that prints each offset once its commit has resolved. */
function consumer(folder: string, mode: 'append' | 'read'): ChildProcess {
  const code = `
    import { Log } from 'tidemark'
    const log = await Log.open(${JSON.stringify(folder)}, { mode: '${mode}' })
    const cursor = await log.cursor('billing')
    for await (const { offset } of cursor.read({ follow: '${mode}' === 'read' })) {
      await cursor.commit(offset)
      // Not before the line is in the kernel: otherwise it dies with the process.
      await new Promise((resolve) => process.stdout.write(offset + '\\n', resolve))
    }
  `
  return spawn(process.execPath, ['--input-type=module', '-e', code], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
}

/** Kills a consumer once it has printed `count` lines. Resolves with the last that it came to print. */
async function killAfter(child: ChildProcess, count: number): Promise<number> {
  let text = ''
  child.stdout!.on('data', (chunk: Buffer) => {
    text += chunk.toString()
    if (text.split('\n').length > count) child.kill('SIGKILL')
  })
  await once(child, 'close')
  // What stands behind the last newline is half of a number.
  return Number(text.split('\n').at(-2))
}

describe('a consumer that is killed with -9', () => {
  for (const mode of ['append', 'read'] as const) {
    it(`has lost no commit, in mode ${mode}`, async () => {
      const folder = join(parent, mode)
      const log = await Log.open(folder, { sync: 'never' })
      await log.appendBatch(Array.from({ length: 5000 }, (_, i) => `entry ${i}`))
      if (mode === 'append') await log.close()
      let done = 0
      for (let round = 1; round <= 3; round++) {
        const last = await killAfter(consumer(folder, mode), 20 * round)
        assert.ok(last >= done + 20 * round - 1, `it printed up to ${last}, from ${done}`)
        const looker = await Log.open(folder, { mode: 'read' })
        const [info] = await looker.cursors.list()
        await looker.close()
        assert.equal(info?.isHeld, false)
        // One more may have been committed than it came to print.
        assert.ok(
          info.position === last + 1 || info.position === last + 2,
          `at ${info.position}, it had printed up to ${last}`,
        )
        done = info.position
      }
      await log.close()
    })
  }
})

describe('a cursor that another process holds', () => {
  it('is LOCKED, with the pid of that process', async () => {
    const folder = join(parent, 'held')
    const log = await Log.open(folder)
    await log.append('x')
    const child = consumer(folder, 'read')
    const [first] = (await once(child.stdout!, 'data')) as [Buffer]
    assert.equal(first.toString(), '0\n')
    const error = await assertCode('LOCKED', log.cursor('billing'))
    assert.equal(error.details.pid, child.pid)
    const [info] = await log.cursors.list()
    assert.deepEqual([info?.isHeld, info?.holderPid, info?.position], [true, child.pid, 1])
    await assertCode('LOCKED', log.cursors.reset('billing', 'start'))
    await log.trim('slowest-cursor')
    assert.equal(log.lowWaterMark, 1)
    child.kill('SIGKILL')
    await once(child, 'exit')
    const cursor = await log.cursor('billing')
    assert.equal(cursor.position, 1)
    await log.close()
  })
})
