import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { it } from 'node:test'
import { BUILD } from '../kill/quorum/planted-build.ts'
import { turnBits } from './flips.ts'
import { reportOf } from './flips-report.ts'
import { endsWithItsTests } from './left-over.ts'

endsWithItsTests()

it('whichever bit turns on a minority, all is there on all members afterwards', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-flips-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const seed = Math.floor(Math.random() * 2 ** 32)
  t.diagnostic(`seed ${seed}`)
  const options = { build: BUILD, folder, seed, members: 3, flips: 20 }
  // The rest is for `npm run nemesis -- --flips=200`.
  const result = await turnBits({ ...options, scale: 0.05, same: 0, atOnce: 4 })
  t.diagnostic(reportOf(result))
  assert.deepEqual(result.faults, [])
})
