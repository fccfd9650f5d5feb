import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { machinesRing } from './machines-ring.js'
import { BUILD } from './planted-build.js'
import { quorumRing } from './ring.js'

const MS = 8000
const MACHINES = 5

function freshFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-ring-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

describe('a quorum of processes', () => {
  it('keeps its promises while one after the other is killed', async (t) => {
    const seed = Math.floor(Math.random() * 2 ** 32)
    t.diagnostic(`seed ${seed}`)
    const result = await quorumRing({ build: BUILD, folder: freshFolder(t), seed, ms: MS })
    t.diagnostic(`${result.kills} kills, ${result.acknowledged} acknowledged`)
    assert.deepEqual(result.faults, [])
    assert.ok(result.kills > 0 && result.acknowledged > 0 && result.reads > 0)
  })

  it('executes each request once while its members are restarted in turn', async (t) => {
    const folder = freshFolder(t)
    const result = await machinesRing({ build: BUILD, folder, machines: MACHINES, rounds: 1 })
    t.diagnostic(`${result.requests} requests, ${result.retries} asked again`)
    assert.deepEqual(result.faults, [])
    assert.ok(result.requests > 0)
  })
})
