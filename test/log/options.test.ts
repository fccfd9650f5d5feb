import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  backupLog,
  deleteLog,
  dumpLog,
  FolderLock,
  inspectLog,
  Log,
  type LogOptions,
  repairLog,
  verifyLog,
} from 'tidemark'
import { ForgetfulFiles } from 'tidemark/testing'
import { assertCode, openOn, type PlainOptions, textsOf, using } from './fixtures.ts'

const MIB = 1024 * 1024

function openWith(options: object, files = new ForgetfulFiles()): Promise<Log> {
  return openOn(files, options as PlainOptions)
}

/** Checks that the option is refused by name, for each of the values. */
async function refuses(name: string, values: readonly unknown[], others: object = {}) {
  for (const value of values) {
    const files = new ForgetfulFiles()
    const error = await assertCode('INVALID_ARGUMENT', () =>
      openWith({ ...others, [name]: value }, files),
    )
    assert(error.message.includes(name), `"${error.message}" does not name ${name}`)
    assert.deepEqual(files.listSync('/'), [], 'a refused opening leaves nothing behind')
  }
}

describe('options of a log', () => {
  it('refuses names that it does not know, and says which there are', async () => {
    for (const name of ['segmentSize', 'Sync', 'segmentbytes', 'fsync', 'readonly']) {
      const error = await assertCode('INVALID_ARGUMENT', () => openWith({ [name]: 1 }))
      assert(error.message.includes(`"${name}"`), error.message)
      assert(error.message.includes('segmentBytes'), error.message)
    }
  })

  it('refuses null, which is a value that someone meant to set, and takes undefined for the default', async () => {
    for (const name of ['sync', 'segmentBytes', 'maxEntryBytes', 'preallocate', 'lock', 'random']) {
      await refuses(name, [null])
      const log = await openWith({ [name]: undefined })
      assert.equal(await log.append('x'), 0)
      await log.close()
    }
  })

  it('may come as a variable of the type that is exported', async () => {
    const options: LogOptions = { files: new ForgetfulFiles(), sync: 'never' }
    const log: Log = await Log.open('/log', options)
    assert.equal(await log.append('x'), 0)
    await log.close()
  })

  it('refuses a folder that is a file', async () => {
    const files = new ForgetfulFiles()
    files.openSync('/file', 'create').closeSync()
    for (const mode of ['append', 'read'] as const) {
      const error = await assertCode('INVALID_ARGUMENT', () => Log.open('/file', { files, mode }))
      assert(error.message.includes('/file is, or lies below, a file'), error.message)
    }
  })

  it('refuses values of the wrong kind or size, by name', async () => {
    await refuses('mode', ['write', '', 5, null])
    await refuses('segmentBytes', [511, 0, -1, 2 ** 30 + 1, 1000.5, Number.NaN, '4096'])
    await refuses('segmentAgeMs', [0, -1, 0.5, Number.POSITIVE_INFINITY, '1h'])
    await refuses('maxEntryBytes', [0, -1, 512 * MIB + 1, '1mb'])
    await refuses('maxPendingBytes', [1039, 0, '64mb'], { maxEntryBytes: 1000 })
    await refuses('indexIntervalBytes', [0, -4096, 1.5, '4k'])
    await refuses('cacheBytes', [-1, 0.5, 'none'])
    await refuses('preallocate', ['yes', 1, 0])
    await refuses('pollMs', [0, -5, 60_001, '5'])
    await refuses('replica', ['yes', 1, 0])
  })

  it('refuses sync policies that it does not know', async () => {
    await refuses('sync', ['sometimes', 'Always', true, 100, {}, []])
    for (const policy of [{ intervalMs: 0 }, { intervalMs: 1.5 }, { intervalMs: '5' }]) {
      const error = await assertCode('INVALID_ARGUMENT', () => openWith({ sync: policy }))
      assert(error.message.includes('intervalMs'), error.message)
    }
    await refuses('sync', [{ intervalMs: 5, inteval: 5 }])
  })

  it('refuses objects that are not what the option wants', async () => {
    await refuses('codec', ['json', {}, { encode: () => '' }, { encode: 1, decode: 2 }])
    await refuses('lock', [{}, true, '/data'])
    for (const name of ['files', 'clock', 'random']) {
      const error = await assertCode('INVALID_ARGUMENT', () =>
        Log.open('/nowhere/log', { files: new ForgetfulFiles(), [name]: {} }),
      )
      assert(error.message.includes(name), error.message)
    }
  })

  it('refuses options that are no object, and a folder that is no path', async () => {
    for (const options of [null, 5, 'read']) {
      await assertCode('INVALID_ARGUMENT', () => Log.open('/log', options as never))
    }
    for (const folder of ['', undefined, null, 5, {}]) {
      await assertCode('INVALID_ARGUMENT', () => Log.open(folder as never))
    }
  })

  it('takes the limits themselves, and undefined for the default', async () => {
    const good: PlainOptions[] = [
      { segmentBytes: 512, segmentAgeMs: 1, indexIntervalBytes: 1, cacheBytes: 0, pollMs: 1 },
      { segmentBytes: 2 ** 30, maxEntryBytes: 512 * MIB, indexIntervalBytes: 2 ** 30 },
      { maxEntryBytes: 1, maxPendingBytes: 41, sync: { intervalMs: 1 } },
      { mode: undefined, sync: undefined, segmentAgeMs: undefined, lock: undefined } as object,
    ]
    for (const options of good) {
      await using(new ForgetfulFiles(), options, async (log) => {
        await log.append('x')
        assert.deepEqual(await textsOf(log), ['x'])
      })
    }
  })
})

describe('options of reads and appends', () => {
  it('refuses what is not a signal, and flags that are no booleans', async () => {
    await using(new ForgetfulFiles(), {}, async (log) => {
      await log.append('x')
      for (const wrong of [{ signal: 5 }, { signal: {} }, { follow: 'yes' }, { reverse: 1 }]) {
        const [name] = Object.keys(wrong)
        const error = await assertCode('INVALID_ARGUMENT', () => log.read(wrong as object).next())
        assert(error.message.includes(name!), error.message)
      }
    })
  })

  it('refuses options that are no object', async () => {
    await using(new ForgetfulFiles(), {}, async (log) => {
      for (const wrong of [null, 5, 'from']) {
        await assertCode('INVALID_ARGUMENT', () => log.read(wrong as never).next())
        await assertCode('INVALID_ARGUMENT', () => log.append('x', wrong as never))
        await assertCode('INVALID_ARGUMENT', () => log.appendSync('x', wrong as never))
      }
      assert.equal(log.highWaterMark, 0)
    })
  })

  it('refuses wrong options to appendSync too, and writes nothing', async () => {
    await using(new ForgetfulFiles(), {}, async (log) => {
      for (const wrong of [{ type: 2 }, { timestamp: -1 }, { count: 0 }, { tpye: 128 }]) {
        await assertCode('INVALID_ARGUMENT', () => log.appendSync('x', wrong))
      }
      assert.equal(log.appendSync('good'), 0)
    })
  })

  it('has a replica’s side only where it was asked for', async () => {
    await using(new ForgetfulFiles(), {}, async (log) => {
      await assertCode('INVALID_ARGUMENT', () => log.replica)
    })
    await using(new ForgetfulFiles(), { replica: true }, async (log) => {
      assert.equal(log.replica.endOffset, 0)
    })
  })
})

describe('options of what is done to a whole log', () => {
  const files = new ForgetfulFiles()
  const calls: Readonly<Record<string, (options: object) => Promise<unknown>>> = {
    backupLog: (options) => backupLog('/log', '/copy', { files, ...options }),
    deleteLog: (options) => deleteLog('/log', { files, ...options }),
    dumpLog: (options) => dumpLog('/log', { files, ...options }).next(),
    inspectLog: (options) => inspectLog('/log', { files, ...options }),
    repairLog: (options) => repairLog('/log', { files, ...options }),
    verifyLog: (options) => verifyLog('/log', { files, ...options }),
    acquire: (options) => FolderLock.acquire('/log', { files, ...options }),
  }
  for (const [name, call] of Object.entries(calls)) {
    it(`${name} refuses what it does not know, and values that cannot be`, async () => {
      for (const options of [{ dryrun: true }, { files: null }, { files: {} }]) {
        const error = await assertCode('INVALID_ARGUMENT', () => call(options))
        assert.ok(error.message.includes(Object.keys(options)[0]!), error.message)
      }
      assert.deepEqual(files.listSync('/'), [], 'nothing was made')
    })
  }

  it('each is checked by its kind', async () => {
    const wrong = {
      skip: 1,
      dryRun: 'no',
      onProgress: 3,
      signal: true,
      lock: {},
      clock: 0,
      random: 1,
    }
    for (const [name, value] of Object.entries(wrong)) {
      const error = await assertCode('INVALID_ARGUMENT', () => calls.repairLog!({ [name]: value }))
      assert.ok(error.message.includes(name), error.message)
    }
  })

  it('a folder is a path', async () => {
    for (const folder of ['', 'a\0b', 7, null, undefined]) {
      for (const call of [deleteLog, inspectLog, repairLog, verifyLog]) {
        await assertCode('INVALID_ARGUMENT', () => call(folder as string))
      }
      await assertCode('INVALID_ARGUMENT', () => backupLog(folder as string, '/copy'))
      await assertCode('INVALID_ARGUMENT', () => backupLog('/log', folder as string))
      await assertCode('INVALID_ARGUMENT', () => dumpLog(folder as string).next())
    }
  })
})
