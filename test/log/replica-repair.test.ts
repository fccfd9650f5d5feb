import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { DamagedRange, Log, ReplicaEntry } from 'tidemark'
import { cloneAll, type ForgetfulFiles, ManualClock } from 'tidemark/testing'
import {
  assertCode,
  damageEntry,
  everyFile,
  failOn,
  newFiles,
  patchFile,
  placesOf,
  readFile,
  resizeFile,
  someTexts,
  storesOf,
  textsOf,
  worstCrash,
  writeFile,
} from './fixtures.ts'
import {
  appendTexts,
  assertHolds,
  entryOf,
  lines,
  openReplica,
  storedOf,
  usingReplica,
} from './replica-fixtures.ts'

const ONE_SEGMENT = { segmentBytes: 2 ** 20 }
const TEXTS = someTexts(12)

interface Damaged {
  readonly files: ForgetfulFiles
  /** The same log, whole. */
  readonly peer: ForgetfulFiles
  readonly store: string
}

/** A replica whose process died with all entries synced and the marks written, not yet damaged. */
async function killedReplica(committed = 12): Promise<Damaged> {
  const files = newFiles()
  const clock = new ManualClock()
  const log = await openReplica(files, { ...ONE_SEGMENT, clock })
  await appendTexts(log, TEXTS.slice(0, 5))
  await log.replica.append(TEXTS.slice(5, 8).map((text) => entryOf(text)))
  for (const text of TEXTS.slice(8)) await appendTexts(log, [text])
  log.replica.commit(committed)
  await clock.advance(5)
  const left = cloneAll(files)
  const peer = cloneAll(files)
  await log.close()
  return { files: left, peer, store: storesOf(left)[0]! }
}

function damageAt(damaged: Damaged, lsns: readonly number[]): void {
  const places = placesOf(damaged.peer, damaged.store)
  for (const lsn of lsns) damageEntry(damaged.files, places[lsn]!)
}

/** Damages headers, so that it cannot be told where the entries behind the first begin. */
function damageHeaders(files: ForgetfulFiles, { peer, store }: Damaged, lsns: readonly number[]) {
  const bytes = readFile(files, store)
  for (const lsn of lsns) bytes[placesOf(peer, store)[lsn]!.position + 16]! ^= 1
  writeFile(files, store, bytes)
}

/** What a peer hands out for a range. */
async function fromPeer(peer: ForgetfulFiles, range: DamagedRange): Promise<ReplicaEntry[]> {
  return usingReplica(cloneAll(peer), ONE_SEGMENT, (log) =>
    storedOf(log, range.offset, range.endOffset),
  )
}

async function heal(log: Log, peer: ForgetfulFiles): Promise<void> {
  for (const range of [...log.replica.damage]) {
    await log.replica.replaceDamaged(range, await fromPeer(peer, range))
  }
}

function rangesOf(log: Log): [number, number][] {
  return log.replica.damage.map(({ offset, endOffset }) => [offset, endOffset])
}

describe('a replica’s damage', () => {
  it('is a result of opening, and changes nothing', async () => {
    const damaged = await killedReplica()
    damageAt(damaged, [3, 6, 9])
    const before = readFile(damaged.files, damaged.store)
    const log = await openReplica(damaged.files, ONE_SEGMENT)
    assert.deepEqual(rangesOf(log), [
      [3, 4],
      [6, 7],
      [9, 10],
    ])
    assert.equal(log.replica.endOffset, 12)
    assert.equal(log.highWaterMark, 12)
    const after = readFile(damaged.files, damaged.store)
    assert(after.equals(before.subarray(0, after.length)), 'the bytes stay as they were')
    assert(
      before.subarray(after.length).every((byte) => byte === 0),
      'only reserved space is given back',
    )
    const error = await assertCode('CORRUPT', textsOf(log))
    assert.equal(error.details.offset, 3)
    assert.deepEqual(await textsOf(log, { from: 4, to: 6 }), TEXTS.slice(4, 6))
    assert.deepEqual(await textsOf(log, { from: 10 }), TEXTS.slice(10))
    await log.close()
  })

  it('leaves nothing in memory by which an entry would be taken for another when it is mended', async () => {
    const damaged = await killedReplica()
    damageAt(damaged, [3])
    const log = await openReplica(damaged.files, ONE_SEGMENT)
    const all = async () => {
      const texts: (string | undefined)[] = []
      for (const offset of TEXTS.keys()) {
        if (log.replica.damage.some((range) => range.offset === offset)) continue
        texts.push((await log.get(offset))?.data.toString())
      }
      return texts
    }
    assert.deepEqual(await all(), TEXTS.toSpliced(3, 1))
    await heal(log, damaged.peer)
    assert.deepEqual(await all(), TEXTS)
    assert.deepEqual(await all(), TEXTS)
    await log.close()
  })

  it('is never taken for another entry', async () => {
    for (const lsn of [0, 3, 5, 6, 7, 10]) {
      for (const indexIntervalBytes of [1, 4096]) {
        const damaged = await killedReplica()
        damageAt(damaged, [lsn])
        const log = await openReplica(damaged.files, { ...ONE_SEGMENT, indexIntervalBytes })
        const error = await assertCode('CORRUPT', log.get(lsn))
        assert.equal(error.details.offset, lsn)
        await log.close()
      }
    }
  })

  it('is found again until it is repaired: after closing, and after a crash', async () => {
    const damaged = await killedReplica()
    damageAt(damaged, [2])
    for (let opening = 0; opening < 3; opening++) {
      const log = await openReplica(damaged.files, ONE_SEGMENT)
      assert.deepEqual(rangesOf(log), [[2, 3]])
      await appendTexts(log, [`opening ${opening}`], 2)
      await usingReplica(cloneAll(damaged.files), ONE_SEGMENT, async (again) => {
        assert.deepEqual(rangesOf(again), [[2, 3]])
      })
      await log.close()
    }
  })

  it('at the end of the log is found again too: the proof is not thrown away', async () => {
    for (const hurt of ['flipped', 'gone', 'zero'] as const) {
      const damaged = await killedReplica()
      const last = placesOf(damaged.files, damaged.store)[11]!
      if (hurt === 'flipped') damageEntry(damaged.files, last)
      if (hurt === 'gone') resizeFile(damaged.files, damaged.store, last.position)
      if (hurt === 'zero') {
        patchFile(damaged.files, damaged.store, (bytes) => bytes.fill(0, last.position))
      }
      for (let opening = 0; opening < 2; opening++) {
        const log = await openReplica(damaged.files, ONE_SEGMENT)
        assert.deepEqual(rangesOf(log), [[11, 12]], `${hurt}, opening ${opening}`)
        await usingReplica(cloneAll(damaged.files), ONE_SEGMENT, async (again) => {
          assert.deepEqual(rangesOf(again), [[11, 12]], `${hurt}, killed in opening ${opening}`)
        })
        await log.close()
      }
    }
  })

  it('at the end of the log is gone once the entries are appended again', async () => {
    const damaged = await killedReplica()
    const place = placesOf(damaged.files, damaged.store)[10]!
    resizeFile(damaged.files, damaged.store, place.position)
    await usingReplica(damaged.files, ONE_SEGMENT, async (log) => {
      assert.deepEqual(rangesOf(log), [[10, 12]])
      assert.equal(log.replica.endOffset, 10)
      await appendTexts(log, TEXTS.slice(10))
      assert.deepEqual(log.replica.damage, [])
      log.replica.commit(12)
      assert.deepEqual(await textsOf(log), TEXTS)
    })
    await usingReplica(damaged.files, ONE_SEGMENT, async (log) => {
      assert.deepEqual(log.replica.damage, [])
      await assertHolds(log, lines(TEXTS, 0, 1))
    })
  })

  it('is proven by a clean end too', async () => {
    const files = newFiles()
    await usingReplica(files, ONE_SEGMENT, async (log) => {
      await appendTexts(log, TEXTS)
      log.replica.commit(12)
    })
    const [store] = storesOf(files)
    files.removeSync('/log/marks')
    resizeFile(files, store!, placesOf(files, store!)[11]!.position + 20)
    for (let opening = 0; opening < 2; opening++) {
      const log = await openReplica(files, ONE_SEGMENT)
      assert.deepEqual(rangesOf(log), [[11, 12]], `opening ${opening}`)
      await usingReplica(cloneAll(files), ONE_SEGMENT, async (again) => {
        assert.deepEqual(rangesOf(again), [[11, 12]], `killed in opening ${opening}`)
      })
      await log.close()
    }
  })

  it('is none where the tail is only torn', async () => {
    const files = newFiles()
    const log = await openReplica(files, { ...ONE_SEGMENT, sync: 'never' })
    await appendTexts(log, TEXTS)
    const left = cloneAll(files)
    await log.close()
    left.removeSync('/log/marks')
    const [store] = storesOf(left)
    damageEntry(left, placesOf(left, store!)[7]!)
    await usingReplica(left, ONE_SEGMENT, async (again) => {
      assert.deepEqual(again.replica.damage, [])
      await assertHolds(again, lines(TEXTS.slice(0, 7), 0, 1))
    })
  })

  it('does not let a torn tail of the same term come back behind what is appended', async () => {
    const files = newFiles()
    const log = await openReplica(files, { ...ONE_SEGMENT, sync: 'never' })
    await appendTexts(log, ['a', 'b', 'the same length', 'nobody was promised this'])
    const left = cloneAll(files)
    await log.close()
    left.removeSync('/log/marks')
    const [store] = storesOf(left)
    damageEntry(left, placesOf(left, store!)[2]!)
    const again = await openReplica(left, { ...ONE_SEGMENT, sync: 'never' })
    await appendTexts(again, ['THE SAME LENGTH'])
    const killed = cloneAll(left)
    await again.close()
    await usingReplica(killed, ONE_SEGMENT, async (last) => {
      assert.deepEqual(last.replica.damage, [])
      await assertHolds(last, lines(['a', 'b', 'THE SAME LENGTH'], 0, 1))
    })
  })

  it('of a whole segment or the meta file refuses even a replica', async () => {
    const files = newFiles()
    await usingReplica(files, {}, (log) => appendTexts(log, someTexts(40)))
    const lost = cloneAll(files)
    lost.removeSync(`/log/${storesOf(lost)[1]}`)
    await assertCode('CORRUPT', openReplica(lost))
    const metaLost = cloneAll(files)
    metaLost.removeSync('/log/meta')
    await assertCode('CORRUPT', openReplica(metaLost))
  })
})

/** Which entries are hurt, of twelve of which 5 to 7 are one batch. */
const INJURIES = [
  { what: 'one entry', hurt: [3] },
  { what: 'a whole batch', hurt: [5, 6, 7] },
  { what: 'the last entry of a batch', hurt: [7] },
  { what: 'the first entry of a batch', hurt: [5] },
  { what: 'an entry inside a batch', hurt: [6] },
  { what: 'two ranges', hurt: [2, 8] },
  { what: 'the first entry of the segment', hurt: [0] },
  { what: 'the first few entries of the segment', hurt: [0, 1, 2, 3] },
]

describe('replaceDamaged', () => {
  for (const { what, hurt } of INJURIES) {
    it(`heals ${what} with a peer’s entries, byte by byte`, async () => {
      const damaged = await killedReplica()
      damageAt(damaged, hurt)
      await usingReplica(damaged.files, ONE_SEGMENT, async (log) => {
        assert(log.replica.damage.length > 0)
        await heal(log, damaged.peer)
        assert.deepEqual(log.replica.damage, [])
        assert.deepEqual(await textsOf(log), TEXTS)
        for (let i = 0; i < 12; i++) assert.equal((await log.get(i))?.data.toString(), TEXTS[i])
      })
      await usingReplica(damaged.files, ONE_SEGMENT, async (log) => {
        assert.deepEqual(log.replica.damage, [])
        await assertHolds(log, lines(TEXTS, 0, 1))
        const mine = await storedOf(log)
        const theirs = await usingReplica(damaged.peer, ONE_SEGMENT, (peer) => storedOf(peer))
        assert.deepEqual(mine, theirs, 'every field is the same, the ends of batches too')
      })
    })
  }

  it('is durable when it resolves', async () => {
    const damaged = await killedReplica()
    damageAt(damaged, [3, 9])
    const log = await openReplica(damaged.files, ONE_SEGMENT)
    await heal(log, damaged.peer)
    await usingReplica(worstCrash(damaged.files), ONE_SEGMENT, async (again) => {
      assert.deepEqual(again.replica.damage, [])
      await assertHolds(again, lines(TEXTS, 0, 1))
    })
    await log.close()
  })

  it('goes together with appends', async () => {
    const damaged = await killedReplica()
    damageAt(damaged, [3])
    const log = await openReplica(damaged.files, ONE_SEGMENT)
    const [range] = log.replica.damage
    const entries = await fromPeer(damaged.peer, range!)
    await Promise.all([
      appendTexts(log, ['before'], 2),
      log.replica.replaceDamaged(range!, entries),
      appendTexts(log, ['after'], 2),
    ])
    await assertHolds(log, [...lines(TEXTS, 0, 1), '12/2 before', '13/2 after'])
    await log.close()
    await usingReplica(damaged.files, ONE_SEGMENT, async (again) => {
      await assertHolds(again, [...lines(TEXTS, 0, 1), '12/2 before', '13/2 after'])
    })
  })

  it('refuses entries that do not fill the range, or do not fit their checksum', async () => {
    const damaged = await killedReplica()
    damageAt(damaged, [3])
    const log = await openReplica(damaged.files, ONE_SEGMENT)
    const [range] = log.replica.damage
    const [entry] = await fromPeer(damaged.peer, range!)
    const before = everyFile(damaged.files)
    const wrong: [string, ReplicaEntry[]][] = [
      ['INVALID_ARGUMENT', []],
      ['INVALID_ARGUMENT', [entry!, entry!]],
      ['INVALID_ARGUMENT', [entryOf('longer than the one before')]],
      ['INVALID_ARGUMENT', [{ ...entry!, count: 2 }]],
      ['CORRUPT', [{ ...entry!, data: Buffer.from('ENTRY 3') }]],
    ]
    for (const [code, entries] of wrong) {
      await assertCode(code as 'CORRUPT', () => log.replica.replaceDamaged(range!, entries))
    }
    const other: DamagedRange = { ...range!, offset: 4, endOffset: 5 }
    await assertCode('INVALID_ARGUMENT', () => log.replica.replaceDamaged(other, [entry!]))
    assert.deepEqual(everyFile(damaged.files), before)
    assert.deepEqual(rangesOf(log), [[3, 4]])
    await heal(log, damaged.peer)
    await assertCode('INVALID_ARGUMENT', () => log.replica.replaceDamaged(range!, [entry!]))
    await log.close()
  })

  it('is left behind by a reset, below what was shown too', async () => {
    const damaged = await killedReplica(9)
    damageAt(damaged, [4])
    const log = await openReplica(damaged.files, ONE_SEGMENT)
    assert.equal(log.highWaterMark, 9)
    await log.replica.reset(6, 0)
    assert.deepEqual(rangesOf(log), [])
    assert.deepEqual([log.lowWaterMark, log.highWaterMark, log.replica.endOffset], [6, 6, 6])
    await appendTexts(log, ['goes on'], 2)
    log.replica.commit(7)
    await usingReplica(worstCrash(damaged.files), ONE_SEGMENT, async (again) => {
      assert.deepEqual(rangesOf(again), [])
      assert.equal(again.lowWaterMark, 6)
      again.replica.commit(7)
      assert.deepEqual(await textsOf(again, { from: 6 }), ['goes on'])
      await assertCode('INVALID_ARGUMENT', again.replica.reset(6, 0))
    })
    await log.close()
  })

  it('is cut off at the low-water mark, where that lies within it', async () => {
    const damaged = await killedReplica(9)
    const low = await openReplica(damaged.files, ONE_SEGMENT)
    await low.trim(9)
    const files = cloneAll(damaged.files)
    damageHeaders(files, damaged, [8, 9])
    const log = await openReplica(files, ONE_SEGMENT)
    assert.deepEqual(rangesOf(log), [[8, 10]])
    await log.replica.truncateAfter(9)
    assert.deepEqual(rangesOf(log), [])
    await appendTexts(log, ['goes on'], 2)
    log.replica.commit(10)
    assert.deepEqual(await textsOf(log, { from: 9 }), ['goes on'])
    await log.close()
    await low.close()
  })

  it('is repaired from the low-water mark on, where that lies within it', async () => {
    const damaged = await killedReplica(9)
    const low = await openReplica(damaged.files, ONE_SEGMENT)
    await low.trim(9)
    const files = cloneAll(damaged.files)
    damageHeaders(files, damaged, [8, 9])
    const log = await openReplica(files, ONE_SEGMENT)
    const [range] = log.replica.damage
    assert.deepEqual(rangesOf(log), [[8, 10]])
    const [, second] = await fromPeer(damaged.peer, range!)
    await assertCode('INVALID_ARGUMENT', log.replica.replaceDamaged(range!, [second!], 10))
    await assertCode('INVALID_ARGUMENT', log.replica.replaceDamaged(range!, [second!, second!], 9))
    await log.replica.replaceDamaged(range!, [second!], 9)
    assert.deepEqual(rangesOf(log), [])
    log.replica.commit(12)
    assert.deepEqual(await textsOf(log, { from: 9 }), TEXTS.slice(9))
    await log.close()
    await low.close()
  })

  it('below the low-water mark is in nobody’s way', async () => {
    const damaged = await killedReplica(3)
    const low = await openReplica(damaged.files, ONE_SEGMENT)
    await low.trim(3)
    const files = cloneAll(damaged.files)
    const places = placesOf(files, damaged.store)
    for (const lsn of [2, 4]) damageEntry(files, places[lsn]!)
    const log = await openReplica(files, ONE_SEGMENT)
    assert.deepEqual(rangesOf(log), [
      [2, 3],
      [4, 5],
    ])
    await log.replica.truncateAfter(3)
    assert.deepEqual(rangesOf(log), [])
    await appendTexts(log, ['goes on'], 2)
    log.replica.commit(4)
    assert.deepEqual(await textsOf(log, { from: 3 }), ['goes on'])
    await log.close()
    await low.close()
  })

  it('is repaired at its beginning, and the rest cut off', async () => {
    const damaged = await killedReplica(7)
    damageHeaders(damaged.files, damaged, [8, 9])
    const log = await openReplica(damaged.files, ONE_SEGMENT)
    const [range] = log.replica.damage
    assert.deepEqual(rangesOf(log), [[8, 10]])
    const [first] = await fromPeer(damaged.peer, range!)
    await assertCode(
      'INVALID_ARGUMENT',
      log.replica.replaceDamaged(range!, [{ ...first!, more: true }]),
    )
    await log.replica.replaceDamaged(range!, [{ ...first!, more: false }])
    assert.deepEqual(rangesOf(log), [[9, 10]])
    await log.replica.truncateAfter(9)
    await appendTexts(log, ['goes on'], 2)
    log.replica.commit(10)
    assert.deepEqual(rangesOf(log), [])
    assert.deepEqual(await textsOf(log), [...TEXTS.slice(0, 9), 'goes on'])
    await log.close()
    await usingReplica(damaged.files, ONE_SEGMENT, async (again) => {
      assert.deepEqual(rangesOf(again), [])
      assert.deepEqual(await textsOf(again), [...TEXTS.slice(0, 9), 'goes on'])
    })
  })

  it('is cut off with what it lies in, but not left below a cut', async () => {
    const damaged = await killedReplica(3)
    damageAt(damaged, [4, 9])
    const log = await openReplica(damaged.files, ONE_SEGMENT)
    const error = await assertCode('CORRUPT', log.replica.truncateAfter(8))
    assert.equal(error.details.offset, 4)
    assert.deepEqual(rangesOf(log), [
      [4, 5],
      [9, 10],
    ])
    await log.replica.truncateAfter(4)
    assert.deepEqual(rangesOf(log), [])
    await appendTexts(log, ['goes on'], 2)
    log.replica.commit(5)
    await log.close()
    await usingReplica(damaged.files, ONE_SEGMENT, async (again) => {
      assert.deepEqual(rangesOf(again), [])
      assert.deepEqual(await textsOf(again), [...TEXTS.slice(0, 4), 'goes on'])
    })
  })

  it('that fails on the disk leaves the range damaged, to be replaced later', async () => {
    const damaged = await killedReplica()
    damageAt(damaged, [3])
    const log = await openReplica(damaged.files, ONE_SEGMENT)
    failOn(damaged.files, 'write', '.store', 'EIO', 1)
    await assertCode('IO', heal(log, damaged.peer))
    assert.deepEqual(rangesOf(log), [[3, 4]])
    damaged.files.fault = undefined
    await heal(log, damaged.peer)
    await assertHolds(log, lines(TEXTS, 0, 1))
    await log.close()
  })

  it('is refused without damage', async () => {
    await usingReplica(newFiles(), ONE_SEGMENT, async (log) => {
      await appendTexts(log, TEXTS)
      const range: DamagedRange = {
        segmentId: 1,
        file: '',
        offset: 0,
        endOffset: 1,
        position: 64,
        endPosition: 110,
        problem: 'none',
      }
      await assertCode('INVALID_ARGUMENT', () => log.replica.replaceDamaged(range, [entryOf('x')]))
    })
  })
})
