// What each version of the state machines' formats wrote is read for ever; version 2 is what is written today.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { Log, verifyLog } from 'tidemark'
import { DurableMap, PartitionedLog, StateMachine } from 'tidemark/machine'
import { type ForgetfulFiles, ManualClock } from '#dist/simulation/index.js'
import { dump, parseDump, readFolder, writeFolder } from './dump.ts'
import { MACHINE_SPECIMENS, MAP_OPTIONS, ORDERS, type Order } from './machine-specimens.ts'
import { readMachine } from './plain-machine.ts'
import { readPlainly } from './plain-reader.ts'
import { FOLDER } from './specimens.ts'

type Name = keyof typeof MACHINE_SPECIMENS

const golden = new URL('../../../test/golden/', import.meta.url)
const VERSIONS = [1, 2] as const
type Version = (typeof VERSIONS)[number]

/** How each version names the session of the map, and that of the orders. */
const SESSION = { map: { 1: '6', 2: 's1' }, orders: { 1: '1', 2: 's1' } } as const

function committed(name: Name, version: Version, type = 'txt'): string {
  return readFileSync(new URL(`v${version}/machine-${name}.${type}`, golden), 'utf8')
}

/** The golden log, with its snapshot and without: what is read must not depend on where a replay begins. */
async function eachStart(
  name: 'map' | 'orders',
  use: (log: Log, clock: ManualClock, session: string, version: Version) => Promise<void>,
) {
  const starts = VERSIONS.flatMap((version) =>
    [true, false].map((each) => [version, each] as const),
  )
  for (const [version, hasSnapshot] of starts) {
    const contents = parseDump(committed(name, version))
    for (const path of contents.keys()) {
      if (path.endsWith('.snapshot') && !hasSnapshot) contents.delete(path)
    }
    const files: ForgetfulFiles = writeFolder(contents, FOLDER)
    assert.equal((await verifyLog(FOLDER, { files })).sound, true)
    const clock = new ManualClock()
    const log = await Log.open(FOLDER, { files, clock })
    assert.equal((await log.snapshots.list()).length, hasSnapshot ? 1 : 0)
    await use(log, clock, SESSION[name][version], version)
    await log.close()
  }
}

for (const name of Object.keys(MACHINE_SPECIMENS) as Name[]) {
  it(`the golden log of "${name}" is byte for byte what is written today`, async () => {
    const { files, folder } = await MACHINE_SPECIMENS[name]()
    const hint = 'A change of the format needs a new version, and golden files of its own.'
    // The log of the number of partitions has had one version only.
    assert.equal(
      dump(readFolder(files, folder)),
      committed(name, name === 'partitions' ? 1 : 2),
      hint,
    )
  })
}

for (const name of ['map', 'orders'] as const) {
  it(`the golden log of "${name}" has the same in it for a reader that knows only docs/format.md`, () => {
    for (const version of VERSIONS) {
      const found = readMachine(readPlainly(parseDump(committed(name, version))), name === 'map')
      const json = committed(name, version, 'json')
      assert.deepEqual(JSON.parse(JSON.stringify(found)), JSON.parse(json))
    }
  })
}

describe('the golden log of a map', () => {
  it('holds what was put into it, read by this release', async () => {
    await eachStart('map', async (log) => {
      const map = await DurableMap.open(log, MAP_OPTIONS)
      assert.deepEqual(Object.fromEntries(map), {
        a: '2',
        '': 'the empty key',
        ключ: 'значение',
        last: 0,
      })
      assert.equal(map.size, 4)
      assert.equal(map.offset, 16)
      await map.close()
    })
  })

  it('remembers the answers of its sessions', async () => {
    await eachStart('map', async (log, _clock, session) => {
      const map = await DurableMap.open(log, MAP_OPTIONS)
      const again = (request: number) => map.delete('last', { session, request })
      assert.equal(await again(3), true)
      assert.equal(map.get('last'), 0, 'the answer is that of the command it was')
      for (const request of [1, 2]) await assert.rejects(again(request), { code: 'UNCERTAIN' })
      assert.equal(await again(5), true)
      assert.equal(map.get('last'), undefined)
      await map.close()
    })
  })

  it('has records that end when they ended', async () => {
    await eachStart('map', async (log, clock) => {
      const map = await DurableMap.open(log, MAP_OPTIONS)
      await clock.advance(100_009)
      await map.set('tick', 1)
      assert.equal(map.get('a'), '2')
      await clock.advance(1)
      await map.set('tick', 2)
      assert.equal(map.get('a'), undefined)
      await map.close()
    })
  })
})

describe('the golden log of a state machine', () => {
  it('holds its state, its events and its sessions, read by this release', async () => {
    await eachStart('orders', async (log, _clock, _session, version) => {
      const machine = await StateMachine.open(log, ORDERS)
      assert.deepEqual(
        machine.query((state) => state),
        { open: { bread: 5, salt: 9, oil: 10 } },
      )
      assert.deepEqual([machine.offset, machine.logTime], [11, 1_767_225_600_020])
      assert.deepEqual([machine.sessions, machine.pendingEvents], [1, 3])
      const events: unknown[] = []
      for await (const event of machine.events()) if (events.push(event) === 3) break
      // Those of version 1 have got their numbers by a command of this release.
      const [first, end] = version === 1 ? [1, 12] : [4, 11]
      assert.deepEqual(events, [
        { number: first, offset: 5, index: 1, event: { what: 'bread', i: 1 } },
        { number: first + 1, offset: 5, index: 2, event: { what: 'bread', i: 2 } },
        { number: first + 2, offset: 9, index: 0, event: { what: 'salt', i: 0 } },
      ])
      assert.equal(machine.offset, end)
      await machine.close()
    })
  })

  it('answers what was asked before as it did then', async () => {
    await eachStart('orders', async (log, _clock, session) => {
      const machine = await StateMachine.open(log, ORDERS)
      const again = (request: number) =>
        machine.execute({ kind: 'forget' } satisfies Order, { session, request })
      assert.equal(await again(1), undefined)
      const nothing = { name: 'RangeError', message: 'nothing', code: 'NOTHING' }
      await assert.rejects(again(2), nothing)
      await assert.rejects(again(3), { name: 'Error', message: '-1 of milk' })
      assert.deepEqual(await again(5), { what: 'bread', offset: 5 })
      assert.deepEqual(await again(6), { what: 'oil', offset: 10 })
      assert.equal(
        machine.query(({ open }) => open.bread),
        5,
      )
      await machine.close()
    })
  })
})

describe('the golden log of the number of partitions', () => {
  it('says that there are two, and that they were made', async () => {
    const files = writeFolder(parseDump(committed('partitions', 1)), '/data/partitions')
    // They are not here: what was made once is not made anew.
    await assert.rejects(PartitionedLog.open('/data', { files }), { code: 'CORRUPT' })
    const log = await Log.open('/data/partitions', { files, mode: 'read' })
    const lines: string[] = []
    for await (const { data } of log.read()) lines.push(data.toString())
    assert.deepEqual(lines, ['partitions 2', 'made'])
    await log.close()
  })
})

describe('a snapshot of a state machine of version 3', () => {
  it('is refused by name, though the log could be replayed without it', async () => {
    await eachStart('map', async (log) => {
      const [offset] = await log.snapshots.list()
      if (offset === undefined) return
      const chunks: Uint8Array[] = []
      for await (const chunk of log.snapshots.read(offset)) chunks.push(chunk)
      const data = Buffer.concat(chunks)
      data[4] = 3
      await log.snapshots.remove(offset)
      await log.snapshots.write(offset, [data])
      const opening = DurableMap.open(log, MAP_OPTIONS)
      await assert.rejects(opening, { code: 'UNSUPPORTED_VERSION', message: /version 3/ })
      assert.deepEqual(await log.snapshots.list(), [offset])
    })
  })
})
