import assert from 'node:assert/strict'
import {
  appendEach,
  type ContractSuite,
  entriesOf,
  patternBytes,
  someTexts,
  textsOf,
} from './suite.ts'

/** What one opening leaves for the next. */
export function reopenContract(suite: ContractSuite): void {
  entriesContract(suite)
  marksContract(suite)
}

function entriesContract(suite: ContractSuite): void {
  suite.testPart('reopen', 'an empty log is still empty', async (log) => {
    await suite.reopened(log, async (again) => {
      assert.deepEqual(await textsOf(again), [])
      await again.append('first')
      assert.deepEqual(await textsOf(again), ['first'])
    })
  })

  suite.testPart('reopen', 'every entry is there with all that it had', async (log) => {
    await appendEach(log, someTexts(30))
    await log.append('old', { timestamp: 1000 })
    await log.appendBatch([patternBytes(100_000, 1), new Uint8Array(0)], { timestamp: 5 })
    const before = await entriesOf(log)
    await suite.reopened(log, async (again) => {
      const after = await entriesOf(again)
      assert.deepEqual(after, before)
      for (const entry of before) assert.deepEqual(await again.get(entry.offset), entry)
    })
  })

  suite.testPart('reopen', 'appends that nobody awaited are there after close', async (log) => {
    const appends = someTexts(100).map((text) => log.append(text))
    await suite.reopened(log, async (again) => {
      assert.deepEqual(await textsOf(again), someTexts(100))
    })
    await Promise.all(appends)
  })

  suite.testPart('reopen', 'offsets and terms go on from where they were', async (log) => {
    const before = await appendEach(log, someTexts(5))
    await log.barrier()
    const end = log.highWaterMark
    await suite.reopened(log, async (again) => {
      assert(again.highWaterMark >= end)
      const next = await again.append('next')
      assert(next >= end, `offset ${next} was used before`)
      const entries = await entriesOf(again)
      assert.deepEqual(
        entries.map((entry) => entry.offset),
        [...before, next],
      )
      assert(entries[5]!.term >= entries[4]!.term)
    })
  })

  suite.testPart('reopen', 'it can be opened many times', async (log) => {
    await log.append('opening 0')
    let current = log
    for (let i = 1; i <= 5; i++) {
      let next = current
      await suite.reopened(current, async (again) => {
        next = again
        await again.append(`opening ${i}`)
      })
      current = next
    }
    await suite.reopened(current, async (again) => {
      assert.deepEqual(await textsOf(again), someTexts(6, 'opening'))
    })
  })
}

function marksContract(suite: ContractSuite): void {
  suite.testPart(['reopen', 'trim'], 'the low-water mark outlives it', async (log) => {
    const at = await appendEach(log, someTexts(20))
    await log.trim(at[13]!)
    await suite.reopened(log, async (again) => {
      assert.equal(again.lowWaterMark, at[13])
      assert.deepEqual(await textsOf(again), someTexts(20).slice(13))
      assert.equal(await again.get(at[12]!), undefined)
    })
  })

  suite.testPart(
    ['reopen', 'trim'],
    'a log that was trimmed to nothing goes on behind',
    async (log) => {
      await appendEach(log, someTexts(8))
      await log.barrier()
      const end = log.highWaterMark
      await log.trim(end)
      await suite.reopened(log, async (again) => {
        assert.equal(again.lowWaterMark, end)
        assert.deepEqual(await textsOf(again), [])
        assert((await again.append('next')) >= end)
        assert.deepEqual(await textsOf(again), ['next'])
      })
    },
  )

  suite.testPart(['reopen', 'snapshots'], 'snapshots outlive it', async (log) => {
    const state = patternBytes(200_000, 9)
    await log.appendBatch(someTexts(6))
    await log.snapshots.write(3, [state])
    await log.snapshots.write(5, [Buffer.from('gone')])
    await log.snapshots.remove(5)
    await suite.reopened(log, async (again) => {
      assert.deepEqual(await again.snapshots.list(), [3])
      const chunks: Uint8Array[] = []
      for await (const chunk of again.snapshots.read(3)) chunks.push(chunk)
      assert(Buffer.concat(chunks).equals(state))
    })
  })
}
