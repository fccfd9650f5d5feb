import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Log } from 'tidemark'
import { cloneAll, type ForgetfulFiles, seededRandom } from 'tidemark/testing'
import {
  assertCode,
  damageEntry,
  entriesOf,
  newFiles,
  openOn,
  type PlainOptions,
  placesOf,
  storesOf,
  using,
} from './fixtures.ts'
import { entryOf, openReplica, usingReplica } from './replica-fixtures.ts'

const TINY: PlainOptions = { segmentBytes: 512, indexIntervalBytes: 1 }

/** Where a plain search finds the first entry that is not older, from `low` on. */
function expectedFrom(times: readonly number[], timestamp: number, low = 0): number[] {
  for (let i = low; i < times.length; i++) {
    if (times[i]! >= timestamp) return times.map((_, j) => j).slice(i)
  }
  return []
}

async function offsetsFrom(log: Log, fromTimestamp: number, reverse = false): Promise<number[]> {
  const entries = await entriesOf(log, { fromTimestamp, reverse })
  return entries.map((entry) => entry.offset)
}

/** Checks seeks to about 20 of the timestamps, and to the moment before and after each. */
async function assertSeeks(log: Log, times: readonly number[]): Promise<void> {
  const low = log.lowWaterMark
  const stride = Math.max(1, Math.floor(times.length / 20))
  const some = times.filter((_, i) => i % stride === 0)
  for (const timestamp of new Set(some.flatMap((time) => [time - 1, time, time + 1]))) {
    if (timestamp < 0) continue
    const expected = expectedFrom(times, timestamp, low)
    const first = await log.read({ fromTimestamp: timestamp }).next()
    assert.equal(first.value?.offset, expected[0], `from ${timestamp}`)
  }
  for (const timestamp of [times[0]!, times[times.length >> 1]!, Math.max(...times)]) {
    const expected = expectedFrom(times, timestamp, low)
    assert.deepEqual(await offsetsFrom(log, timestamp), expected)
    assert.deepEqual(await offsetsFrom(log, timestamp, true), expected.toReversed())
  }
  assert.deepEqual(await offsetsFrom(log, 2 ** 48 - 1), [])
}

async function appendTimes(log: Log, times: readonly number[]): Promise<void> {
  for (const timestamp of times) await log.append('x', { timestamp })
}

const RISING = Array.from({ length: 60 }, (_, i) => 1000 + 10 * i)
const JUMPING = Array.from({ length: 60 }, (_, i) => 1000 + ((i * 7919) % 500))
const FALLING = RISING.toReversed()
const EQUAL = RISING.map(() => 5000)

describe('seeking by time', () => {
  for (const [name, times] of [
    ['rise', RISING],
    ['jump', JUMPING],
    ['fall', FALLING],
    ['are equal', EQUAL],
  ] as const) {
    it(`finds the first entry across segments when times ${name}`, async () => {
      for (const indexIntervalBytes of [1, 100, 4096]) {
        const files = newFiles()
        const options = { ...TINY, indexIntervalBytes }
        await using(files, options, async (log) => {
          await appendTimes(log, times)
          await assertSeeks(log, times)
        })
        for (const mode of ['append', 'read'] as const) {
          await using(files, { ...options, mode }, (log) => assertSeeks(log, times))
        }
      }
    })
  }

  it('stays right after a trim', async () => {
    for (const before of [1, 7, 30, 59, 60]) {
      const files = newFiles()
      await using(files, TINY, async (log) => {
        await appendTimes(log, JUMPING)
        await log.trim(before)
        await assertSeeks(log, JUMPING)
      })
      await using(files, TINY, (log) => assertSeeks(log, JUMPING))
    }
  })

  it('stays right after a crash, and without index files', async () => {
    const files = newFiles()
    const log = await openOn(files, TINY)
    await appendTimes(log, JUMPING)
    const left = cloneAll(files)
    await log.close()
    await using(left, TINY, (again) => assertSeeks(again, JUMPING))
    removeIndexes(files)
    await using(files, TINY, (again) => assertSeeks(again, JUMPING))
  })

  it('stays right after a cut, whose entries may have been the newest', async () => {
    for (const cut of [0, 3, 20, 35, 59]) {
      const files = newFiles()
      const after = Array.from({ length: 30 }, (_, i) => 900 + ((i * 31) % 300))
      const times = [...JUMPING.slice(0, cut), ...after]
      await usingReplica(files, {}, async (log) => {
        for (const timestamp of JUMPING) {
          await log.replica.append([entryOf('x', 1, { timestamp })])
        }
        await log.replica.truncateAfter(cut)
        for (const timestamp of after) await log.replica.append([entryOf('y', 2, { timestamp })])
        log.replica.commit(times.length)
        await assertSeeks(log, times)
      })
      await usingReplica(files, {}, (log) => assertSeeks(log, times))
      removeIndexes(files)
      await usingReplica(files, {}, (log) => assertSeeks(log, times))
    }
  })

  it('stays right after a reset', async () => {
    const files = newFiles()
    const log = await openReplica(files)
    for (const timestamp of RISING) await log.replica.append([entryOf('x', 1, { timestamp })])
    await log.replica.reset(100, 2)
    await log.replica.append([entryOf('y', 2, { timestamp: 50 })])
    log.replica.commit(101)
    assert.deepEqual(await offsetsFrom(log, 50), [100])
    assert.deepEqual(await offsetsFrom(log, 51), [])
    await log.close()
  })

  it('stays right after an append that failed and was undone', async () => {
    const files = newFiles()
    await using(files, { ...TINY, preallocate: false }, async (log) => {
      await appendTimes(log, RISING.slice(0, 5))
      files.capacityBytes = 0
      await assertCode('IO', log.append('newest of all', { timestamp: 10 ** 6 }))
      files.capacityBytes = Number.POSITIVE_INFINITY
      await appendTimes(log, RISING.slice(5))
      await assertSeeks(log, RISING)
    })
    await using(files, TINY, (log) => assertSeeks(log, RISING))
  })

  it('counts a batch stored whole as one', async () => {
    await using(newFiles(), TINY, async (log) => {
      await log.append('a', { timestamp: 10, count: 5 })
      await log.append('b', { timestamp: 20, count: 5 })
      assert.deepEqual(await offsetsFrom(log, 11), [5])
      await log.trim(7)
      assert.deepEqual(await offsetsFrom(log, 11), [5])
      assert.deepEqual(await offsetsFrom(log, 21), [])
    })
  })

  it('agrees with a plain search on random logs', async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const random = seededRandom(seed)
      const below = (n: number) => random.uint32() % n
      const files = newFiles()
      const options = { segmentBytes: 512 + below(2000), indexIntervalBytes: 1 + below(600) }
      const times: number[] = []
      for (let opening = 0; opening < 3; opening++) {
        await using(files, options, async (log) => {
          for (let i = below(40); i >= 0; i--) {
            times.push(below(200))
            await log.append('x'.repeat(below(100)), { timestamp: times.at(-1)! })
          }
          if (below(2) === 0)
            await log.trim(Math.min(log.highWaterMark, log.lowWaterMark + below(10)))
          await assertSeeks(log, times)
        })
      }
    }
  })

  it('does not step over damage in silence', async () => {
    const files = newFiles()
    await using(files, TINY, (log) => appendTimes(log, RISING))
    const store = storesOf(files)[1]!
    const places = placesOf(files, store)
    const hurt = Number(store.slice(0, 20)) + 2
    damageEntry(files, places[2]!)
    removeIndexes(files)
    await using(files, TINY, async (log) => {
      // What is looked for lies in the same segment, behind the damage: found, or refused.
      const found = await offsetsFrom(log, RISING[hurt + 1]!).catch((error) => {
        assert.equal(error.code, 'CORRUPT')
        return undefined
      })
      if (found) assert.equal(found[0], hurt + 1)
      const error = await assertCode('CORRUPT', offsetsFrom(log, RISING[hurt]!))
      assert.equal(error.details.offset, hurt)
    })
  })
})

function removeIndexes(files: ForgetfulFiles): void {
  for (const name of files.listSync('/log')) {
    if (name.endsWith('.index')) files.removeSync(`/log/${name}`)
  }
}
