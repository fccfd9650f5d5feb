import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { Log } from 'tidemark'
import { ForgetfulFiles } from 'tidemark/testing'
import type { Batch } from '#dist/quorum/core/index.js'
import { Receipts } from '#dist/quorum/receipts.js'
import { storedLog } from '#dist/quorum/stored-log.js'
import { encodeReceipt, TYPE_RECEIPT } from '#dist/quorum/wire/index.js'

const SESSION = 7

function entriesOf(request: number, count: number) {
  const data = encodeReceipt({ session: SESSION, request })
  return [
    { type: 128, timestamp: 0, count, data: Buffer.from('x') },
    { type: TYPE_RECEIPT, timestamp: 0, count: 1, data },
  ]
}

function batch(request: number, start: number): Batch {
  const payload = entriesOf(request, 1)
  return { term: 1, start, end: start + 2, bytes: 9, kind: 'data', payload }
}

function find(receipts: Receipts, request: number): readonly [number, number] | undefined {
  const kept = receipts.find({ session: SESSION, request })
  return kept && [kept.start, kept.end]
}

async function logOf(t: TestContext, counts: readonly number[]) {
  const log = await Log.open('/log', { files: new ForgetfulFiles(), replica: true })
  t.after(() => log.close())
  for (const [i, count] of counts.entries()) {
    const entries = entriesOf(i + 1, count)
    await log.replica.append(entries.map((entry) => ({ ...entry, term: 1 })) as never)
  }
  return Receipts.load(log, await storedLog(log))
}

describe('receipts', () => {
  it('say where an append is, until it is cut off', () => {
    const receipts = new Receipts(0)
    receipts.written([batch(1, 0), batch(2, 2), batch(3, 4)])
    assert.deepEqual(find(receipts, 2), [2, 4])
    assert.equal(receipts.find({ session: 8, request: 2 }), undefined)
    receipts.cut(2)
    assert.deepEqual(find(receipts, 1), [0, 2])
    assert.equal(find(receipts, 2), undefined)
    assert.equal(find(receipts, 3), undefined)
    receipts.written([batch(2, 2)])
    receipts.cut(4)
    assert.deepEqual(find(receipts, 2), [2, 4])
  })

  it('of a log that begins anew say nothing of what was below', () => {
    const receipts = new Receipts(0)
    receipts.written([batch(1, 0)])
    receipts.reset(50)
    assert.equal(receipts.covered, 50)
    assert.equal(find(receipts, 1), undefined)
    receipts.cut(10)
  })

  it('are forgotten from the oldest on, and say so', () => {
    const receipts = new Receipts(0)
    for (let i = 0; i < 65_538; i++) receipts.written([batch(i, 2 * i)])
    assert.equal(receipts.covered, 4)
    assert.equal(find(receipts, 1), undefined)
    assert.deepEqual(find(receipts, 2), [4, 6])
  })

  it('are found again in a log that is opened', async (t) => {
    const receipts = await logOf(t, [1, 3, 1])
    assert.equal(receipts.covered, 0)
    assert.deepEqual(find(receipts, 1), [0, 2])
    assert.deepEqual(find(receipts, 2), [2, 6])
    assert.deepEqual(find(receipts, 3), [6, 8])
  })

  it('are not known of a batch whose start is not looked at', async (t) => {
    // What is looked through begins within the second.
    const receipts = await logOf(t, [1, 10_000, 10_000, 1])
    assert.equal(receipts.covered, 10_003)
    assert.equal(find(receipts, 1), undefined)
    assert.equal(find(receipts, 2), undefined)
    assert.deepEqual(find(receipts, 3), [10_003, 20_004])
    assert.deepEqual(find(receipts, 4), [20_004, 20_006])
  })
})
