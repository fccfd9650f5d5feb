// What version 1 of the state machines' formats wrote is read for ever, and is still what is written today.

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

const golden = new URL('../../../test/golden/v1/', import.meta.url)

function committed(name: Name): string {
  return readFileSync(new URL(`machine-${name}.txt`, golden), 'utf8')
}

/** The golden log, with its snapshot and without: what is read must not depend on where a replay begins. */
async function eachStart(name: Name, use: (log: Log, clock: ManualClock) => Promise<void>) {
  for (const hasSnapshot of [true, false]) {
    const contents = parseDump(committed(name))
    for (const path of contents.keys()) {
      if (path.endsWith('.snapshot') && !hasSnapshot) contents.delete(path)
    }
    const files: ForgetfulFiles = writeFolder(contents, FOLDER)
    assert.equal((await verifyLog(FOLDER, { files })).sound, true)
    const clock = new ManualClock()
    const log = await Log.open(FOLDER, { files, clock })
    assert.equal((await log.snapshots.list()).length, hasSnapshot ? 1 : 0)
    await use(log, clock)
    await log.close()
  }
}

for (const name of Object.keys(MACHINE_SPECIMENS) as Name[]) {
  it(`the golden log of "${name}" is byte for byte what is written today`, async () => {
    const { files, folder } = await MACHINE_SPECIMENS[name]()
    const hint = 'A change of the format needs a new version, and golden files of its own.'
    assert.equal(dump(readFolder(files, folder)), committed(name), hint)
  })
}

for (const name of ['map', 'orders'] as const) {
  it(`the golden log of "${name}" has the same in it for a reader that knows only docs/format.md`, () => {
    const json = readFileSync(new URL(`machine-${name}.json`, golden), 'utf8')
    const found = readMachine(readPlainly(parseDump(committed(name))), name === 'map')
    assert.deepEqual(JSON.parse(JSON.stringify(found)), JSON.parse(json))
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
    await eachStart('map', async (log) => {
      const map = await DurableMap.open(log, MAP_OPTIONS)
      const again = (request: number) => map.delete('last', { session: '6', request })
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
    await eachStart('orders', async (log) => {
      const machine = await StateMachine.open(log, ORDERS)
      assert.deepEqual(
        machine.query((state) => state),
        { open: { bread: 5, salt: 9, oil: 10 } },
      )
      assert.deepEqual([machine.offset, machine.logTime], [11, 1_767_225_600_020])
      assert.deepEqual([machine.sessions, machine.pendingEvents], [1, 3])
      const events: unknown[] = []
      for await (const event of machine.events()) if (events.push(event) === 3) break
      assert.deepEqual(events, [
        { offset: 5, index: 1, event: { what: 'bread', i: 1 } },
        { offset: 5, index: 2, event: { what: 'bread', i: 2 } },
        { offset: 9, index: 0, event: { what: 'salt', i: 0 } },
      ])
      await machine.close()
    })
  })

  it('answers what was asked before as it did then', async () => {
    await eachStart('orders', async (log) => {
      const machine = await StateMachine.open(log, ORDERS)
      const again = (request: number) =>
        machine.execute({ kind: 'forget' } satisfies Order, { session: '1', request })
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
    const files = writeFolder(parseDump(committed('partitions')), '/data/partitions')
    // They are not here: what was made once is not made anew.
    await assert.rejects(PartitionedLog.open('/data', { files }), { code: 'CORRUPT' })
    const log = await Log.open('/data/partitions', { files, mode: 'read' })
    const lines: string[] = []
    for await (const { data } of log.read()) lines.push(data.toString())
    assert.deepEqual(lines, ['partitions 2', 'made'])
    await log.close()
  })
})

describe('a snapshot of a state machine of version 2', () => {
  it('is refused by name, though the log could be replayed without it', async () => {
    await eachStart('map', async (log) => {
      const [offset] = await log.snapshots.list()
      if (offset === undefined) return
      const chunks: Uint8Array[] = []
      for await (const chunk of log.snapshots.read(offset)) chunks.push(chunk)
      const data = Buffer.concat(chunks)
      data[4] = 2
      await log.snapshots.remove(offset)
      await log.snapshots.write(offset, [data])
      const opening = DurableMap.open(log, MAP_OPTIONS)
      await assert.rejects(opening, { code: 'UNSUPPORTED_VERSION', message: /version 2/ })
      assert.deepEqual(await log.snapshots.list(), [offset])
    })
  })
})
