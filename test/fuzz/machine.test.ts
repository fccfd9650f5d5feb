// The decoders of state machines on random bytes and on real ones that were changed: a value or an error
// with a code; never another exception, an endless loop, or memory without measure.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { type Entry, Log, text } from 'tidemark'
import { DurableMap, PartitionedLog, StateMachine } from 'tidemark/machine'
import { crc32, TidemarkError } from '#dist/base/index.js'
import type { Random } from '#dist/io/index.js'
import {
  decodeCommand,
  encodeDelivered,
  encodeOpenSession,
  encodePlain,
  encodeRequest,
} from '#dist/machine/command-format.js'
import { MachineCore } from '#dist/machine/machine-core.js'
import { changesOf, encodeMapCommand, OPERATION, operationOf } from '#dist/machine/map-command.js'
import { MapState, mapStateCodec } from '#dist/machine/map-state.js'
import { machineSettings } from '#dist/machine/options.js'
import { keyAt } from '#dist/machine/record.js'
import { sessionNumber } from '#dist/machine/session-id.js'
import { frozen } from '#dist/machine/table.js'
import { parseDump, readFolder, writeFolder } from '../golden/dump.ts'
import { MAP_OPTIONS, mapLog, ORDERS, ordersLog } from '../golden/machine-specimens.ts'
import { resealEntry, resealFrame } from '../golden/reseal.ts'
import { FOLDER } from '../golden/specimens.ts'
import { below, oneOf, runCases } from './cases.ts'
import { type Contents, copyContents, mutate, randomBytes, sizeOf } from './mutations.ts'

const FILE = 'bytes'

/** Bytes that were written, with some changes; or bytes of no meaning. */
function changed(random: Random, real: Uint8Array, other: Uint8Array): Buffer {
  if (below(random, 10) === 0) return Buffer.from(randomBytes(random, below(random, 200)))
  const contents: Contents = new Map([
    // Not with slice(), which of a Buffer is a view.
    [FILE, new Uint8Array(real)],
    ['other', new Uint8Array(other)],
  ])
  for (let i = below(random, 3); i > 0; i--) mutate(random, contents)
  const bytes = Buffer.from(contents.get(FILE) ?? real)
  // Lengths and counts as they should not be.
  for (let i = below(random, 3); i > 0 && bytes.length >= 6; i--) {
    const size = oneOf(random, [1, 2, 4, 6])
    const value = oneOf(random, [0, 1, 2 ** (8 * size) - 1, 2 ** (8 * size - 1), bytes.length])
    const at = below(random, bytes.length - size + 1)
    bytes.writeUIntLE(value % 2 ** (8 * size), at, size)
  }
  return bytes
}

/** What `decode` gives; undefined if it throws an error with the code of damage, or of a newer version. */
function orRefused<T>(decode: () => T): T | undefined {
  try {
    return decode()
  } catch (error) {
    assertRefusal(error)
    return undefined
  }
}

function assertRefusal(error: unknown): void {
  if (!(error instanceof TidemarkError)) throw error
  assert.ok(['CORRUPT', 'UNSUPPORTED_VERSION'].includes(error.code), `${error.code}: ${error}`)
}

function entryOf(data: Buffer): Entry {
  return { offset: 3, term: 1, type: 1, timestamp: 5, count: 1, data }
}

function randomBody(random: Random): Uint8Array {
  return randomBytes(random, below(random, 40))
}

const NUMBERS = [0, 1, 255, 2 ** 32, 2 ** 48 - 1]

function randomCommand(random: Random): Buffer {
  const [first, second] = [oneOf(random, NUMBERS), oneOf(random, NUMBERS)]
  const roll = below(random, 4)
  if (roll === 0) return encodeOpenSession()
  if (roll === 1)
    return below(random, 2) === 0 ? encodeDelivered(first) : firstVersion(3, first, second)
  if (roll === 2) return encodeRequest(first, second, randomBody(random))
  return encodePlain(randomBody(random))
}

/** A command of version 1, with two numbers. */
function firstVersion(kind: number, first: number, second: number): Buffer {
  const b = Buffer.from([1, kind, ...new Uint8Array(12)])
  b.writeUIntLE(first, 2, 6)
  b.writeUIntLE(second, 8, 6)
  return b
}

function randomMapCommand(random: Random): Buffer {
  const operation = oneOf(random, Object.values(OPERATION))
  const isMany = operation === OPERATION.setMany
  const count = isMany ? below(random, 5) : operation === OPERATION.compareAndSet ? 2 : 1
  const changes = Array.from({ length: count }, () => {
    const hasValue = operation === OPERATION.delete ? false : isMany || below(random, 3) > 0
    const key = String(below(random, 9))
    const ttlMs = below(random, 2) === 0 ? undefined : 1 + below(random, 50)
    return { key, value: hasValue ? randomBody(random) : undefined, ttlMs }
  })
  return encodeMapCommand(0, operation, changes)
}

describe('the decoder of commands', () => {
  it('takes commands, and refuses the rest with a code', async (t) => {
    await runCases(t, 20_000, ({ random, guard }) => {
      const data = changed(random, randomCommand(random), randomCommand(random))
      guard.allow(data.length)
      const command = orRefused(() => decodeCommand(entryOf(data)))
      if (!command) return
      const { version, kind, first, second, body } = command
      const again = [
        () => encodePlain(body),
        () => encodeRequest(first, second, body),
        () => encodeOpenSession(),
        () => (version === 1 ? firstVersion(3, first, second) : encodeDelivered(first)),
      ][kind]!()
      again[0] = version
      assert.deepEqual(again, data, 'what is taken is what would be written')
    })
  })
})

describe('the decoder of the commands of a map', () => {
  it('takes changes that are there, and refuses the rest with a code', async (t) => {
    await runCases(t, 20_000, ({ random, guard }) => {
      const body = changed(random, randomMapCommand(random), randomMapCommand(random))
      guard.allow(body.length)
      const changes = orRefused(() => changesOf(body, operationOf(body)))
      let bytes = 0
      for (const { from, keyBytes, valueBytes } of changes ?? []) {
        assert.ok(from + keyBytes + valueBytes <= body.length)
        bytes += 13 + keyBytes + valueBytes
      }
      if (changes) assert.equal(bytes + (body[0] === OPERATION.setMany ? 5 : 1), body.length)
    })
  })

  it('leaves a map as it was if a command is none', async (t) => {
    await runCases(t, 3000, ({ random, guard }) => {
      const state = new MapState(100, undefined)
      for (let offset = 0; offset < 30; offset++) {
        const real = randomMapCommand(random)
        const body = below(random, 2) === 0 ? real : changed(random, real, randomMapCommand(random))
        guard.allow(body.length)
        const before = state.logTime
        const context = { offset, term: 1, timestamp: 0, logTime: 10 * offset, emit: () => {} }
        const done = orRefused(() => {
          state.apply(body, context)
          return true
        })
        if (done === undefined) assert.equal(state.logTime, before)
        assertSound(state)
      }
    })
  })
})

/** Its time can be; each record is found by its key, and there are as many as the table says. */
function assertSound(state: MapState): void {
  assert.ok(Number.isInteger(state.logTime) && state.logTime >= 0 && state.logTime < 2 ** 48)
  let count = 0
  for (const { bytes, at } of frozen(state.table)) {
    const place = state.table.find(keyAt(bytes, at))
    assert.ok(place && place.bytes === bytes && place.at === at)
    count++
  }
  assert.equal(count, state.table.size)
}

/** The chunks in pieces of other lengths. */
async function* pieces(random: Random, bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; ) {
    const size = oneOf(random, [1, 7, 8, 100, bytes.length])
    yield bytes.subarray(at, at + size)
    at += size
  }
}

function bytesOf(chunks: Iterable<Uint8Array>): Buffer {
  return Buffer.concat([...chunks])
}

describe('the decoder of the state of a map', () => {
  const codec = mapStateCodec(() => new MapState(10, undefined))

  function randomState(random: Random): Buffer {
    const state = new MapState(10, undefined)
    for (let offset = 0; offset < 10; offset++) {
      const context = { offset, term: 1, timestamp: 0, logTime: 10 * offset, emit: () => {} }
      state.apply(randomMapCommand(random), context)
    }
    return bytesOf(codec.encode(state) as Iterable<Uint8Array>)
  }

  it('takes what was written, in pieces of any size', async (t) => {
    await runCases(t, 1000, async ({ random }) => {
      const bytes = randomState(random)
      const state = await codec.decode(pieces(random, bytes))
      assertSound(state)
      const again = bytesOf(codec.encode(state) as Iterable<Uint8Array>)
      assert.equal(again.length, bytes.length)
    })
  })

  it('gives a sound map or a code for what was changed', async (t) => {
    let taken = 0
    await runCases(t, 5000, async ({ random, guard }) => {
      const bytes = changed(random, randomState(random), randomState(random))
      guard.allow(bytes.length)
      try {
        assertSound(await codec.decode(pieces(random, bytes)))
        taken++
      } catch (error) {
        assertRefusal(error)
      }
    })
    t.diagnostic(`${taken} were taken`)
  })
})

describe('the decoder of the head of a snapshot', () => {
  const settings = machineSettings<number, string, string, string>({
    initial: () => 0,
    apply: (_, command, { emit }) => {
      if (command.length % 5 === 0) throw new RangeError(command)
      for (let i = command.length % 3; i > 0; i--) emit(`${command} ${i}`)
      return command
    },
    commands: text,
    results: text,
    sessions: { max: 4, requests: 3, idleMs: 100 },
  })
  type Core = MachineCore<number, string, string, string>
  const make = (): Core => new MachineCore(settings, 0, 0)

  function randomCore(random: Random): Core {
    const core = make()
    for (let offset = 0; offset < 40; offset++) {
      const [one, two] = [below(random, offset + 1), 1 + below(random, 6)]
      const body = 'x'.repeat(below(random, 12))
      const data = [
        () => encodeOpenSession(),
        () => encodePlain(body),
        () => encodeRequest(below(random, 2) === 0 ? one : sessionNumber(two), two, body),
        () => encodeDelivered(one),
        () => firstVersion(3, one, two),
        () => Buffer.from([1, 2]),
        () => Buffer.from([1, 0, ...Buffer.from(body)]),
      ][below(random, 7)]!()
      core.apply({ offset, term: 1, type: 1, timestamp: 5 * offset, count: 1, data })
    }
    return core
  }

  it('takes what was written', async (t) => {
    await runCases(t, 1000, ({ random }) => {
      const head = randomCore(random).encodeHead()
      const core = make()
      core.decodeHead(head)
      assert.deepEqual(core.encodeHead(), head)
    })
  })

  it('gives what would be written or a code for what was changed, and goes on', async (t) => {
    let taken = 0
    await runCases(t, 5000, ({ random, guard }) => {
      const real = randomCore(random).encodeHead()
      const bytes = changed(random, real, randomCore(random).encodeHead())
      guard.allow(bytes.length)
      const core = make()
      if (orRefused(() => core.decodeHead(bytes) ?? true) === undefined) return
      taken++
      assert.ok(core.encodeHead().length <= bytes.length + 2 * bytes.length)
      // Whatever its sessions remember, an answer is an outcome and not an exception.
      for (let i = 0; i < 20; i++) {
        const session =
          below(random, 2) === 0 ? below(random, 40) : sessionNumber(1 + below(random, 40))
        const data = encodeRequest(session, 1 + below(random, 6), 'again')
        const entry = { offset: core.next, term: 1, type: 1, timestamp: 0, count: 1, data }
        const outcome = core.apply(entry)
        assert.ok(outcome)
      }
    })
    t.diagnostic(`${taken} were taken`)
  })
})

/** Changes the data of the snapshot's frames, and makes the checksums fit again. */
function mutateSnapshot(random: Random, contents: Contents): void {
  const name = [...contents.keys()].find((each) => each.endsWith('.snapshot'))!
  const file = Buffer.from(contents.get(name)!)
  const parts: Buffer[] = []
  for (let at = 24; file.readUInt32LE(at) > 0; at += 8 + file.readUInt32LE(at)) {
    parts.push(file.subarray(at + 8, at + 8 + file.readUInt32LE(at)))
  }
  const data = Buffer.concat(parts)
  contents.set(name, sealed(file.subarray(0, 24), changed(random, data, data)))
}

/** The same log, trimmed to its snapshot: then there is nothing else to begin with. */
async function trimmed(contents: Contents): Promise<Contents> {
  const files = writeFolder(contents, FOLDER)
  const log = await Log.open(FOLDER, { files })
  const [offset] = await log.snapshots.list()
  await log.trim(offset!)
  await log.close()
  return readFolder(files, FOLDER)
}

/** A snapshot's file of its header and its data, in one frame. */
function sealed(header: Buffer, data: Buffer): Uint8Array {
  const frames = data.length === 0 ? [] : [data]
  const file = new Uint8Array(24 + data.length + 8 * (frames.length + 1))
  file.set(header)
  let previous = header.readUInt32LE(20)
  let at = 24
  for (const frame of [...frames, Buffer.alloc(0)]) {
    const view = new DataView(file.buffer)
    view.setUint32(at, frame.length, true)
    file.set(frame, at + 8)
    resealFrame(file, at, previous)
    previous = view.getUint32(at + 4, true)
    at += 8 + frame.length
  }
  return file
}

describe('a machine whose snapshot was changed, with checksums that fit', () => {
  const WANTED = '{"":"the empty key","a":"2","last":0,"ключ":"значение"}'
  const sorted = (entries: Iterable<readonly [string, unknown]>) =>
    JSON.stringify(Object.fromEntries([...entries].sort(([a], [b]) => (a < b ? -1 : 1))))

  it('is a map that can be read and changed, or an error with a code', async (t) => {
    const whole = readFolder((await mapLog()).files, FOLDER)
    const short = await trimmed(whole)
    let same = 0
    const count = await runCases(t, 600, async ({ random, guard }) => {
      const contents = copyContents(oneOf(random, [whole, short]))
      mutateSnapshot(random, contents)
      guard.allow(sizeOf(contents))
      const log = await Log.open(FOLDER, { files: writeFolder(contents, FOLDER) })
      try {
        // Values need not be JSON any more: they are the user's, and are shown as bytes.
        const map = await DurableMap.open<string, string>(log, { ...MAP_OPTIONS, values: text })
        const entries = [...map]
        assert.ok(entries.length <= map.size)
        for (const [key] of entries) if (!key.includes('\ufffd')) assert.ok(map.has(key))
        if (sorted(entries.map(([key, value]) => [key, safeJson(value)])) === WANTED) same++
        await map.set('more', 'x', { session: 's1', request: 9 }).catch(assertAnswer)
        await map.delete('a', { session: 's1', request: 3 }).catch(assertAnswer)
        await map.close()
      } catch (error) {
        assertRefusal(error)
      } finally {
        await log.close()
      }
    })
    t.diagnostic(`${same} of ${count} were as before`)
    assert.ok(same > count / 4 || count === 1)
  })

  it('is a machine with events and answers, or an error with a code', async (t) => {
    const first = new URL('../../../test/golden/v1/machine-orders.txt', import.meta.url)
    const both = [
      readFolder((await ordersLog()).files, FOLDER),
      parseDump(readFileSync(first, 'utf8')),
    ]
    const all = [...both, ...(await Promise.all(both.map(trimmed)))]
    await runCases(t, 1000, async ({ random, guard }) => {
      const contents = copyContents(oneOf(random, all))
      mutateSnapshot(random, contents)
      guard.allow(sizeOf(contents))
      const log = await Log.open(FOLDER, { files: writeFolder(contents, FOLDER) })
      try {
        const machine = await StateMachine.open(log, ORDERS)
        const id = oneOf(random, ['s1', '1'])
        const session = { session: id, request: 1 + below(random, 8) }
        await machine.execute({ kind: 'forget' }, session).catch(assertAnswer)
        let left = machine.pendingEvents
        if (left > 0) for await (const _ of machine.events()) if (--left === 0) break
        await machine.delivered({ number: 2 ** 48 - 1 })
        assert.equal(machine.pendingEvents, 0)
        await machine.close()
      } catch (error) {
        assertRefusal(error)
      } finally {
        await log.close()
      }
    })
  })
})

function safeJson(value: string): unknown {
  try {
    return JSON.parse(value)
  } catch {
    return value
  }
}

/** What a session answers may be any error: it was stored as one. */
function assertAnswer(error: unknown): void {
  assert.ok(error instanceof Error, String(error))
}

describe('a log of a machine whose commands were changed, with checksums that fit', () => {
  it('is replayed, or refused with a code', async (t) => {
    const original = readFolder((await mapLog()).files, FOLDER)
    for (const name of original.keys()) if (name.endsWith('.snapshot')) original.delete(name)
    await runCases(t, 400, async ({ random, guard }) => {
      const contents = copyContents(original)
      const name = [...contents.keys()].find((each) => each.endsWith('.store'))!
      changeData(random, contents.get(name)!)
      guard.allow(sizeOf(contents))
      const log = await Log.open(FOLDER, { files: writeFolder(contents, FOLDER) })
      try {
        const map = await DurableMap.open<string, string>(log, { ...MAP_OPTIONS, values: text })
        assert.ok([...map].length <= map.size)
        await map.snapshot()
        const before = sorted([...map])
        await map.close()
        const again = await DurableMap.open<string, string>(log, { ...MAP_OPTIONS, values: text })
        assert.equal(sorted([...again]), before)
        await again.close()
      } catch (error) {
        assertRefusal(error)
      } finally {
        await log.close()
      }
    })
  })

  const sorted = (entries: [string, string][]) => JSON.stringify(entries.sort())
})

describe('the log of the number of partitions with other lines', () => {
  it('gives a number, or is refused with a code', async (t) => {
    const letters = [...'0123456789partionsmde \n-']
    await runCases(t, 300, async ({ random, guard }) => {
      const files = writeFolder(new Map(), '/data')
      const log = await Log.open('/data/partitions', { files, preallocate: false })
      for (let i = below(random, 3); i >= 0; i--) {
        const line = oneOf(random, ['partitions 3', 'made', 'partitions 9999999'])
        const at = below(random, line.length)
        const cut = oneOf(random, [
          line,
          line.slice(0, at),
          line.slice(0, at) + oneOf(random, letters) + line.slice(at + 1),
        ])
        await log.append(cut)
      }
      await log.close()
      guard.allow(1000)
      try {
        const partitioned = await PartitionedLog.open('/data', { files, partitions: 3 })
        assert.equal(partitioned.partitions.length, 3)
        await partitioned.close()
      } catch (error) {
        // Another number than the one that is asked for is the caller's to explain.
        if (error instanceof TidemarkError && error.code === 'INVALID_ARGUMENT') return
        assertRefusal(error)
      }
    })
  })
})

/** Changes the data of some entries in place, and makes both checksums fit. */
function changeData(random: Random, store: Uint8Array): void {
  const b = Buffer.from(store.buffer, store.byteOffset, store.length)
  const positions: number[] = []
  for (let at = 64; at + 40 <= b.length && b[at + 38] !== 0; at += 40 + b.readUInt32LE(at + 8)) {
    positions.push(at)
  }
  for (let i = below(random, 3); i >= 0; i--) {
    const at = oneOf(random, positions)
    const data = b.subarray(at + 40, at + 40 + b.readUInt32LE(at + 8))
    const other = changed(random, data, b).subarray(0, data.length)
    data.set(other)
    b.writeUInt32LE(crc32(data, 0, data.length), at + 4)
    resealEntry(store, at)
  }
}
