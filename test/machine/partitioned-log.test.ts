import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { FolderLock, json, Log } from 'tidemark'
import { PartitionedLog, type PartitionedLogOptions, partitionFor } from 'tidemark/machine'
import { ForgetfulFiles } from 'tidemark/testing'
import { assertCode, failOn, gateOn, isPending, textsOf } from '../log/fixtures.ts'

const FOLDER = '/data'

type PlainOptions = Omit<PartitionedLogOptions, 'codec'>

function openOn(files: ForgetfulFiles, options: PlainOptions = {}): Promise<PartitionedLog> {
  return PartitionedLog.open(FOLDER, { ...options, files })
}

/** Makes so many partitions, and closes them. */
async function madeOn(files: ForgetfulFiles, partitions: number): Promise<void> {
  await (await openOn(files, { partitions })).close()
}

/** Nothing is held: the folder, and each log in it, can be opened by somebody else. */
async function assertFree(files: ForgetfulFiles): Promise<void> {
  const lock = await FolderLock.acquire(FOLDER, { files })
  lock.release()
}

describe('a partitioned log', () => {
  it('keeps the entries of a key together and in order, and finds them again', async () => {
    const files = new ForgetfulFiles()
    const log = await openOn(files, { partitions: 8 })
    const keys = Array.from({ length: 40 }, (_, i) => `key-${i}`)
    const appends = []
    for (let n = 0; n < 5; n++) for (const key of keys) appends.push(log.append(key, `${key} ${n}`))
    const places = await Promise.all(appends)
    places.forEach(({ partition }, i) => {
      assert.equal(partition, partitionFor(keys[i % keys.length], 8))
    })
    await log.close()
    const again = await openOn(files)
    assert.equal(again.partitions.length, 8)
    assert.equal(again.folder, FOLDER)
    for (const [index, part] of again.partitions.entries()) {
      const mine = keys.filter((key) => again.partitionFor(key) === index)
      assert(mine.length > 0)
      const expected = [0, 1, 2, 3, 4].flatMap((n) => mine.map((key) => `${key} ${n}`))
      assert.deepEqual(await textsOf(part), expected)
    }
    for (const [i, { partition, offset }] of places.entries()) {
      const entry = await again.partition(partition).get(offset)
      assert.equal(
        entry?.data.toString(),
        `${keys[i % keys.length]} ${Math.floor(i / keys.length)}`,
      )
    }
    await again.close()
  })

  it('appends batches of one key, with the options of an append', async () => {
    const files = new ForgetfulFiles()
    await using log = await openOn(files, { partitions: 3 })
    const partition = log.partitionFor('a')
    assert.deepEqual(await log.append('a', 'x', { type: 130 }), { partition, offset: 0 })
    assert.deepEqual(await log.appendBatch('a', ['y', 'z'], { type: 131 }), {
      partition,
      first: 1,
      last: 2,
    })
    assert.deepEqual(await textsOf(log.partition(partition)), ['x', 'y', 'z'])
    assert.equal((await log.partition(partition).get(2))?.type, 131)
    await assertCode('INVALID_ARGUMENT', log.append('a', 'x', { tipe: 1 } as object))
    await assertCode('INVALID_ARGUMENT', log.append(null as never, 'x'))
    await assertCode('INVALID_ARGUMENT', log.appendBatch('a', 'x' as never))
  })

  it('has folders that sort', async () => {
    const files = new ForgetfulFiles()
    await madeOn(files, 12)
    const names = files.listSync(FOLDER).sort()
    assert.deepEqual(names.slice(0, 2), ['000000', '000001'])
    assert.deepEqual(names.slice(10), ['000010', '000011', 'lock', 'partitions'])
  })

  it('has one lock, and the logs have none of their own', async () => {
    const files = new ForgetfulFiles()
    await madeOn(files, 3)
    for (const name of files.listSync(FOLDER).filter((each) => each !== 'lock')) {
      assert.equal(files.existsSync(`${FOLDER}/${name}/lock`), false)
    }
  })

  it('takes a codec', async () => {
    const files = new ForgetfulFiles()
    const codec = json<{ n: number }>()
    await using log = await PartitionedLog.open('/typed', { files, partitions: 2, codec })
    const { partition, offset } = await log.append('k', { n: 1 })
    const entry = await log.partition(partition).get(offset)
    const value: { n: number } | undefined = entry?.data
    assert.deepEqual(value, { n: 1 })
  })

  it('syncs partitions in parallel', async () => {
    const files = new ForgetfulFiles()
    const log = await openOn(files, { partitions: 2 })
    const gate = gateOn(files, 'datasync')
    const [a, b] = [0, 1].map((n) => {
      const key = ['k0', 'k1', 'k2', 'k3', 'k4'].find((each) => log.partitionFor(each) === n)
      return log.append(key!, 'x')
    })
    assert(await isPending(Promise.race([a, b])))
    assert.equal(gate.waiting, 2)
    gate.open()
    await Promise.all([a, b])
    await log.close()
  })

  it('flushes all partitions', async () => {
    const files = new ForgetfulFiles()
    const log = await openOn(files, { partitions: 4, sync: 'never' })
    for (let i = 0; i < 20; i++) await log.append(`k${i}`, 'x')
    const stores = () => files.unsynced().filter((path) => /\d{6}\/.*\.store$/.test(path))
    assert.equal(stores().length, 4)
    await log.flush()
    assert.deepEqual(stores(), [])
    await log.close()
  })

  it('is closed once, and then refuses appends', async () => {
    const files = new ForgetfulFiles()
    const log = await openOn(files, { partitions: 2 })
    await Promise.all([log.close(), log.close()])
    await log[Symbol.asyncDispose]()
    await assertCode('CLOSED', log.append('a', 'x'))
    await assertCode('CLOSED', log.flush())
    await assertFree(files)
  })

  it('gives the lock back although a partition could not be closed well', async () => {
    const files = new ForgetfulFiles()
    const log = await openOn(files, { partitions: 2, sync: 'never' })
    for (let i = 0; i < 8; i++) await log.append(`k${i}`, 'x')
    failOn(files, 'datasync', '000001', 'EIO')
    await assertCode('POISONED', log.close())
    files.fault = undefined
    await assertFree(files)
  })

  it('has the partitions that it has', async () => {
    const files = new ForgetfulFiles()
    await using log = await openOn(files, { partitions: 2 })
    for (const index of [-1, 2, 0.5, Number.NaN]) {
      assert.throws(() => log.partition(index), {
        code: 'INVALID_ARGUMENT',
        message: new RegExp(`no partition ${index} in /data; they are 0 to 1`),
      })
    }
  })

  it('works on real files, with more partitions than are opened at once', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'tidemark-partitions-'))
    t.after(() => rmSync(folder, { recursive: true, force: true }))
    const path = join(folder, 'orders')
    const log = await PartitionedLog.open(path, { partitions: 70 })
    const place = await log.append('ada', 'x')
    const error = await assertCode('LOCKED', PartitionedLog.open(path))
    assert.equal(error.details.pid, process.pid)
    await log.close()
    await using again = await PartitionedLog.open(path)
    assert.equal(again.partitions.length, 70)
    assert.deepEqual(await textsOf(again.partition(place.partition)), ['x'])
  })
})

describe('the number of partitions', () => {
  it('is fixed: another one is refused, and the message has both', async () => {
    const files = new ForgetfulFiles()
    await madeOn(files, 4)
    for (const mode of ['append', 'read'] as const) {
      const error = await assertCode('INVALID_ARGUMENT', openOn(files, { partitions: 5, mode }))
      assert.match(error.message, /there are 4 partitions in \/data, not 5/)
    }
    await assertFree(files)
    assert.equal(files.existsSync(`${FOLDER}/000004`), false)
    await madeOn(files, 4)
  })

  it('may be left out where it is known, and only there', async () => {
    const files = new ForgetfulFiles()
    for (const mode of ['append', 'read'] as const) {
      await assertCode('NOT_FOUND', openOn(files, { mode }))
      assert.equal(files.existsSync(FOLDER), false, 'nothing is made')
    }
    await assertCode('NOT_FOUND', openOn(files, { mode: 'read', partitions: 3 }))
    await madeOn(files, 3)
    await using log = await openOn(files)
    assert.equal(log.partitions.length, 3)
  })

  it('is checked, as all options are, before anything is made', async () => {
    const files = new ForgetfulFiles()
    const wrong: [options: object, message: RegExp][] = [
      [{ partitions: 0 }, /partitions must be an integer from 1 to 1000000, not 0/],
      [{ partitions: 1_000_001 }, /partitions must be/],
      [{ partitions: '4' }, /partitions must be .*, not "4"/],
      [{ partitions: null }, /partitions must not be null/],
      [{ partitons: 4 }, /unknown option "partitons"; there is partitions, mode, sync/],
      [{ partitions: 4, sinc: 'never' }, /unknown option "sinc"/],
      [{ partitions: 4, sync: 'sometimes' }, /sync must be/],
      [{ partitions: 4, mode: 'write' }, /mode must be/],
      [{ partitions: 4, codec: {} }, /codec must be/],
    ]
    for (const [options, message] of wrong) {
      const error = await assertCode('INVALID_ARGUMENT', openOn(files, options))
      assert.match(error.message, message)
    }
    await assertCode('INVALID_ARGUMENT', PartitionedLog.open(FOLDER, null as never))
    for (const folder of ['', 5, null, 'a\0b']) {
      const opening = PartitionedLog.open(folder as string, { files, partitions: 4 })
      const error = await assertCode('INVALID_ARGUMENT', opening)
      assert.match(error.message, /folder must be a path/)
    }
    assert.deepEqual(files.listSync('/'), [])
  })

  it('is not believed when its log says something else', async () => {
    for (const lines of [['eight'], ['partitions 0'], ['partitions 2', 'x'], ['made']]) {
      const files = new ForgetfulFiles()
      const log = await Log.open(`${FOLDER}/partitions`, { files })
      for (const line of lines) await log.append(line)
      await log.close()
      for (const mode of ['append', 'read'] as const) {
        const error = await assertCode('CORRUPT', openOn(files, { partitions: 2, mode }))
        assert.match(error.message, /does not say how many partitions there are/)
      }
    }
  })
})

describe('partitions that are not all made yet', () => {
  it('are not there for readers, until a writer has made them', async () => {
    const files = new ForgetfulFiles()
    failOn(files, 'makeFolder', '000001', 'ENOSPC')
    await assertCode('IO', openOn(files, { partitions: 3 }))
    files.fault = undefined
    const error = await assertCode('NOT_FOUND', openOn(files, { mode: 'read' }))
    assert.match(error.message, /the partitions in \/data are not all made yet/)
    await assertCode('INVALID_ARGUMENT', openOn(files, { partitions: 2 }))
    await (await openOn(files)).close()
    const reader = await openOn(files, { mode: 'read' })
    assert.equal(reader.partitions.length, 3)
    await reader.close()
  })
})

describe('an opening of a partitioned log that fails', () => {
  it('closes what it has opened and gives the lock back', async () => {
    const files = new ForgetfulFiles()
    await madeOn(files, 5)
    files.removeSync(`${FOLDER}/000003/meta`)
    for (let i = 0; i < 2; i++) {
      await assertCode('CORRUPT', openOn(files))
      await assertFree(files)
      for (const index of [0, 1, 2, 4]) {
        await (await Log.open(`${FOLDER}/00000${index}`, { files })).close()
      }
    }
  })

  it('does so wherever the making of the partitions fails, and the next one goes on', async () => {
    const clean = new ForgetfulFiles({ trace: true })
    await madeOn(clean, 2)
    const operations = clean.trace().length
    assert(operations > 30)
    for (let failing = 0; failing < operations; failing++) {
      const files = new ForgetfulFiles()
      let left = failing
      files.fault = (op) => {
        if (left-- !== 0) return undefined
        return Object.assign(new Error(`EIO: ${op.kind}`), { code: 'EIO', syscall: op.kind })
      }
      const opened = await openOn(files, { partitions: 2 }).catch((error) => {
        assert(['IO', 'POISONED'].includes(error.code), error)
      })
      await opened?.close().catch(() => {})
      files.fault = undefined
      await assertFree(files)
      await using log = await openOn(files, { partitions: 2 })
      assert.equal((await log.append('a', 'x')).offset, 0)
    }
  })

  it('is refused where a partition has been lost, which is not made anew', async () => {
    const files = new ForgetfulFiles()
    await madeOn(files, 3)
    for (const name of files.listSync(`${FOLDER}/000001`)) {
      files.removeSync(`${FOLDER}/000001/${name}`)
    }
    files.removeFolderSync(`${FOLDER}/000001`)
    for (const mode of ['append', 'read'] as const) {
      const error = await assertCode('CORRUPT', openOn(files, { partitions: 3, mode }))
      assert.match(error.message, /no log in \/data\/000001, which is one of 3 partitions/)
    }
    assert.equal(files.existsSync(`${FOLDER}/000001`), false)
    await assertFree(files)
  })

  it('is refused where the folder is a log, or a file', async () => {
    const files = new ForgetfulFiles()
    await (await Log.open(FOLDER, { files })).close()
    const error = await assertCode('INVALID_ARGUMENT', openOn(files, { partitions: 3 }))
    assert.match(error.message, /\/data is a log/)
    files.openSync('/file', 'create').closeSync()
    const opening = PartitionedLog.open('/file', { files, partitions: 3 })
    await assertCode('INVALID_ARGUMENT', opening)
  })
})

describe('a partitioned log and its neighbours', () => {
  it('refuses a second writer, by pid', async () => {
    const files = new ForgetfulFiles({ pid: 4711 })
    const log = await openOn(files, { partitions: 3 })
    for (const options of [{}, { partitions: 3 }, { partitions: 4 }]) {
      const error = await assertCode('LOCKED', openOn(files, options))
      assert.equal(error.details.pid, 4711)
    }
    const error = await assertCode('LOCKED', Log.open(`${FOLDER}/000001`, { files }))
    assert.equal(error.details.pid, 4711)
    await log.append('a', 'x')
    await log.close()
    await assertFree(files)
  })

  it('is read beside its writer, without a lock', async () => {
    const files = new ForgetfulFiles()
    const log = await openOn(files, { partitions: 3 })
    await log.append('a', 'x')
    const reader = await openOn(files, { mode: 'read' })
    const index = log.partitionFor('a')
    await log.append('a', 'y')
    await reader.partition(index).barrier()
    assert.deepEqual(await textsOf(reader.partition(index)), ['x', 'y'])
    await assertCode('READ_ONLY', reader.append('a', 'z'))
    await assertCode('READ_ONLY', reader.flush())
    await log.close()
    await assertFree(files)
    await reader.close()
    const later = await openOn(files, { mode: 'read', partitions: 3 })
    assert.deepEqual(await textsOf(later.partition(index)), ['x', 'y'])
    await assertFree(files)
    await later.close()
  })

  it('lies under the lock of a data folder, if that is given', async () => {
    const files = new ForgetfulFiles()
    const lock = await FolderLock.acquire('/', { files })
    const log = await openOn(files, { partitions: 2, lock })
    const other = await PartitionedLog.open('/other', { files, partitions: 2, lock })
    assert.equal(files.existsSync(`${FOLDER}/lock`), false)
    await assertCode('LOCKED', openOn(files, { lock }))
    await log.append('a', 'x')
    await log.close()
    assert.throws(() => lock.release(), { code: 'INVALID_ARGUMENT' })
    await other.close()
    await (await openOn(files, { lock })).close()
    lock.release()
  })
})
