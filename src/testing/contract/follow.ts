import assert from 'node:assert/strict'
import { nodeClock } from '../../io/index.ts'
import { appendEach, type ContractLog, type ContractSuite, someTexts } from './suite.ts'

/** Lets a moment pass, so that whoever waits really waits. */
function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => {
    nodeClock.after(ms, resolve, true)
  })
}

/** Takes `count` entries of a reader. */
async function take(reader: ReturnType<ContractLog['read']>, count: number): Promise<string[]> {
  const texts: string[] = []
  while (texts.length < count) {
    const { value } = await reader.next()
    assert(value, `the reader ended after ${texts.length} of ${count} entries`)
    texts.push(value.data.toString())
  }
  return texts
}

/** Waiting for more: what wakes a reader, what ends it, and what it leaves behind. */
export function followContract(suite: ContractSuite): void {
  sightContract(suite)
  endContract(suite)
}

function sightContract(suite: ContractSuite): void {
  suite.test('a follower sees what is there, then what comes, in order', async (log) => {
    await appendEach(log, ['0', '1'])
    const reader = log.read({ follow: true })
    assert.deepEqual(await take(reader, 2), ['0', '1'])
    for (let i = 2; i < 12; i += 2) {
      const next = take(reader, 2)
      if (i % 4 === 0) await sleep(2)
      await log.appendBatch([String(i), String(i + 1)])
      assert.deepEqual(await next, [String(i), String(i + 1)])
    }
    await reader.return()
  })

  suite.test('a follower misses nothing of a storm', async (log) => {
    const reader = log.read({ follow: true })
    const texts = someTexts(500)
    const seen = take(reader, texts.length)
    await Promise.all(texts.map((text) => log.append(text)))
    assert.deepEqual(await seen, texts)
    await reader.return()
  })

  suite.test('many followers see the same', async (log) => {
    const readers = Array.from({ length: 20 }, () => log.read({ follow: true }))
    const seen = readers.map((reader) => take(reader, 10))
    await appendEach(log, someTexts(10))
    for (const texts of await Promise.all(seen)) assert.deepEqual(texts, someTexts(10))
    for (const reader of readers) await reader.return()
  })

  suite.test('a follower may begin beyond the high-water mark', async (log) => {
    const first = await log.append('0')
    await log.barrier()
    const reader = log.read({ from: log.highWaterMark, follow: true })
    const next = take(reader, 2)
    await appendEach(log, ['1', '2'])
    assert.deepEqual(await next, ['1', '2'])
    assert(first < log.highWaterMark)
    await reader.return()
  })

  suite.test('batches() follows too', async (log) => {
    await appendEach(log, ['0'])
    const batches = log.read({ follow: true }).batches()
    const seen: string[] = []
    const reading = (async () => {
      for await (const batch of batches) {
        seen.push(...batch.map((entry) => entry.data.toString()))
        if (seen.length >= 3) break
      }
    })()
    await appendEach(log, ['1', '2'])
    await reading
    assert.deepEqual(seen, ['0', '1', '2'])
  })
}

function endContract(suite: ContractSuite): void {
  suite.test('a follower ends when the log is closed', async (log) => {
    await appendEach(log, ['0'])
    const reader = log.read({ follow: true })
    await take(reader, 1)
    const next = reader.next()
    await sleep(1)
    await log.close()
    assert.equal((await next).done, true)
    assert.equal((await reader.next()).done, true)
  })

  suite.test('a follower ends at `to`', async (log) => {
    await appendEach(log, ['0', '1'])
    await log.barrier()
    const reader = log.read({ follow: true, to: log.highWaterMark })
    await take(reader, 2)
    assert.equal((await reader.next()).done, true)
  })

  suite.test('a signal ends a follower that waits, with its reason', async (log) => {
    await appendEach(log, ['0'])
    const abort = new AbortController()
    const reader = log.read({ follow: true, signal: abort.signal })
    await take(reader, 1)
    const next = reader.next()
    await sleep(1)
    const reason = new Error('enough')
    abort.abort(reason)
    await assert.rejects(next, (error) => error === reason)
    assert.equal((await reader.next()).done, true)
  })

  suite.test('a signal that was given before ends any read at once', async (log) => {
    await appendEach(log, someTexts(3))
    const reason = new Error('never begun')
    const signal = AbortSignal.abort(reason)
    for (const options of [{}, { follow: true }]) {
      await assert.rejects(log.read({ ...options, signal }).next(), (error) => error === reason)
    }
  })

  suite.test('return() ends a next() that waits', async (log) => {
    const reader = log.read({ follow: true })
    const waiting = [reader.next(), reader.next()]
    await sleep(1)
    assert.equal((await reader.return()).done, true)
    for (const result of await Promise.all(waiting)) assert.equal(result.done, true)
  })

  suite.test('one follower that ends leaves the others alone', async (log) => {
    const stays = log.read({ follow: true })
    const leaves = log.read({ follow: true })
    const [next, ended] = [take(stays, 1), leaves.next()]
    await sleep(1)
    await leaves.return()
    assert.equal((await ended).done, true)
    await appendEach(log, ['0'])
    assert.deepEqual(await next, ['0'])
    await stays.return()
  })
}
