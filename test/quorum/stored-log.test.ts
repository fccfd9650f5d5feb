import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Log } from 'tidemark'
import { storedLog } from '#dist/quorum/stored-log.js'
import { damageEntry, newFiles, placesOf, resizeFile, storesOf } from '../log/fixtures.ts'
import { appendTexts, entryOf, openReplica } from '../log/replica-fixtures.ts'

const TEXTS = Array.from({ length: 30 }, (_, i) => `text ${i} ${'x'.repeat(40)}`)

/** A closed replica: entries of terms 1 and 2, then an empty segment, since the rest was cut off at `end`. */
async function cutReplica(end: number) {
  const files = newFiles()
  const log = await openReplica(files)
  await appendTexts(log, TEXTS.slice(0, 10))
  await log.replica.append(TEXTS.slice(10, 13).map((text) => entryOf(text, 2)))
  await appendTexts(log, TEXTS.slice(13), 2)
  await log.replica.truncateAfter(end)
  await log.close()
  return files
}

async function holesOf(log: Log) {
  const { holes, last, terms } = await storedLog(log)
  await log.close()
  return { holes, last, terms }
}

describe('the holes of a log', () => {
  const terms = [
    { term: 1, start: 0 },
    { term: 2, start: 10 },
  ]

  it('reach to the end of a sealed segment, where nothing follows', async () => {
    const files = await cutReplica(20)
    const stores = storesOf(files)
    const last = stores.at(-2)!
    damageEntry(files, placesOf(files, last).at(-1)!)
    const found = await holesOf(await openReplica(files, { examine: 'all' }))
    const holes = [{ from: 19, to: 20, term: 2 }]
    assert.deepEqual(found, { holes, last: { term: 2, mark: 20 }, terms })
  })

  it('are whole batches, and one where they touch each other across segments', async () => {
    const files = await cutReplica(25)
    const stores = storesOf(files).slice(0, -1)
    const [first, second] = stores
    damageEntry(files, placesOf(files, first!).at(-1)!)
    damageEntry(files, placesOf(files, second!)[0]!)
    // Within the batch of three.
    const third = stores.find((store) => {
      return Number.parseInt(store, 10) + placesOf(files, store).length > 11
    })!
    damageEntry(files, placesOf(files, third)[11 - Number.parseInt(third, 10)]!)
    const border = Number.parseInt(second!, 10)
    const { holes, ...rest } = await holesOf(await openReplica(files, { examine: 'all' }))
    assert(border < 9, `the second segment begins at ${border}`)
    assert.deepEqual(holes, [
      { from: border - 1, to: border + 2, term: 1 },
      { from: 10, to: 13, term: 2 },
    ])
    assert.deepEqual(rest, { last: { term: 2, mark: 25 }, terms })
  })

  it('are all of a segment whose store is gone but for its name', async () => {
    const files = await cutReplica(25)
    const [, second, third] = storesOf(files)
    resizeFile(files, second!, 0)
    const { holes } = await holesOf(await openReplica(files))
    const [from, to] = [second!, third!].map((store) => Number.parseInt(store, 10))
    assert.equal(holes.length, 1)
    assert(holes[0]!.from <= from! && holes[0]!.to >= to!, JSON.stringify(holes))
  })
})
