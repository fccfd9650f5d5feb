// Those who append in a loop, without a sync to wait for, leave the event loop to others.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { it } from 'node:test'
import { Log } from 'tidemark'
import { ROOT } from '../tidy/source-tree.ts'

it('timers fire while many writers append without a sync', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-loop-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const log = await Log.open(join(folder, 'log'), { sync: 'never' })
  let fired = 0
  const timer = setInterval(() => {
    fired++
  }, 10)
  const end = performance.now() + 1000
  const write = async () => {
    while (performance.now() < end) await log.append('something')
  }
  await Promise.all(Array.from({ length: 16 }, write))
  clearInterval(timer)
  t.diagnostic(`${fired} timers in 1 s`)
  // 100 where nothing else runs; without a turn in between it is a handful.
  assert.ok(fired >= 20, `only ${fired} of 100 timers fired`)
  await log.close()
})

/** In a process of its own: where the event loop does not turn any more, no test could tell. */
const CLOSES = `
  import { mkdtempSync, rmSync } from 'node:fs'
  import { tmpdir } from 'node:os'
  import { join } from 'node:path'
  import { Log } from 'tidemark'
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-closes-'))
  const log = await Log.open(folder, { sync: 'never' })
  const appends = []
  for (let i = 0; i < 60; i++) {
    appends.push(log.append(Buffer.alloc(1_000_000)))
    if (i % 7 === 6) await new Promise((resolve) => setImmediate(resolve))
  }
  await log.close()
  process.stdout.write(String((await Promise.all(appends)).length))
  rmSync(folder, { recursive: true })
`

it('closes while much is not synced yet, and more to be written', () => {
  const { stdout, signal } = spawnSync(
    process.execPath,
    ['--input-type=module', '--eval', CLOSES],
    { cwd: ROOT, encoding: 'utf8', timeout: 60_000, killSignal: 'SIGKILL' },
  )
  assert.deepEqual([stdout, signal], ['60', null])
})
