import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setImmediate as settled } from 'node:timers/promises'
import type { Log } from 'tidemark'
import { LATER } from '#dist/quorum/core/index.js'
import { RecentBatches } from '#dist/quorum/recent-batches.js'

/** A log in which an entry of a term is at offset 5, or is not yet: a read ends when it is told to. */
function slowLog() {
  const reads: ((term: number | Promise<number>) => void)[] = []
  const replica = {
    async *read(offset: number) {
      const term = await new Promise<number>((resolve) => reads.push(resolve))
      yield { offset, term, count: 1, type: 128, timestamp: 0, data: Buffer.alloc(0), more: false }
    },
  }
  return { log: { replica } as unknown as Log, reads }
}

describe('RecentBatches', () => {
  it('gives nobody what was read before a cut and comes after the next read has begun', async () => {
    const { log, reads } = slowLog()
    const recent = new RecentBatches(log, 0, () => {})
    assert.equal(recent.batches(5, 6, 100), LATER)
    recent.cut(5)
    assert.equal(recent.batches(5, 6, 100), LATER)
    await settled()
    const [before, since] = reads
    before!(1)
    await settled()
    assert.equal(recent.batches(5, 6, 100), LATER)
    since!(2)
    await settled()
    const found = recent.batches(5, 6, 100)
    assert.ok(found !== LATER)
    assert.deepEqual(
      found.map(({ term }) => term),
      [2],
    )
  })

  it('does not fail with a read that a cut has disturbed', async () => {
    const { log, reads } = slowLog()
    const told: unknown[] = []
    const recent = new RecentBatches(log, 0, (error) => told.push(error))
    recent.batches(5, 6, 100)
    recent.batches(4, 6, 100)
    await settled()
    const failure = new Error('the store ends')
    reads[1]!(Promise.reject(failure))
    await settled()
    recent.cut(5)
    reads[0]!(Promise.reject(failure))
    await settled()
    assert.deepEqual(told, [failure, undefined])
  })
})
