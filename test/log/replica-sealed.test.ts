import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type Log, verifyLog } from 'tidemark'
import { cloneAll, type ForgetfulFiles } from 'tidemark/testing'
import {
  assertCode,
  damageEntry,
  gateOn,
  newFiles,
  openOn,
  patchFile,
  placesOf,
  readFile,
  resizeFile,
  someTexts,
  storesOf,
  worstCrash,
} from './fixtures.ts'
import {
  appendTexts,
  assertHolds,
  entryOf,
  lines,
  openReplica,
  storedOf,
} from './replica-fixtures.ts'

const TEXTS = someTexts(60)
const ALL = { examine: 'all' } as const
const HEADER_BYTES = 64

/** A closed replica of several segments, and a whole copy of it. */
async function closedReplica() {
  const files = newFiles()
  const log = await openReplica(files)
  await appendTexts(log, TEXTS.slice(0, 20))
  await log.replica.append(TEXTS.slice(20, 24).map((text) => entryOf(text)))
  await appendTexts(log, TEXTS.slice(24), 2)
  log.replica.commit(60)
  await log.close()
  const stores = storesOf(files)
  assert(stores.length > 4, `${stores.length} segments`)
  return { files, peer: cloneAll(files), stores, sealed: stores.slice(0, -1) }
}

async function heal(log: Log, peer: ForgetfulFiles): Promise<void> {
  const whole = await openReplica(cloneAll(peer))
  while (log.replica.damage.length > 0) {
    const [range] = log.replica.damage
    const entries = await storedOf(whole, range!.offset, range!.endOffset)
    await log.replica.replaceDamaged(range!, entries)
  }
  await whole.close()
}

const EXPECTED = [...lines(TEXTS.slice(0, 24), 0, 1), ...lines(TEXTS.slice(24), 24, 2)]

async function assertSound(files: ForgetfulFiles, log: Log): Promise<void> {
  await assertHolds(log, EXPECTED)
  const { folder } = log
  await log.close()
  const report = await verifyLog(folder, { files })
  assert.deepEqual([report.damage, report.notes], [[], []])
  assert.equal(report.entries, 60)
}

function baseOf(store: string): number {
  return Number.parseInt(store, 10)
}

function flip(files: ForgetfulFiles, store: string, bit: number): void {
  patchFile(files, store, (bytes) => {
    bytes[bit >> 3]! ^= 1 << (bit & 7)
  })
}

describe('damage in sealed segments of a replica', () => {
  it('is found where it is looked for, in order, and repaired in place', async () => {
    const { files, peer, sealed } = await closedReplica()
    const hurt = [sealed[0]!, sealed[2]!, sealed[3]!]
    const expected: [string, number][] = []
    for (const store of hurt) {
      damageEntry(files, placesOf(peer, store)[2]!)
      expected.push([store, baseOf(store) + 2])
    }
    const unseen = await openReplica(files)
    assert.deepEqual(unseen.replica.damage, [])
    await unseen.close()
    const names = expected.map(([name]) => name)
    const log = await openReplica(files, { examine: [...names, 'no-such.store'] })
    const found = log.replica.damage.map(({ file, offset }) => [file, offset])
    assert.deepEqual(found, expected)
    for (const { offset, endOffset } of log.replica.damage) {
      assert.equal(endOffset, offset + 1)
      await assertCode('CORRUPT', log.get(offset))
      // Sound entries beside it can be read, and their terms are known.
      assert.equal((await log.get(offset + 1))?.offset, offset + 1)
      assert.equal(typeof log.replica.termAt(offset + 1), 'number')
    }
    await heal(log, peer)
    await assertSound(files, log)
  })

  it('is repaired wherever a store was cut off', async () => {
    const whole = await closedReplica()
    const [, middle] = whole.sealed
    const size = readFile(whole.peer, middle!).length
    for (const store of [whole.sealed[0]!, middle!, whole.sealed.at(-1)!]) {
      for (let left = 0; left < Math.min(size, readFile(whole.peer, store).length); left += 7) {
        const files = cloneAll(whole.peer)
        resizeFile(files, store, left)
        const log = await openReplica(files)
        assert.equal(log.replica.damage.length, 1, `${left} bytes of ${store}`)
        await heal(log, whole.peer)
        await assertSound(files, log)
      }
    }
  })

  it('is seen in the header of any segment, and put right by its checksum', async () => {
    const { peer, stores } = await closedReplica()
    for (const store of stores) {
      for (let bit = 0; bit < HEADER_BYTES * 8; bit += 5) {
        const files = cloneAll(peer)
        flip(files, store, bit)
        const log = await openReplica(files)
        assert(
          readFile(files, store)
            .subarray(0, HEADER_BYTES)
            .equals(readFile(peer, store).subarray(0, HEADER_BYTES)),
        )
        await assertSound(files, log)
      }
    }
  })

  it('is put right in a header of which nothing is left, if the neighbours say it', async () => {
    const { peer, stores } = await closedReplica()
    for (const [i, store] of stores.entries()) {
      const files = cloneAll(peer)
      patchFile(files, store, (bytes) => bytes.fill(0, 0, HEADER_BYTES))
      const before = readFile(files, store)
      if (i === stores.length - 1) {
        await assertCode('CORRUPT', openReplica(files))
        assert(readFile(files, store).equals(before), 'nothing was changed')
      } else await assertSound(files, await openReplica(files))
    }
  })

  it('keeps a replica from opening where no range of it has an end', async () => {
    const { files, sealed } = await closedReplica()
    // Its predecessor does not lead up to it any more, so its place is not certain.
    patchFile(files, sealed[2]!, (bytes) => bytes.fill(0, 0, HEADER_BYTES))
    patchFile(files, sealed[1]!, (bytes) => bytes.fill(0, 100))
    await assertCode('CORRUPT', openReplica(files, ALL))
  })

  it('is repaired wherever bits flip', async () => {
    const { peer, sealed } = await closedReplica()
    for (let round = 0; round < 60; round++) {
      const files = cloneAll(peer)
      let draw = round * 7919 + 1
      for (let flips = 0; flips < 1 + (round % 4); flips++) {
        draw = (draw * 48271) % 0x7fffffff
        const store = sealed[draw % sealed.length]!
        const bits = (readFile(peer, store).length - HEADER_BYTES) * 8
        flip(files, store, HEADER_BYTES * 8 + ((draw >> 4) % bits))
      }
      const log = await openReplica(files, ALL)
      await heal(log, peer)
      await assertSound(files, log)
    }
  })

  it('is repaired for good, whatever ends the process afterwards', async () => {
    const { files, peer, sealed } = await closedReplica()
    damageEntry(files, placesOf(peer, sealed[1]!)[1]!)
    resizeFile(files, sealed[3]!, 200)
    const log = await openReplica(files, ALL)
    await heal(log, peer)
    const crashed = worstCrash(files)
    await log.close()
    const again = await openReplica(crashed, ALL)
    assert.deepEqual(again.replica.damage, [])
    await assertSound(crashed, again)
  })

  it('is there still, where a crash comes while it is repaired', async () => {
    const { files, peer, sealed } = await closedReplica()
    damageEntry(files, placesOf(peer, sealed[1]!)[1]!)
    const log = await openReplica(files, ALL)
    const gate = gateOn(files, 'datasync', sealed[1])
    const healing = heal(log, peer)
    await gate.reached()
    const crashed = worstCrash(files)
    gate.open()
    await healing
    await log.close()
    const again = await openReplica(crashed, ALL)
    assert.equal(again.replica.damage.length, 1)
    await heal(again, peer)
    await assertSound(crashed, again)
  })

  it('is found by a check of every byte', async () => {
    const { files, peer, stores, sealed } = await closedReplica()
    damageEntry(files, placesOf(peer, sealed[1]!)[1]!)
    const log = await openReplica(files)
    const found: number[] = []
    let entries = 0
    let bytes = 0
    let segments = 0
    for (let next = 0; ; segments++) {
      const check = await log.replica.checkSegment(next, (count) => {
        bytes += count
      })
      if (!check) break
      entries += check.entries
      found.push(...check.damaged.map(({ offset }) => offset))
      next = check.end
    }
    assert.deepEqual(found, [baseOf(sealed[1]!) + 1])
    assert.equal(entries, 59)
    assert.equal(segments, stores.length)
    assert(
      bytes >= stores.reduce((sum, store) => sum + readFile(files, store).length - HEADER_BYTES, 0),
    )
    await log.close()
  })
})

describe('the examination of a log that is no replica', () => {
  it('is refused', async () => {
    await assertCode('INVALID_ARGUMENT', openOn(newFiles(), ALL))
  })
})
