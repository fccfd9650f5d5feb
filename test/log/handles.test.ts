import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Cost, IdleReport, ScanReport } from './idle-logs-child.ts'

const KIB = 1024
const MIB = 1024 * KIB

async function measured<R>(what: 'idle' | 'scan'): Promise<R> {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-cost-'))
  try {
    const child = fileURLToPath(new URL('./idle-logs-child.js', import.meta.url))
    const { stdout } = await promisify(execFile)(process.execPath, [
      '--expose-gc',
      child,
      what,
      folder,
    ])
    return JSON.parse(stdout) as R
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function assertCost(cost: Cost, what: string, descriptorsMax: number): void {
  const { descriptors, bytes, timers } = cost
  assert(
    descriptors === undefined || descriptors <= descriptorsMax + 0.01,
    `${descriptors} descriptors for each log that was ${what}`,
  )
  assert(bytes <= 30 * KIB, `${Math.round(bytes)} bytes for each log that was ${what}`)
  assert.equal(timers, 0, `timers run for logs that were ${what}`)
}

describe('1,000 open logs under one lock', () => {
  it('cost next to nothing while they are idle', async (t) => {
    const report = await measured<IdleReport>('idle')
    t.diagnostic(`per log: ${JSON.stringify(report)}`)
    assertCost(report.opened, 'opened', 0)
    assertCost(report.written, 'written to', 1)
    assertCost(report.read, 'read', 2)
    assert.equal(report.emptyStoreBytes, 64, 'nothing is reserved before the first write')
    assert(report.emptyStoreBlocks <= 8, `${report.emptyStoreBlocks} blocks of 512 bytes`)
  })
})

describe('a log of 500 segments, with 32 KiB of index each', () => {
  let measuring: Promise<ScanReport> | undefined
  const report = () => {
    measuring ??= measured<ScanReport>('scan')
    return measuring
  }

  it('keeps a bounded part of its indexes in memory, however it is read', async (t) => {
    const { beforeBytes, afterScanBytes, afterReverseBytes, afterGetsBytes } = await report()
    t.diagnostic(JSON.stringify(await report()))
    const limit = 12 * MIB
    for (const [what, bytes] of [
      ['a scan', afterScanBytes],
      ['a reverse scan', afterReverseBytes],
      ['gets', afterGetsBytes],
    ] as const) {
      const grown = bytes - beforeBytes
      assert(grown < limit, `${(grown / MIB).toFixed(1)} MiB are kept after ${what}`)
    }
  })

  it('keeps a bounded number of its stores open', async () => {
    const { descriptors } = await report()
    assert(descriptors === undefined || descriptors <= 4, `${descriptors} more are open`)
  })
})
