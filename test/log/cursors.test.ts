import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type DurableCursor, type Entry, Log } from 'tidemark'
import { cloneAll, type ForgetfulFiles, ManualClock } from 'tidemark/testing'
import {
  assertCode,
  barrierOf,
  failOn,
  gateOn,
  isPending,
  newFiles,
  openOn,
  patchFile,
  readFile,
  settle,
  someTexts,
  storesOf,
  traceOf,
  using,
  worstCrash,
  writeFile,
} from './fixtures.ts'

const FILE = 'cursors/billing.cursor'
const SLOT_STRIDE = 4096

/** The next `count` entries of a cursor, of one reading. */
async function take(cursor: DurableCursor, count: number): Promise<Entry[]> {
  const entries: Entry[] = []
  const reading = cursor.read()
  for (let i = 0; i < count; i++) {
    const next = await reading.next()
    if (next.done) break
    entries.push(next.value)
  }
  await reading.return()
  return entries
}

async function offsetsOf(cursor: DurableCursor): Promise<number[]> {
  const offsets: number[] = []
  for await (const { offset } of cursor.read({ follow: false })) offsets.push(offset)
  return offsets
}

async function logOf(files: ForgetfulFiles, count: number, options = {}): Promise<Log> {
  const log = await openOn(files, options)
  await log.appendBatch(someTexts(count))
  return log
}

async function positionIn(files: ForgetfulFiles, name = 'billing'): Promise<number | undefined> {
  return using(files, {}, async (log) => {
    const found = (await log.cursors.list()).find((cursor) => cursor.name === name)
    return found?.position
  })
}

describe('a cursor', () => {
  it('goes on behind what was committed, in the next opening', async () => {
    const files = newFiles()
    const log = await logOf(files, 5)
    const cursor = await log.cursor('billing')
    assert.deepEqual([cursor.position, cursor.lag, cursor.missed], [0, 5, 0])
    for await (const entry of cursor) {
      assert.equal(entry.data.toString(), `entry ${entry.offset}`)
      await cursor.commit(entry.offset)
      assert.equal(cursor.position, entry.offset + 1)
      if (entry.offset === 2) break
    }
    assert.equal(cursor.lag, 2)
    await log.close()
    await using(files, {}, async (again) => {
      const next = await again.cursor('billing')
      assert.deepEqual([next.position, next.lag, next.missed], [3, 2, 0])
      assert.deepEqual(await offsetsOf(next), [3, 4])
    })
  })

  it('begins where it is told to, the first time only', async () => {
    const files = newFiles()
    const log = await logOf(files, 6)
    await log.trim(2)
    const begin = async (name: string, from?: 'start' | 'end' | number) => {
      const cursor = await log.cursor(name, from === undefined ? {} : { from })
      await cursor.close()
      return cursor.position
    }
    assert.equal(await begin('a'), 2)
    assert.equal(await begin('b', 'start'), 2)
    assert.equal(await begin('c', 'end'), 6)
    assert.equal(await begin('d', 4), 4)
    assert.equal(await begin('d', 'end'), 4)
    const error = await assertCode('TRIMMED', begin('e', 1))
    assert.deepEqual(error.details, { offset: 1, lowWaterMark: 2 })
    await assertCode('INVALID_ARGUMENT', begin('e', 7))
    const names = (await log.cursors.list()).map(({ name }) => name)
    assert.deepEqual(names, ['a', 'b', 'c', 'd'])
    await log.close()
  })

  it('follows the log, and ends with it, with the cursor, or by its signal', async () => {
    const files = newFiles()
    const log = await openOn(files)
    const seen: number[] = []
    const reading = async (cursor: DurableCursor) => {
      for await (const { offset } of cursor) seen.push(offset)
    }
    const a = reading(await log.cursor('a'))
    assert(await isPending(a))
    await log.append('x')
    await settle()
    assert.deepEqual(seen, [0])
    const b = await log.cursor('b')
    const closed = reading(b)
    await settle()
    await b.close()
    await closed
    const stop = new AbortController()
    const c = reading(await log.cursor('c', { signal: stop.signal }))
    await settle()
    stop.abort(new Error('enough'))
    await assert.rejects(c, /enough/)
    await log.close()
    await a
  })

  it('delivers again what was not committed', async () => {
    const files = newFiles()
    await using(files, {}, async (log) => {
      await log.appendBatch(someTexts(4))
      const cursor = await log.cursor('billing')
      assert.equal((await take(cursor, 3)).length, 3)
      await cursor.commit(0)
      assert.deepEqual(await offsetsOf(cursor), [1, 2, 3])
    })
  })

  it('comes behind all offsets of an entry that spans several', async () => {
    const files = newFiles()
    await using(files, {}, async (log) => {
      await log.append('one')
      await log.append('five', { count: 5 })
      await log.append('last')
      const cursor = await log.cursor('billing')
      for (const entry of await take(cursor, 3)) await cursor.commit(entry.offset)
      assert.equal(cursor.position, 7)
      await cursor.reset(1)
      // Not delivered by this cursor since: it cannot know where the entry ends.
      await cursor.commit(1)
      assert.equal(cursor.position, 2)
      assert.deepEqual(await offsetsOf(cursor), [1, 6])
    })
  })

  it('refuses to commit back, or what is not there; reset does the one', async () => {
    const files = newFiles()
    const log = await logOf(files, 5)
    const cursor = await log.cursor('billing')
    await cursor.commit(3)
    await cursor.commit(3)
    await assertCode('INVALID_ARGUMENT', cursor.commit(2))
    await assertCode('INVALID_ARGUMENT', cursor.commit(5))
    await assertCode('INVALID_ARGUMENT', cursor.commit(-1))
    await assertCode('INVALID_ARGUMENT', cursor.commit(1.5))
    assert.equal(cursor.position, 4)
    await cursor.reset(1)
    assert.deepEqual(await offsetsOf(cursor), [1, 2, 3, 4])
    await cursor.reset('end')
    assert.equal(cursor.lag, 0)
    await cursor.reset('start')
    assert.equal(cursor.position, 0)
    await assertCode('INVALID_ARGUMENT', cursor.reset(6))
    await log.close()
    await assertCode('CLOSED', cursor.commit(0))
    await assertCode('CLOSED', cursor.reset(0))
    await assertCode('CLOSED', () => cursor.read())
    await assertCode('CLOSED', log.cursor('billing'))
    await assertCode('CLOSED', log.cursors.list())
    await assertCode('CLOSED', log.cursors.reset('billing', 'end'))
    await assertCode('CLOSED', log.cursors.delete('billing'))
  })

  it('refuses names and options that cannot be right', async () => {
    const files = newFiles()
    const log = await openOn(files)
    const wrong = ['', '.a', '-a', 'A', 'a/b', '../a', 'a b', 'é', 'con', 'nul.x', 'a'.repeat(101)]
    for (const name of wrong) await assertCode('INVALID_ARGUMENT', log.cursor(name))
    for (const name of ['a', '0', 'a.b-c_d', 'a'.repeat(100), 'console', 'a.lock']) {
      await (await log.cursor(name)).close()
    }
    assert.equal((await log.cursors.list()).length, 6)
    const misspelt = { form: 'end' } as object
    await assertCode('INVALID_ARGUMENT', log.cursor('a', misspelt))
    await assertCode('INVALID_ARGUMENT', log.cursor('a', { from: 'middle' as 'end' }))
    await log.close()
  })
})

describe('the holder of a cursor', () => {
  it('is one at a time', async () => {
    const files = newFiles()
    const log = await openOn(files)
    const cursor = await log.cursor('billing')
    const error = await assertCode('LOCKED', log.cursor('billing'))
    assert.equal(error.details.pid, process.pid)
    assert.match(error.message, /"billing"/)
    const reader = await openOn(files, { mode: 'read' })
    await assertCode('LOCKED', reader.cursor('billing'))
    await assertCode('LOCKED', reader.cursors.reset('billing', 'end'))
    await assertCode('LOCKED', reader.cursors.delete('billing'))
    const [info] = await reader.cursors.list()
    assert.deepEqual([info?.isHeld, info?.holderPid], [true, process.pid])
    await cursor.close()
    await cursor.close()
    const next = await reader.cursor('billing')
    await reader.close()
    await assertCode('CLOSED', next.commit(0))
    await (await log.cursor('billing')).close()
    await log.close()
  })

  it('may be gone after an opening that failed', async () => {
    const files = newFiles()
    const log = await logOf(files, 2)
    await (await log.cursor('billing')).close()
    const failed = failOn(files, 'datasync', '.cursor', 'EIO', 1)
    await assertCode('IO', log.cursor('billing'))
    assert.equal(failed.count, 1)
    const cursor = await log.cursor('billing')
    await cursor.commit(1)
    await log.append('the log is not poisoned')
    await log.close()
  })
})

describe('a cursor of a process that only reads', () => {
  it('follows the writer, and survives it', async () => {
    const files = newFiles()
    const clock = new ManualClock()
    const log = await openOn(files, { clock })
    const reader = await openOn(files, { mode: 'read', clock })
    const opening = reader.cursor('billing', { from: 'end' })
    const cursor = await opening
    const seen: number[] = []
    const reading = (async () => {
      for await (const { offset } of cursor) {
        seen.push(offset)
        await cursor.commit(offset)
      }
    })()
    await log.appendBatch(someTexts(3))
    for (let i = 0; i < 20; i++) await clock.advance(1)
    assert.deepEqual(seen, [0, 1, 2])
    await log.close()
    await reader.close()
    await reading
    assert.equal(await positionIn(files), 3)
  })

  it('needs no writer', async () => {
    const files = newFiles()
    await (await logOf(files, 3)).close()
    const reader = await openOn(files, { mode: 'read' })
    const cursor = await reader.cursor('billing', { follow: false })
    const offsets: number[] = []
    for await (const { offset } of cursor) offsets.push(offset)
    await cursor.commit(2)
    await reader.close()
    assert.deepEqual(offsets, [0, 1, 2])
    assert.equal(await positionIn(files), 3)
  })
})

describe('a log that has given up what a cursor had not read', () => {
  it('tells it on opening, until it commits', async () => {
    const files = newFiles()
    const log = await logOf(files, 10)
    const cursor = await log.cursor('billing')
    await cursor.commit(1)
    await cursor.close()
    await log.trim(6)
    for (let i = 0; i < 2; i++) {
      const again = await log.cursor('billing')
      assert.deepEqual([again.position, again.missed, again.lag], [6, 4, 4])
      assert.deepEqual(await offsetsOf(again), [6, 7, 8, 9])
      await again.close()
    }
    const [info] = await log.cursors.list()
    assert.deepEqual([info?.position, info?.missed, info?.lag], [6, 4, 4])
    const last = await log.cursor('billing')
    await last.commit(6)
    await last.close()
    assert.equal((await log.cursor('billing')).missed, 0)
    await log.close()
  })

  it('throws TRIMMED into its reading while it is open', async () => {
    const files = newFiles()
    const log = await logOf(files, 10)
    const cursor = await log.cursor('billing')
    await cursor.commit(1)
    await log.trim(6)
    const error = await assertCode('TRIMMED', offsetsOf(cursor))
    assert.deepEqual(error.details, { offset: 2, lowWaterMark: 6 })
    await cursor.reset('start')
    assert.deepEqual(await offsetsOf(cursor), [6, 7, 8, 9])
    await log.close()
  })
})

describe('a commit', () => {
  it('costs one write and no sync', async () => {
    const files = newFiles()
    const log = await logOf(files, 9)
    const cursor = await log.cursor('billing')
    const from = files.trace().length
    for (let i = 0; i < 9; i++) await cursor.commit(i)
    const lines = files.trace().slice(from)
    assert.equal(lines.length, 9)
    assert(lines.every((line) => line.startsWith('write') && line.includes('.cursor')))
    await log.close()
  })

  it('survives the end of the process', async () => {
    const files = newFiles()
    const log = await logOf(files, 9)
    const cursor = await log.cursor('billing')
    for (let i = 0; i < 7; i++) {
      await cursor.commit(i)
      assert.equal(await positionIn(cloneAll(files)), i + 1)
    }
    await log.close()
  })

  for (const how of ['log.flush', 'log.trim', 'log.close', 'cursor.flush', 'cursor.close']) {
    it(`survives a power loss after ${how}`, async () => {
      const files = newFiles()
      const log = await logOf(files, 9)
      const cursor = await log.cursor('billing')
      await cursor.commit(4)
      assert.equal(await positionIn(worstCrash(files)), 0)
      if (how === 'log.flush') await log.flush()
      if (how === 'log.trim') await log.trim(3)
      if (how === 'log.close') await log.close()
      if (how === 'cursor.flush') await cursor.flush()
      if (how === 'cursor.close') await cursor.close()
      assert.equal(await positionIn(worstCrash(files)), 5)
      await log.close()
    })
  }

  it('is synced again after a sync that failed, and poisons nothing', async () => {
    const files = newFiles()
    const log = await logOf(files, 9)
    const cursor = await log.cursor('billing')
    await cursor.commit(4)
    failOn(files, 'datasync', '.cursor', 'EIO', 1)
    await assertCode('IO', log.flush())
    await log.append('goes on')
    assert.equal(await positionIn(worstCrash(files)), 0)
    await log.flush()
    assert.equal(await positionIn(worstCrash(files)), 5)
    await log.close()
  })

  it('is not taken for synced when it came during the sync', async () => {
    const files = newFiles()
    const log = await logOf(files, 9)
    const cursor = await log.cursor('billing')
    await cursor.commit(2)
    const gate = gateOn(files, 'datasync', '.cursor')
    const flushing = cursor.flush()
    await gate.reached()
    await cursor.commit(5)
    gate.open()
    await flushing
    assert.equal(cursor.isSynced, false)
    assert.equal(await positionIn(worstCrash(files)), 3)
    await cursor.flush()
    assert.equal(await positionIn(worstCrash(files)), 6)
    await log.close()
  })

  it('that tears leaves the last position known to be on the disk, at least', async () => {
    const files = newFiles()
    const log = await logOf(files, 60)
    const cursor = await log.cursor('billing')
    let synced = Buffer.from(readFile(files, FILE))
    let durable = 0
    for (let i = 0; i < 50; i++) {
      await cursor.commit(i)
      // Every slot that was written since the last sync is torn.
      const torn = Buffer.from(readFile(files, FILE))
      for (let at = 0; at < torn.length; at += SLOT_STRIDE) {
        const slot = torn.subarray(at, at + 40)
        if (!slot.equals(synced.subarray(at, at + 40))) slot.fill(0xa5, 11)
      }
      const after = cloneAll(files)
      writeFile(after, FILE, torn)
      assert.equal(await positionIn(after), durable)
      if (i % 4 === 3) {
        await cursor.flush()
        durable = i + 1
        synced = Buffer.from(readFile(files, FILE))
      }
    }
    await log.close()
  })

  it('whose write fails leaves the position as it was', async () => {
    const files = newFiles()
    const log = await logOf(files, 9)
    const cursor = await log.cursor('billing')
    await cursor.commit(2)
    failOn(files, 'write', '.cursor', 'EIO', 1)
    await assertCode('IO', cursor.commit(5))
    assert.equal(cursor.position, 3)
    await cursor.commit(6)
    await log.close()
    assert.equal(await positionIn(files), 7)
  })

  it('during resets comes behind them', async () => {
    const files = newFiles()
    const log = await logOf(files, 9)
    const cursor = await log.cursor('billing')
    await cursor.commit(7)
    const gate = gateOn(files, 'datasync', '.cursor')
    const resetting = [cursor.reset(3), cursor.reset(2)]
    await gate.reached()
    const committing = cursor.commit(4)
    assert(await isPending(committing))
    gate.open()
    await Promise.all([...resetting, committing])
    await log.close()
    assert.equal(await positionIn(files), 5)
  })
})

describe('a damaged cursor', () => {
  it('is CORRUPT by its name, and never at the start', async () => {
    const files = newFiles()
    const log = await logOf(files, 9)
    const cursor = await log.cursor('billing')
    await cursor.commit(4)
    await cursor.close()
    await (await log.cursor('other')).close()
    for (const damage of [
      (bytes: Buffer) => bytes.fill(0),
      (bytes: Buffer) => {
        for (let at = 0; at < bytes.length; at += SLOT_STRIDE) bytes[at + 17]! ^= 1
      },
    ]) {
      patchFile(files, FILE, damage)
      const error = await assertCode('CORRUPT', log.cursor('billing'))
      assert.equal(error.details.file, FILE)
      assert.match(error.message, /"billing"/)
      await assertCode('CORRUPT', log.trim('slowest-cursor'))
      const [info, other] = await log.cursors.list()
      assert.deepEqual([info?.position, info?.problem?.code], [undefined, 'CORRUPT'])
      assert.equal(other?.position, 0)
    }
    for (const size of [0, 39, 9000]) {
      writeFile(files, FILE, Buffer.alloc(size))
      await assertCode('CORRUPT', log.cursor('billing'))
    }
    await log.cursors.reset('billing', 5)
    assert.equal((await log.cursor('billing')).position, 5)
    await log.close()
  })

  it('of a version to come is refused by that name', async () => {
    const { crc32 } = await import('#dist/base/index.js')
    const files = newFiles()
    const log = await openOn(files)
    await (await log.cursor('billing')).close()
    patchFile(files, FILE, (bytes) => {
      bytes[4] = 2
      bytes.writeUInt32LE(crc32(bytes, 0, 36), 36)
    })
    const error = await assertCode('UNSUPPORTED_VERSION', log.cursor('billing'))
    assert.equal(error.details.file, FILE)
    await log.close()
  })
})

describe('the cursors of a log', () => {
  it('are listed, reset and deleted without opening the log for writing', async () => {
    const files = newFiles()
    const clock = new ManualClock()
    const log = await logOf(files, 9, { clock })
    const cursor = await log.cursor('billing')
    await clock.advance(1000)
    await cursor.commit(3)
    await cursor.close()
    await (await log.cursor('search', { from: 'end' })).close()
    const reader = await openOn(files, { mode: 'read', clock })
    await barrierOf(reader, clock)
    const free = { isHeld: false, holderPid: undefined, problem: undefined, missed: 0 }
    const [billing, search] = await reader.cursors.list()
    const now = clock.now()
    assert.deepEqual(billing, { name: 'billing', position: 4, lag: 5, committedAt: now, ...free })
    assert.deepEqual([search?.name, search?.position, search?.lag], ['search', 9, 0])
    await reader.cursors.reset('billing', 'start')
    await reader.cursors.delete('search')
    await reader.cursors.delete('search')
    await assertCode('NOT_FOUND', reader.cursors.reset('search', 'start'))
    const left = await reader.cursors.list()
    assert.deepEqual(
      left.map(({ name, position }) => [name, position]),
      [['billing', 0]],
    )
    assert.deepEqual(files.listSync('/log/cursors').sort(), ['billing.cursor', 'billing.lock'])
    await reader.close()
    await log.close()
    await using(worstCrash(files), {}, async (again) => {
      assert.equal((await again.cursors.list()).length, 1)
    })
  })

  it('are none where there never was one', async () => {
    const files = newFiles()
    await using(files, {}, async (log) => {
      assert.deepEqual(await log.cursors.list(), [])
      await log.trim('slowest-cursor')
    })
    assert.equal(files.existsSync('/log/cursors'), false)
    await assert.rejects(Log.open('/nowhere', { mode: 'read', files }), { code: 'NOT_FOUND' })
  })

  it('are taken back where a power loss has taken what they had read', async () => {
    const files = newFiles()
    const log = await openOn(files, { sync: 'never' })
    await log.appendBatch(someTexts(4))
    await log.flush()
    await log.appendBatch(someTexts(4, 4))
    const cursor = await log.cursor('billing')
    await cursor.commit(6)
    await cursor.flush()
    for (const mode of ['append', 'read'] as const) {
      const left = worstCrash(files)
      const again = await openOn(left, { mode })
      assert.equal(again.highWaterMark, 4)
      if (mode === 'append') await again.appendBatch(['other', 'entries', 'there', '!'])
      const found = await again.cursor('billing')
      assert.equal(found.position, 4)
      await again.close()
    }
    await log.close()
  })
})

describe('trim("slowest-cursor")', () => {
  it('raises the mark to the lowest position, and not beyond', async () => {
    const files = newFiles()
    const log = await logOf(files, 10)
    const [a, b] = [await log.cursor('a'), await log.cursor('b')]
    await log.trim('slowest-cursor')
    assert.equal(log.lowWaterMark, 0)
    await a.commit(7)
    await b.commit(4)
    await log.trim('slowest-cursor')
    assert.equal(log.lowWaterMark, 5)
    await b.close()
    await log.trim('slowest-cursor')
    assert.equal(log.lowWaterMark, 5)
    await log.cursors.delete('b')
    await log.trim('slowest-cursor')
    assert.equal(log.lowWaterMark, 8)
    await log.close()
  })

  it('makes the positions durable first, those of other processes too', async () => {
    const files = newFiles()
    const log = await logOf(files, 10)
    const reader = await openOn(files, { mode: 'read' })
    await reader.barrier()
    const cursor = await reader.cursor('billing')
    await cursor.commit(6)
    const from = files.trace().length
    await log.trim('slowest-cursor')
    assert.equal(log.lowWaterMark, 7)
    const synced = traceOf(files, '', from).filter((line) => line.startsWith('datasync'))
    assert.match(synced[0]!, /billing\.cursor/)
    await using(worstCrash(files), {}, async (again) => {
      const [info] = await again.cursors.list()
      assert.deepEqual([info?.position, info?.missed], [7, 0])
    })
    await reader.close()
    await log.close()
    assert.equal(storesOf(files).length, 1)
  })
})
