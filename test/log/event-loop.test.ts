// Those who append in a loop, without a sync to wait for, leave the event loop to others.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { it } from 'node:test'
import { Log } from 'tidemark'

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
