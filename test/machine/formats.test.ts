// What the machine's formats must not get wrong: each of these was a defect once.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type Codec, Log, text } from 'tidemark'
import { DurableMap, type MachineOptions, PartitionedLog, StateMachine } from 'tidemark/machine'
import { ForgetfulFiles, ManualClock } from 'tidemark/testing'
import { BytesIn } from '#dist/machine/bytes-in.js'
import { BytesOut } from '#dist/machine/bytes-out.js'
import { decodeCommand } from '#dist/machine/command-format.js'
import type { MachineCore } from '#dist/machine/machine-core.js'
import { snapshotChunks } from '#dist/machine/machine-snapshot.js'
import { MapState, mapStateCodec } from '#dist/machine/map-state.js'
import { machineSettings } from '#dist/machine/options.js'
import { outcomeOf, restoreOutcome, storeOutcome } from '#dist/machine/outcome.js'
import { PendingEvents } from '#dist/machine/pending-events.js'
import { NEVER, pairOf, recordBytes, writeRecord } from '#dist/machine/record.js'
import { parseSessionId, sessionId, sessionNumber } from '#dist/machine/session-id.js'
import { SESSIONS_DEFAULT, Sessions } from '#dist/machine/sessions.js'
import { assertCode, openOn } from '../log/fixtures.ts'

const corrupt = { code: 'CORRUPT' }

describe('a record', () => {
  it('ends with zeros, whatever lay there before', () => {
    for (const expiry of [NEVER, 5]) {
      const length = recordBytes(1, 2, expiry)
      const bytes = Buffer.alloc(length + 8, 0xee)
      writeRecord(bytes, 0, pairOf(Buffer.from('k'), Buffer.from('vv')), expiry)
      assert.equal(bytes.toString('latin1', length - 8 + 3, length), '\0'.repeat(5))
      assert.equal(bytes[length], 0xee)
    }
  })
})

describe('a durable map', () => {
  it('keeps a key with the longest time to live', async () => {
    const files = new ForgetfulFiles()
    const clock = new ManualClock()
    const log = await openOn(files, { clock })
    const map = await DurableMap.open(log)
    await map.set('a', 1, { ttlMs: 2 ** 48 - 1 })
    await clock.advance(1000)
    await map.set('tick', 1)
    assert.equal(map.get('a'), 1)
    await map.snapshot()
    await map.close()
    const again = await DurableMap.open(log)
    assert.equal(again.get('a'), 1)
    await again.close()
    await log.close()
  })
})

describe('the state of a map in a snapshot', () => {
  const codec = mapStateCodec(() => new MapState(10, undefined))
  const record = Buffer.alloc(recordBytes(1, 1, NEVER))
  writeRecord(record, 0, pairOf(Buffer.from('k'), Buffer.from('v')), NEVER)
  async function decode(logTime: number, ...records: Buffer[]): Promise<MapState> {
    const time = Buffer.alloc(8)
    time.writeDoubleLE(logTime)
    async function* chunks() {
      yield* [time, ...records]
    }
    return await codec.decode(chunks())
  }

  it('has a log time that a timestamp can have', async () => {
    for (const time of [0, 1, 2 ** 48 - 1]) assert.equal((await decode(time)).logTime, time)
    for (const time of [Number.NaN, -1, 0.5, 2 ** 48, Number.POSITIVE_INFINITY]) {
      await assert.rejects(decode(time), corrupt, String(time))
    }
  })

  it('has each key once', async () => {
    assert.equal((await decode(5, record)).table.size, 1)
    await assert.rejects(decode(5, record, record), corrupt)
  })
})

describe('the sessions in a snapshot', () => {
  const OPENED = 3
  type Answer = readonly [request: number, kind: number, bytes: string]
  type Row = readonly [id: number, lastUsed: number, forgotten: number, ...answers: Answer[]]
  const error = '{"name":"Error","message":"no"}'

  function read(...rows: Row[]): Sessions<string> {
    const out = new BytesOut()
    out.u32(rows.length)
    for (const [id, lastUsed, forgotten, ...answers] of rows) {
      for (const value of [id, lastUsed, forgotten]) out.u48(value)
      out.u32(answers.length)
      for (const [request, kind, bytes] of answers) {
        out.u48(request)
        out.u8(kind)
        out.sized(Buffer.from(bytes))
      }
    }
    const sessions = new Sessions(SESSIONS_DEFAULT, text)
    sessions.read(new BytesIn(out.done()), OPENED, 100, 1000)
    return sessions
  }

  it('are taken as they are written', () => {
    const sessions = read([7, 900, 2, [3, 1, 'yes'], [4, 0, error], [5, 2, '']], [3, 1000, 0])
    assert.equal(sessions.count, 2)
    assert.deepEqual(sessions.answer(7, 3), { ok: true, result: 'yes' })
    assert.deepEqual(sessions.answer(7, 5), { ok: true, result: undefined })
    const failed = sessions.answer(7, 4)
    assert.equal(failed && !failed.ok && (failed.error as Error).message, 'no')
    assert.equal(sessions.answer(7, 6), undefined)
  })

  it('have offsets of version 1, and ordinals, and the next one is another', () => {
    const sessions = read([2, 900, 0], [sessionNumber(2), 900, 0], [sessionNumber(3), 900, 0])
    assert.equal(sessions.open(1000), sessionNumber(4))
    const none = new Sessions(SESSIONS_DEFAULT, text)
    const out = new BytesOut()
    out.u32(0)
    const more = () => none.read(new BytesIn(out.done()), 101, 100, 1000)
    assert.throws(more, corrupt, 'more of them than entries')
  })

  const refused: Readonly<Record<string, readonly Row[]>> = {
    'the same session twice': [
      [7, 900, 0],
      [7, 900, 0],
    ],
    'sessions that do not stand by their last use': [
      [7, 900, 0],
      [8, 899, 0],
    ],
    'a session that was used later than the last entry': [[7, 1001, 0]],
    'a session that is opened later': [[100, 900, 0]],
    'one of which there were not so many': [[sessionNumber(OPENED + 1), 900, 0]],
    'the same request twice': [[7, 900, 0, [1, 1, ''], [1, 1, '']]],
    'a request that was forgotten': [[7, 900, 2, [2, 1, '']]],
    'an outcome of another kind': [[7, 900, 0, [1, 3, '']]],
    'no result that has bytes': [[7, 900, 0, [1, 2, 'x']]],
    'an error that is not JSON': [[7, 900, 0, [1, 0, '{']]],
    'an error that is null': [[7, 900, 0, [1, 0, 'null']]],
    'an error without a message': [[7, 900, 0, [1, 0, '{"name":"Error"}']]],
    'an error whose code is a number': [
      [7, 900, 0, [1, 0, '{"name":"Error","message":"","code":1}']],
    ],
  }
  for (const [what, rows] of Object.entries(refused)) {
    it(`are refused: ${what}`, () => {
      assert.throws(() => read(...rows), corrupt)
    })
  }

  it('are refused at once if they are too many to be there', () => {
    const out = new BytesOut()
    out.u32(2 ** 32 - 1)
    const sessions = new Sessions(SESSIONS_DEFAULT, text)
    assert.throws(() => sessions.read(new BytesIn(out.done()), OPENED, 100, 1000), corrupt)
  })
})

describe('the events in a snapshot', () => {
  type Row = readonly [number: number, offset: number, index: number, bytes: string]
  function read(events: Codec<unknown>, ...rows: Row[]): PendingEvents<unknown> {
    const out = new BytesOut()
    out.u32(rows.length)
    for (const [number, offset, index, bytes] of rows) {
      out.u48(number)
      out.u48(offset)
      out.u32(index)
      out.sized(Buffer.from(bytes))
    }
    const pending = new PendingEvents(events)
    pending.read(new BytesIn(out.done()), 7, 10)
    return pending
  }
  const json = { encode: String, decode: (bytes: Buffer): unknown => JSON.parse(String(bytes)) }

  it('stand in order, below the offset of the snapshot, and can be read', () => {
    read(json, [5, 1, 0, '1'], [6, 1, 1, '2'], [7, 9, 0, '3'])
    assert.throws(() => read(json, [6, 1, 1, '1'], [7, 1, 1, '2']), corrupt)
    assert.throws(() => read(json, [6, 2, 0, '1'], [7, 1, 1, '2']), corrupt)
    assert.throws(() => read(json, [7, 10, 0, '1']), corrupt)
    assert.throws(() => read(json, [7, 1, 0, '{']), corrupt)
  })

  it('have numbers without gaps up to the last, and behind them may be some that have none yet', () => {
    const pending = read(json, [6, 1, 0, '1'], [7, 1, 1, '2'], [0, 2, 0, '3'])
    assert.deepEqual([pending.after(7)?.number, pending.after(5)?.number], [0, 6])
    pending.giveNumbers()
    assert.deepEqual([pending.after(7)?.number, pending.numbered], [8, 8])
    assert.throws(() => read(json, [5, 1, 0, '1'], [7, 1, 1, '2']), corrupt)
    assert.throws(() => read(json, [6, 1, 0, '1']), corrupt)
    assert.throws(() => read(json, [0, 1, 0, '1'], [7, 1, 1, '2']), corrupt)
  })
})

describe('what a snapshot reads', () => {
  it('is copied out of it, whatever kind of bytes it is', () => {
    const bytes = Buffer.from([1, 0, 0, 0, 7])
    const taken = new BytesIn(bytes).sized()
    bytes[4] = 9
    assert.deepEqual([...taken], [7])
  })
})

describe('an outcome', () => {
  it('comes back as it was, also if it is empty', () => {
    for (const result of ['', 'text', undefined]) {
      const stored = storeOutcome({ ok: true, result }, text as Codec<string | undefined>)
      assert.deepEqual(restoreOutcome(stored, text), { ok: true, result })
    }
  })

  it('is an error where the codec gives no bytes, or cannot read them', () => {
    const broken = { encode: () => undefined as never, decode: () => assert.fail('unreadable') }
    assert.equal(storeOutcome({ ok: true, result: 1 }, broken).ok, false)
    const restored = restoreOutcome({ ok: true, bytes: Buffer.from('x') }, broken)
    assert.equal(!restored.ok && (restored.error as { code?: string }).code, 'CORRUPT')
  })

  it('can be anything that can be thrown', () => {
    const strange = Object.assign(new Error(), { message: Symbol('m'), name: Object.create(null) })
    for (const error of [Object.create(null), Symbol('s'), undefined, null, strange]) {
      const { bytes } = storeOutcome({ ok: false, error }, text)
      assert.equal(outcomeOf(0, bytes!).ok, false)
    }
  })
})

describe('a snapshot that no reader would take', () => {
  it('is not written', () => {
    const settings = machineSettings({ initial: () => 0, apply: () => 0 })
    const long = { next: 5, encodeHead: () => ({ length: 2 ** 30 + 1 }) }
    const far = { next: 2 ** 48, encodeHead: () => Buffer.alloc(0) }
    for (const core of [long, far]) {
      const take = () => snapshotChunks(core as unknown as MachineCore<number, 1, 1, 1>, settings)
      assert.throws(take, { code: 'TOO_LARGE' })
    }
  })
})

describe('numbers that do not fit into a command', () => {
  it('are refused, and not cut to others', async () => {
    const options: MachineOptions<object, number> = { initial: () => ({}), apply: () => 'done' }
    const log = await openOn(new ForgetfulFiles())
    const machine = await StateMachine.open(log, options)
    const { id } = await machine.openSession()
    assert.equal(id, 's1')
    for (const session of [`s${2 ** 47}`, String(2 ** 47), 's0', 's01', 's', '-1']) {
      await assertCode('INVALID_ARGUMENT', machine.execute(1, { session, request: 1 }))
    }
    for (const number of [0, 2 ** 48, -1, 1.5]) {
      await assertCode('INVALID_ARGUMENT', machine.delivered({ number }))
    }
    assert.equal(log.highWaterMark, 1)
    await machine.close()
    await log.close()
  })
})

describe('the id of a session', () => {
  it('is that of no other, whether it is an ordinal or an offset of version 1', () => {
    const numbers = [0, 1, 2 ** 47 - 1, sessionNumber(1), sessionNumber(2 ** 47 - 1)]
    assert.deepEqual(numbers.map(sessionId).map(parseSessionId), numbers)
    assert.deepEqual([sessionId(7), sessionId(sessionNumber(7))], ['7', 's7'])
  })
})

describe('a command without a body', () => {
  it('has nothing behind it', () => {
    const entry = { offset: 0, term: 1, type: 1, timestamp: 0, count: 1 }
    const first = Buffer.from([1, 3, ...new Uint8Array(12)])
    const second = Buffer.from([2, 3, ...new Uint8Array(6)])
    for (const data of [Buffer.from([1, 2]), Buffer.from([2, 2]), first, second]) {
      assert.equal(decodeCommand({ ...entry, data }).body.length, 0)
      const longer = Buffer.concat([data, Buffer.from('x')])
      assert.throws(() => decodeCommand({ ...entry, data: longer }), corrupt)
    }
  })
})

describe('the log of the number of partitions', () => {
  async function openWith(...lines: string[]): Promise<number> {
    const files = new ForgetfulFiles()
    const log = await Log.open('/data/partitions', { files })
    for (const line of lines) await log.append(line)
    await log.close()
    const partitioned = await PartitionedLog.open('/data', { files })
    await partitioned.close()
    return partitioned.partitions.length
  }

  it('says a number that can be, and that it was made', async () => {
    assert.equal(await openWith('partitions 2'), 2)
    for (const line of ['partitions 0', 'partitions 02', 'partitions 1000001', 'partitions 2 ']) {
      await assertCode('CORRUPT', openWith(line))
    }
    await assertCode('CORRUPT', openWith('partitions 2', 'mode'))
    await assertCode('CORRUPT', openWith('partitions 2', 'made', 'made'))
    await assertCode('CORRUPT', openWith(...Array.from({ length: 50 }, () => 'made')))
  })

  it('is not shown whole where it is another', async () => {
    await assert.rejects(openWith('x'.repeat(100_000)), (error: Error) => {
      return error.message.length < 1000
    })
  })
})
