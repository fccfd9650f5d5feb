import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { InvariantError } from '#dist/base/index.js'
import { seededRandom } from '#dist/io/index.js'
import { Draws, SimulatedTime } from '#dist/simulation/index.js'

describe('SimulatedTime', () => {
  it('fires events in the order of their time, and of the same time in that of their making', async () => {
    const time = new SimulatedTime()
    const fired: string[] = []
    const note = (name: string) => () => fired.push(`${name}@${time.now}`)
    time.schedule(30, note('c'))
    time.schedule(10.25, note('a'))
    time.schedule(20, note('b1'))
    time.schedule(20, note('b2'))
    time.schedule(-5, note('now'))
    assert.equal(time.pending, 5)
    while (await time.step());
    assert.deepEqual(fired, ['now@0', 'a@10.25', 'b1@20', 'b2@20', 'c@30'])
    assert.equal(time.pending, 0)
    assert.equal(time.events, 5)
  })

  it('agrees with a sorted list about any mix of events and cancellations', async () => {
    const draws = new Draws(seededRandom(7))
    const time = new SimulatedTime()
    const fired: number[] = []
    const expected: { due: number; id: number }[] = []
    for (let id = 0; id < 3000; id++) {
      const due = draws.integer(0, 500)
      const cancel = time.schedule(due, () => fired.push(id))
      if (draws.chance(0.7)) {
        cancel()
        if (draws.chance(0.5)) cancel()
      } else {
        expected.push({ due, id })
      }
    }
    assert.equal(time.pending, expected.length)
    await time.run(500)
    expected.sort((a, b) => a.due - b.due || a.id - b.id)
    assert.deepEqual(
      fired,
      expected.map(({ id }) => id),
    )
  })

  it('fires nothing that was cancelled, also by an event of the same moment', async () => {
    const time = new SimulatedTime()
    const fired: string[] = []
    time.schedule(10, () => cancel())
    const cancel = time.schedule(10, () => fired.push('cancelled'))
    const late = time.schedule(10, () => fired.push('fired'))
    await time.run(20)
    late()
    assert.deepEqual(fired, ['fired'])
    assert.equal(time.pending, 0)
    assert.equal(time.events, 2)
  })

  it('lets everything run that can between two events', async () => {
    const time = new SimulatedTime()
    const order: string[] = []
    time.schedule(10, () => {
      void (async () => {
        for (let i = 0; i < 50; i++) await new Promise((resolve) => process.nextTick(resolve))
        order.push(`continued@${time.now}`)
        time.schedule(1, () => order.push(`inserted@${time.now}`))
      })()
    })
    time.schedule(12, () => order.push(`next@${time.now}`))
    await time.run(100)
    assert.deepEqual(order, ['continued@10', 'inserted@11', 'next@12'])
    assert.equal(time.now, 100)
  })

  it('runs what was just started up to its first event', async () => {
    const time = new SimulatedTime()
    let woken = -1
    const sleeper = async () => {
      await null
      await new Promise<void>((resolve) => time.schedule(5, resolve))
      woken = time.now
    }
    const asleep = sleeper()
    await time.run(5)
    assert.equal(woken, 5)
    await asleep
  })

  it('stops where an event throws, and goes on', async () => {
    const time = new SimulatedTime()
    time.schedule(10, () => {
      throw new Error('of an event')
    })
    await assert.rejects(time.run(50), /of an event/)
    assert.equal(time.now, 10)
    await time.run(50)
    assert.equal(time.now, 50)
    assert.equal(await time.step(), false)
  })

  it('refuses what cannot be', async () => {
    const time = new SimulatedTime()
    assert.throws(() => time.schedule(Number.NaN, () => {}), { code: 'INVALID_ARGUMENT' })
    assert.throws(() => time.schedule(Number.POSITIVE_INFINITY, () => {}), {
      code: 'INVALID_ARGUMENT',
    })
    await time.run(10)
    await assert.rejects(time.run(9), { code: 'INVALID_ARGUMENT' })
    await assert.rejects(time.run(Number.NaN), { code: 'INVALID_ARGUMENT' })
    const first = time.run(20)
    await assert.rejects(time.step(), InvariantError)
    await first
  })

  it('is fast', async (t) => {
    const time = new SimulatedTime()
    const EVENTS = 100_000
    let left = EVENTS
    const again = (): void => {
      left -= 1
      if (left > 0) time.schedule(1 + (left % 7), again)
    }
    for (let i = 0; i < 100; i++) time.schedule(i, again)
    const start = performance.now()
    await time.run(EVENTS)
    const perSecond = (time.events / (performance.now() - start)) * 1000
    t.diagnostic(`${Math.round(perSecond)} events a second`)
    // An order of magnitude below what it does alone on a machine.
    assert(perSecond > 20_000, `only ${perSecond} events a second`)
  })
})
