import assert from 'node:assert/strict'
import diagnostics from 'node:diagnostics_channel'
import { afterEach, describe, it } from 'node:test'
import type { LogEvents } from 'tidemark'
import { cloneAll, ManualClock } from 'tidemark/testing'
import {
  assertCode,
  damageEntry,
  entriesOf,
  failOn,
  newFiles,
  openOn,
  placesOf,
  resizeFile,
  settle,
  storesOf,
  using,
  writeFile,
} from './fixtures.ts'
import { openReplica } from './replica-fixtures.ts'

type Name = keyof LogEvents
const NAMES: readonly Name[] = [
  'tidemark:sync',
  'tidemark:roll',
  'tidemark:recovery',
  'tidemark:damage',
  'tidemark:poison',
  'tidemark:trim',
]
const undo: (() => void)[] = []
afterEach(() => {
  for (const each of undo.splice(0)) each()
})

/** What is told on a channel from now on, until the test ends. */
function listen<N extends Name>(name: N): LogEvents[N][] {
  const heard: LogEvents[N][] = []
  const hear = (message: unknown) => {
    heard.push(message as LogEvents[N])
  }
  diagnostics.subscribe(name, hear)
  undo.push(() => diagnostics.unsubscribe(name, hear))
  return heard
}

const ENTRY_BYTES = 40 + 60
const DATA = Buffer.alloc(60)

describe('the metrics of a log', () => {
  it('count appends, entries, bytes, groups and syncs', async () => {
    const files = newFiles()
    const log = await openOn(files)
    const before = log.metrics()
    assert.deepEqual([before.appends, before.groups, before.syncs], [0, 0, 0])
    await log.append(DATA)
    await Promise.all([log.append(DATA), log.append(DATA), log.appendBatch([DATA, DATA])])
    await log.append(DATA, { count: 7 })
    log.appendSync(DATA)
    const after = log.metrics()
    assert.equal(after.appends, 6)
    assert.equal(after.entries, log.highWaterMark)
    assert.equal(after.bytes, 7 * ENTRY_BYTES)
    assert.equal(after.storeBytes, 64 + 7 * ENTRY_BYTES)
    assert.deepEqual([after.groups, after.syncs, after.segments], [4, 4, 1])
    assert.deepEqual(after.groupAppends.counts.slice(0, 3), [3, 0, 1])
    assert.deepEqual([after.groupAppends.count, after.groupAppends.sum], [4, 6])
    assert.equal(after.groupAppends.counts.length, after.groupAppends.bounds.length + 1)
    assert.equal(before.appends, 0, 'what was given out does not change')
    await log.close()
  })

  it('do not count what was rejected', async () => {
    const files = newFiles()
    const log = await openOn(files)
    failOn(files, 'write', '.store', 'ENOSPC', 1)
    await assertCode('IO', log.append(DATA))
    assert.equal(log.metrics().appends, 0)
    await log.append(DATA)
    assert.deepEqual([log.metrics().appends, log.metrics().bytes], [1, ENTRY_BYTES])
    await log.close()
  })

  it('measure syncs by the clock, under every policy', async () => {
    for (const sync of ['always', 'never', { intervalMs: 10 }] as const) {
      const files = newFiles()
      const clock = new ManualClock()
      const log = await openOn(files, { clock, sync })
      const heard = listen('tidemark:sync')
      files.syncDelay = async (op) => {
        if (op.path.endsWith('.store')) await new Promise<void>((done) => clock.after(3, done))
      }
      const append = log.append(DATA)
      for (let i = 0; i < 40; i++) await clock.advance(1)
      await append
      const flush = log.flush()
      for (let i = 0; i < 5; i++) await clock.advance(1)
      await flush
      const { syncMs, syncs } = log.metrics()
      assert.deepEqual([syncs, syncMs.sum], [1, 3])
      // More than 2.5 ms, and at most 5.
      assert.equal(syncMs.counts[syncMs.bounds.indexOf(5)], 1)
      assert.deepEqual(heard, [{ folder: '/log', ms: 3, syncedMark: 1 }])
      files.syncDelay = async () => {}
      await log.close()
      for (const each of undo.splice(0)) each()
    }
  })

  it('count rolls and trims, and tell of both', async () => {
    const files = newFiles()
    const [rolls, trims] = [listen('tidemark:roll'), listen('tidemark:trim')]
    const log = await openOn(files, { segmentBytes: 64 + 5 * ENTRY_BYTES })
    for (let i = 0; i < 12; i++) await log.append(DATA)
    const stores = storesOf(files)
    await log.trim(7)
    await log.trim(7)
    const { rolls: rolled, trims: trimmed, trimmedBytes, segments } = log.metrics()
    assert.deepEqual([rolled, trimmed, trimmedBytes, segments], [2, 1, 564, 2])
    const [sealed, active] = stores
    assert.deepEqual(rolls[0], { folder: '/log', sealed, bytes: 564, active, base: 5 })
    assert.equal(rolls.length, 2)
    assert.deepEqual(trims, [{ folder: '/log', from: 0, lowWaterMark: 7, segments: 1, bytes: 564 }])
    await log.close()
  })

  it('say what an opening has recovered, and what was torn', async () => {
    const files = newFiles()
    const heard = listen('tidemark:recovery')
    const log = await openOn(files, { preallocate: false })
    for (let i = 0; i < 3; i++) await log.append(DATA)
    const killed = cloneAll(files)
    await log.close()
    const [store] = storesOf(killed)
    resizeFile(killed, store!, 64 + 3 * ENTRY_BYTES + 40)
    const bytes = Buffer.alloc(64 + 3 * ENTRY_BYTES + 40)
    const file = killed.openSync(`/log/${store}`, 'write')
    file.readSync(bytes, 0)
    bytes.fill(0x5a, bytes.length - 40, bytes.length - 10)
    file.writeSync(bytes, 0)
    file.closeSync()
    await using(killed, {}, async (again) => {
      const { recoveredBytes, tornBytes } = again.metrics()
      assert.deepEqual([recoveredBytes, tornBytes], [3 * ENTRY_BYTES, 30])
    })
    await using(killed, {}, async (again) => {
      const { recoveredBytes, tornBytes } = again.metrics()
      assert.deepEqual([recoveredBytes, tornBytes], [0, 0], 'it was closed')
    })
    assert.deepEqual(
      heard.map(({ recoveredBytes, tornBytes, highWaterMark }) => {
        return [recoveredBytes, tornBytes, highWaterMark]
      }),
      [
        [0, 0, 0],
        [3 * ENTRY_BYTES, 30, 3],
        [0, 0, 3],
      ],
    )
  })

  it('count damage where it is met, and tell where it is', async () => {
    const files = newFiles()
    const heard = listen('tidemark:damage')
    await using(files, {}, async (log) => {
      for (let i = 0; i < 3; i++) await log.append(DATA)
    })
    const [store] = storesOf(files)
    const place = placesOf(files, store!)[1]!
    damageEntry(files, place)
    for (const mode of ['append', 'read'] as const) {
      heard.length = 0
      const log = await openOn(files, { mode })
      await assertCode('CORRUPT', entriesOf(log))
      await assertCode('CORRUPT', log.get(1))
      await assertCode('CORRUPT', entriesOf(log, { reverse: true }))
      assert.equal(log.metrics().damage, 3)
      assert.equal(heard.length, 3)
      for (const { folder, file, position, offset } of heard) {
        assert.deepEqual([folder, file, position, offset], ['/log', store, place.position, 1])
      }
      await log.close()
    }
  })

  it('tell of damage that keeps a log or a cursor from being opened', async () => {
    const files = newFiles()
    const heard = listen('tidemark:damage')
    await using(files, {}, async (log) => {
      await (await log.cursor('a')).close()
      writeFile(files, 'cursors/a.cursor', Buffer.alloc(5))
      await assertCode('CORRUPT', log.cursor('a'))
      assert.equal(log.metrics().damage, 1)
    })
    assert.equal(heard[0]!.file, 'cursors/a.cursor')
    writeFile(files, 'meta', Buffer.alloc(64))
    await assertCode('CORRUPT', openOn(files))
    assert.deepEqual([heard.length, heard[1]!.file], [2, 'meta'])
  })

  it('tell of the ranges that a replica has to repair', async () => {
    const files = newFiles()
    const heard = listen('tidemark:damage')
    const log = await openReplica(files)
    const entry = { term: 1, type: 1, timestamp: 0, count: 1, data: DATA }
    for (let i = 0; i < 3; i++) await log.replica.append([entry])
    const killed = cloneAll(files)
    await log.close()
    damageEntry(killed, placesOf(killed, storesOf(killed)[0]!)[1]!)
    const again = await openReplica(killed)
    assert.deepEqual([again.metrics().damage, heard.length, heard[0]!.offset], [1, 1, 1])
    await again.close()
  })

  it('tell of a failed sync, once', async () => {
    const files = newFiles()
    const heard = listen('tidemark:poison')
    const log = await openOn(files)
    failOn(files, 'datasync', '.store', 'EIO')
    const error = await assertCode('POISONED', log.append(DATA))
    await assertCode('POISONED', log.append(DATA))
    assert.deepEqual(heard, [{ folder: '/log', error }])
    files.fault = undefined
    await log.close()
  })

  it('count what the log could not trim by itself', async () => {
    const files = newFiles()
    const retention = { maxBytes: 1 }
    const log = await openOn(files, { segmentBytes: 512, retention })
    const data = Buffer.alloc(400)
    await log.append(data)
    failOn(files, 'create', 'meta.tmp', 'ENOSPC', 1)
    for (let i = 0; i < 2; i++) {
      await log.append(data)
      await log.drained()
      await settle()
    }
    assert.deepEqual([log.metrics().failedTrims, log.metrics().trims], [1, 1])
    assert.equal(log.lowWaterMark, 2)
    await log.close()
  })

  it('make no message for nobody', async () => {
    for (const name of NAMES) assert.equal(diagnostics.channel(name).hasSubscribers, false)
    const { publish } = diagnostics.Channel.prototype
    let published = 0
    diagnostics.Channel.prototype.publish = function count(message: unknown) {
      published++
      publish.call(this, message)
    }
    try {
      const files = newFiles()
      await using(files, { segmentBytes: 512 }, async (log) => {
        for (let i = 0; i < 10; i++) await log.append(DATA)
        await log.trim(9)
      })
    } finally {
      diagnostics.Channel.prototype.publish = publish
    }
    assert.equal(published, 0)
  })
})
