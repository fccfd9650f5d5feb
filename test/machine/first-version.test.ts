// Commands and snapshots of version 1, which named sessions and events by offsets, and what comes behind them.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Log } from 'tidemark'
import { type MachineEvent, type MachineOptions, StateMachine } from 'tidemark/machine'
import { ForgetfulFiles, ManualClock } from 'tidemark/testing'
import { encodeDelivered, encodeOpenSession } from '#dist/machine/command-format.js'
import { assertCode } from '../log/fixtures.ts'

type Machine = StateMachine<number[], number, number, number>

const options: MachineOptions<number[], number, number, number> = {
  initial: () => [],
  apply(state, count, { emit }) {
    for (let i = 0; i < count; i++) emit(10 * state.length + i)
    state.push(count)
    return state.length
  },
  sessions: { max: 2 },
  snapshot: false,
}

function command(kind: number, numbers: readonly number[], body = ''): Buffer {
  const head = Buffer.alloc(2 + 6 * numbers.length)
  head[0] = 1
  head[1] = kind
  for (const [i, number] of numbers.entries()) head.writeUIntLE(number, 2 + 6 * i, 6)
  return Buffer.concat([head, Buffer.from(body)])
}

const plain = (count: number) => command(0, [], String(count))
const request = (session: number, number: number, count: number) =>
  command(1, [session, number], String(count))
const open = () => command(2, [])
const delivered = (offset: number, index: number) => command(3, [offset, index])

/** Sessions 0 (forgotten), 2 and 3; of the events of offsets 1, 4 and 5, the first two were delivered. */
const FIRST: readonly Buffer[] = [
  open(),
  plain(2),
  open(),
  open(),
  request(3, 1, 1),
  plain(2),
  delivered(1, 0),
  delivered(1, 1),
]

function openLog(files = new ForgetfulFiles()): Promise<Log> {
  return Log.open('/log', { files, clock: new ManualClock(), segmentBytes: 512 })
}

async function logOf(commands: readonly Buffer[]): Promise<Log> {
  const log = await openLog()
  for (const each of commands) await log.append(each)
  return log
}

/** The data of a snapshot of version 1, before offset 8. */
function firstSnapshot(): Buffer {
  const u48 = (...values: number[]) =>
    Buffer.concat(values.map((value) => command(0, [value]).subarray(2)))
  const u32 = (value: number) => Buffer.from(new Uint32Array([value]).buffer)
  const now = new ManualClock().now()
  const answer = [u48(1), Buffer.from([1]), u32(1), Buffer.from('2')]
  const sessions = [u32(2), u48(2, now, 0), u32(0), u48(3, now, 0), u32(1), ...answer]
  const event = (offset: number, index: number, text: string) => [
    u48(offset),
    u32(index),
    u32(text.length),
    Buffer.from(text),
  ]
  const events = [u32(3), ...event(4, 0, '10'), ...event(5, 0, '20'), ...event(5, 1, '21')]
  const head = Buffer.concat([u48(8, now), ...sessions, ...events])
  const header = Buffer.from([0x54, 0x4d, 0x53, 0x4d, 1, 0, 0, 0])
  return Buffer.concat([header, u32(head.length), head, Buffer.from('[2,1,2]')])
}

async function take(machine: Machine, count: number): Promise<MachineEvent<number>[]> {
  const all: MachineEvent<number>[] = []
  for await (const event of machine.events()) if (all.push(event) === count) break
  return all
}

async function expectFirst(machine: Machine): Promise<void> {
  assert.deepEqual(
    machine.query((state) => state),
    [2, 1, 2],
  )
  assert.deepEqual([machine.sessions, machine.pendingEvents], [2, 3])
  assert.equal(await machine.execute(7, { session: '3', request: 1 }), 2)
  await assertCode('UNCERTAIN', machine.execute(7, { session: '0', request: 1 }))
}

/** What a log comes to: both replays, and one that begins with a snapshot, must come to the same. */
async function snapshotOf(log: Log, ...more: readonly Buffer[]): Promise<string> {
  for (const each of more) await log.append(each)
  const machine = await StateMachine.open(log, options)
  const offset = await machine.snapshot()
  await machine.close()
  const chunks: Uint8Array[] = []
  for await (const chunk of log.snapshots.read(offset)) chunks.push(chunk)
  await log.snapshots.remove(offset)
  return Buffer.concat(chunks).toString('hex')
}

describe('a log that version 1 has written', () => {
  for (const from of ['all commands', 'a snapshot', 'a snapshot, trimmed to it'] as const) {
    it(`is gone on with, from ${from}`, async () => {
      const log = await logOf(FIRST)
      if (from !== 'all commands') await log.snapshots.write(8, [firstSnapshot()])
      if (from === 'a snapshot, trimmed to it') await log.trim(8)
      const first = await StateMachine.open(log, { ...options, check: true })
      await expectFirst(first)
      const events = await take(first, 3)
      assert.deepEqual(events, [
        { number: 1, offset: 4, index: 0, event: 10 },
        { number: 2, offset: 5, index: 0, event: 20 },
        { number: 3, offset: 5, index: 1, event: 21 },
      ])
      await first.delivered(events[0]!)
      assert.equal((await first.openSession()).id, 's1')
      await first.execute(1, { session: '3', request: 2 })
      await first.close()
      const second = await StateMachine.open(log, { ...options, check: true })
      const numbers = (await take(second, 3)).map(({ number, event }) => [number, event])
      assert.deepEqual(numbers, [
        [2, 20],
        [3, 21],
        [4, 30],
      ])
      assert.equal(await second.execute(9, { session: '3', request: 2 }), 4)
      assert.equal((await second.openSession()).id, 's2')
      await second.close()
      await log.close()
    })
  }

  it('comes to the same from a snapshot of version 1 as from all commands', async () => {
    // An older release that ends with appends on their way puts some behind the first ones of this.
    const tails: readonly (readonly Buffer[])[] = [
      [],
      [plain(1)],
      [encodeOpenSession(), plain(1), delivered(4, 0), encodeOpenSession()],
      [delivered(4, 0), encodeDelivered(0), plain(2), delivered(5, 0), encodeDelivered(2)],
    ]
    for (const tail of tails) {
      const whole = await logOf(FIRST)
      const short = await logOf(FIRST)
      await short.snapshots.write(8, [firstSnapshot()])
      await short.trim(8)
      assert.equal(await snapshotOf(short, ...tail), await snapshotOf(whole, ...tail))
      await whole.close()
      await short.close()
    }
  })

  it('keeps what has no number yet, through a snapshot', async () => {
    const log = await logOf(FIRST)
    const before = await snapshotOf(log)
    const machine = await StateMachine.open(log, options)
    await machine.snapshot()
    await machine.close()
    const again = await StateMachine.open(log, options)
    assert.equal((await take(again, 1))[0]?.number, 1)
    await again.close()
    assert.notEqual(await snapshotOf(log), before)
    await log.close()
  })

  it('has events for who only follows it, when its writer has numbered them', async () => {
    const files = new ForgetfulFiles()
    // Not by hand: the two hear of each other as time goes by.
    const log = await Log.open('/log', { files })
    for (const each of FIRST) await log.append(each)
    await log.flush()
    const reader = await Log.open('/log', { files, mode: 'read', pollMs: 1 })
    const follower = await StateMachine.open(reader, options)
    const seen = take(follower, 3)
    const writer = await StateMachine.open(log, options)
    const events = await take(writer, 3)
    await log.flush()
    assert.deepEqual(await seen, events)
    await follower.close()
    await writer.close()
    await reader.close()
    await log.close()
  })
})
