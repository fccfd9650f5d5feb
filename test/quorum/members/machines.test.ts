import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { DurableMap, StateMachine } from 'tidemark/machine'
import { Trio, until } from './trio.ts'

async function trioOf(t: TestContext): Promise<Trio> {
  const trio = await Trio.start()
  t.after(() => trio.stop())
  return trio
}

type Counter = StateMachine<{ sum: number }, number, number, number>

function counterOf(
  log: Parameters<typeof StateMachine.open>[0],
  options: { snapshot?: { entries: number } } = {},
): Promise<Counter> {
  return StateMachine.open<{ sum: number }, number, number, number>(log, {
    initial: () => ({ sum: 0 }),
    apply: (state, add, { emit }) => {
      state.sum += add
      if (state.sum % 10 === 0) emit(state.sum)
      return state.sum
    },
    ...options,
  })
}

describe('on a replicated log', { concurrency: 2 }, () => {
  it('a state machine runs on every member, and all come to the same state', async (t) => {
    const trio = await trioOf(t)
    const machines: Counter[] = []
    for (const id of [1, 2, 3]) machines.push(await counterOf(await trio.member(id).log('sums')))
    const results = await Promise.all(
      Array.from({ length: 90 }, (_, i) => machines[i % 3]!.execute(1)),
    )
    assert.deepEqual(
      results.toSorted((a, b) => a - b),
      Array.from({ length: 90 }, (_, i) => i + 1),
      'each command once, and each with its own result',
    )
    for (const machine of machines) assert.equal(await machine.read(({ sum }) => sum), 90)
    for (const machine of machines) await machine.close()
  })

  it('a request is executed once, on whichever member it is repeated', async (t) => {
    const trio = await trioOf(t)
    const first = await counterOf(await trio.member(1).log('sums'))
    const second = await counterOf(await trio.member(2).log('sums'))
    const { id: session } = await first.openSession()
    assert.equal(await first.execute(5, { session, request: 1 }), 5)
    assert.equal(await second.execute(5, { session, request: 1 }), 5)
    assert.equal(await second.execute(5, { session, request: 2 }), 10)
    await first.close()
    await second.close()
  })

  it('a member that fell behind the low-water mark gets a snapshot of another', async (t) => {
    const trio = await trioOf(t)
    const options = { snapshot: { entries: 50 } }
    const log = await trio.member(1).log('sums', { segmentBytes: 65_536 })
    const first = await counterOf(log, options)
    const second = await counterOf(await trio.member(2).log('sums'), options)
    await until(() => trio.member(3).status().logs.length === 2, 'all have it')
    await trio.stopMember(3)
    for (let i = 0; i < 400; i++) await first.execute(1)
    await until(() => log.lowWaterMark > 0, 'the log is trimmed')
    await trio.startMember(3)
    const late = await trio.member(3).log('sums')
    const third = await counterOf(late, options)
    assert.equal(await third.read(({ sum }) => sum), 400)
    assert.equal(await third.execute(1), 401)
    for (const machine of [first, second, third]) {
      assert.equal(machine.snapshotFailure, undefined)
      await machine.close()
    }
  })

  it('a state outlives the member that took the only snapshot', async (t) => {
    const trio = await trioOf(t)
    const log = await trio.member(1).log('sums')
    const machine = await counterOf(log)
    for (let i = 0; i < 50; i++) await machine.execute(1)
    await machine.snapshot()
    for (let i = 0; i < 50; i++) await machine.execute(1)
    // The mark goes to the older of two snapshots.
    await machine.snapshot()
    assert.ok(log.lowWaterMark > 0)
    await machine.close()
    await trio.stopMember(1)
    // Nobody but a quorum that has the snapshot lets the log forget.
    const other = await counterOf(await trio.member(2).log('sums'))
    assert.equal(await other.read(({ sum }) => sum), 100)
    await other.close()
  })

  it('a map is the same on every member', async (t) => {
    const trio = await trioOf(t)
    const one = await DurableMap.open(await trio.member(1).log('map'))
    const two = await DurableMap.open(await trio.member(2).log('map'))
    await Promise.all(
      Array.from({ length: 100 }, (_, i) => (i % 2 ? one : two).set(`key-${i}`, `${i}`)),
    )
    await trio.stopMember(3)
    await one.set('last', 'x')
    assert.equal(await two.read('last'), 'x')
    assert.equal(two.size, 101)
    await one.close()
    await two.close()
  })

  it('events are delivered at least once, and what was delivered is known to all', async (t) => {
    const trio = await trioOf(t)
    const first = await counterOf(await trio.member(1).log('sums'))
    const second = await counterOf(await trio.member(2).log('sums'))
    for (let i = 0; i < 20; i++) await first.execute(1)
    const seen = []
    for await (const event of second.events()) {
      seen.push(event.event)
      await second.delivered(event)
      if (seen.length === 2) break
    }
    assert.deepEqual(seen, [10, 20])
    await first.read(() => undefined)
    assert.equal(first.pendingEvents, 0)
    await first.close()
    await second.close()
  })
})
