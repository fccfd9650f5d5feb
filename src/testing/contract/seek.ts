import assert from 'node:assert/strict'
import { type ContractLog, type ContractSuite, textsOf } from './suite.ts'

async function appendTimes(log: ContractLog, times: readonly number[]): Promise<void> {
  for (const timestamp of times) await log.append(String(timestamp), { timestamp })
}

/** Beginning at a time: the first entry that is not older, then everything behind it. */
export function seekContract(suite: ContractSuite): void {
  const part = 'fromTimestamp'

  suite.testPart(part, 'begins at the first entry that is not older', async (log) => {
    const times = [100, 200, 200, 300, 400, 500]
    await appendTimes(log, times)
    for (const from of [0, 100, 101, 200, 201, 450, 500]) {
      const expected = times.filter((time) => time >= from).map(String)
      assert.deepEqual(await textsOf(log, { fromTimestamp: from }), expected, `from ${from}`)
    }
    assert.deepEqual(await textsOf(log, { fromTimestamp: 501 }), [])
  })

  suite.testPart(part, 'finds the first one although times go up and down', async (log) => {
    const times = [50, 10, 70, 20, 70, 5, 90, 1, 2, 3, 95, 4]
    await appendTimes(log, times)
    for (let from = 0; from <= 96; from++) {
      const first = times.findIndex((time) => time >= from)
      const expected = first < 0 ? [] : times.slice(first).map(String)
      assert.deepEqual(await textsOf(log, { fromTimestamp: from }), expected, `from ${from}`)
    }
  })

  suite.testPart(part, 'agrees with a plain search over many entries', async (log) => {
    const times = Array.from({ length: 300 }, (_, i) => i * 10 + ((i * 7919) % 200))
    for (let i = 0; i < times.length; i += 30) {
      await Promise.all(
        times.slice(i, i + 30).map((timestamp) => log.append(String(timestamp), { timestamp })),
      )
    }
    for (const from of [0, 1, 555, 1000, 2222, 2999, 3100]) {
      const first = times.findIndex((time) => time >= from)
      const expected = first < 0 ? [] : times.slice(first).map(String)
      assert.deepEqual(await textsOf(log, { fromTimestamp: from }), expected, `from ${from}`)
    }
  })

  suite.testPart(part, 'ends at `to`', async (log) => {
    await appendTimes(log, [10, 20, 30])
    const last = await log.append('40', { timestamp: 40 })
    assert.deepEqual(await textsOf(log, { fromTimestamp: 20, to: last }), ['20', '30'])
    assert.deepEqual(await textsOf(log, { fromTimestamp: 40, to: last }), [])
  })

  suite.testPart(part, 'follows from a time that has not come yet', async (log) => {
    await appendTimes(log, [10, 20])
    await log.barrier()
    const reader = log.read({ fromTimestamp: 15, follow: true })
    assert.equal((await reader.next()).value?.data.toString(), '20')
    const next = reader.next()
    await appendTimes(log, [30])
    assert.equal((await next).value?.data.toString(), '30')
    await reader.return()
  })

  suite.testPart(
    part,
    'waits, when it follows, for the first entry that is not older',
    async (log) => {
      await appendTimes(log, [10, 20])
      await log.barrier()
      const reader = log.read({ fromTimestamp: 100, follow: true })
      const next = reader.next()
      await appendTimes(log, [30, 100, 5])
      assert.equal((await next).value?.data.toString(), '100')
      assert.equal((await reader.next()).value?.data.toString(), '5')
      await reader.return()
    },
  )
}
