import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { afterMicrotasks } from '#dist/io/index.js'
import { ManualClock } from '#dist/simulation/index.js'

describe('ManualClock', () => {
  it('stands still until it is moved', async () => {
    const clock = new ManualClock(5000)
    await new Promise((resolve) => setTimeout(resolve, 5))
    assert.equal(clock.now(), 5000)
    assert.equal(clock.monotonic(), 0)
    await clock.advance(250)
    assert.equal(clock.now(), 5250)
    assert.equal(clock.monotonic(), 250)
  })

  it('fires timers in the order of their time, each at its own moment', async () => {
    const clock = new ManualClock(0)
    const fired: string[] = []
    const note = (name: string) => () => fired.push(`${name}@${clock.now()}`)
    clock.after(30, note('c'))
    clock.after(10, note('a'))
    clock.after(20, note('b1'))
    clock.after(20, note('b2'))
    clock.after(31, note('later'))
    await clock.advance(30)
    assert.deepEqual(fired, ['a@10', 'b1@20', 'b2@20', 'c@30'])
    assert.equal(clock.pendingTimers, 1)
    await clock.advance(1)
    assert.equal(fired.at(-1), 'later@31')
    assert.equal(clock.pendingTimers, 0)
  })

  it('fires timers that are set by timers, or by what these have set off', async () => {
    const clock = new ManualClock(0)
    const fired: number[] = []
    const tick = () => {
      fired.push(clock.monotonic())
      void deep(10).then(() => clock.after(10, tick))
    }
    clock.after(10, tick)
    await clock.advance(35)
    assert.deepEqual(fired, [10, 20, 30])
    assert.equal(clock.monotonic(), 35)
    assert.equal(clock.pendingTimers, 1)
  })

  it('lets what was under way set its timers before it moves', async () => {
    const clock = new ManualClock(0)
    let fired = false
    void deep(20).then(() => clock.after(5, () => (fired = true)))
    await clock.advance(5)
    assert.equal(fired, true)
  })

  it('fires what is due at once, and only in advance', async () => {
    const clock = new ManualClock()
    let fired = 0
    clock.after(0, () => fired++)
    clock.after(-5, () => fired++)
    await deep(5)
    assert.equal(fired, 0)
    await clock.advance(0)
    assert.equal(fired, 2)
    assert.equal(clock.monotonic(), 0)
  })

  it('does not fire a cancelled timer, also when another timer cancels it', async () => {
    const clock = new ManualClock()
    let fired = 0
    const cancel = clock.after(10, () => fired++)
    clock.after(10, () => cancelLast())
    const cancelLast = clock.after(10, () => fired++)
    cancel()
    assert.equal(clock.pendingTimers, 2)
    await clock.advance(10)
    assert.equal(fired, 0)
    cancel()
    cancelLast()
    assert.equal(clock.pendingTimers, 0)
  })

  it('takes calls of advance one after the other', async () => {
    const clock = new ManualClock(0)
    const fired: number[] = []
    clock.after(10, () => fired.push(clock.now()))
    clock.after(15, () => fired.push(clock.now()))
    await Promise.all([clock.advance(10), clock.advance(10)])
    assert.deepEqual(fired, [10, 15])
    assert.equal(clock.now(), 20)
  })

  it('rejects with the error of a timer, and goes on after it', async () => {
    const clock = new ManualClock(0)
    let fired = false
    clock.after(10, () => {
      throw new Error('from the timer')
    })
    clock.after(20, () => (fired = true))
    await assert.rejects(clock.advance(30), /from the timer/)
    assert.equal(clock.monotonic(), 10)
    await clock.advance(10)
    assert.equal(fired, true)
  })

  it('lets the wall jump without moving a timer', async () => {
    const clock = new ManualClock(1000)
    let fired = false
    clock.after(10, () => (fired = true))
    clock.jump(-500)
    assert.equal(clock.now(), 500)
    assert.equal(clock.monotonic(), 0)
    clock.jump(100_000)
    await clock.advance(9)
    assert.equal(fired, false)
    await clock.advance(1)
    assert.equal(fired, true)
  })

  it('refuses times that are none', async () => {
    const clock = new ManualClock()
    const code = { code: 'INVALID_ARGUMENT' }
    assert.throws(() => clock.after(Number.NaN, () => {}), { ...code, message: /delayMs .*NaN/ })
    await assert.rejects(clock.advance(-1), { ...code, message: /-1/ })
    await assert.rejects(clock.advance(Number.POSITIVE_INFINITY), code)
    assert.throws(() => clock.jump(Number.NaN), code)
    assert.throws(() => new ManualClock(Number.NaN), code)
  })

  it('settles as the real clock does', async () => {
    const clock = new ManualClock()
    const order: string[] = []
    const settled = clock.settled().then(() => order.push('settled'))
    for (let at = 0; at < 3; at++) void Promise.resolve().then(() => order.push('microtask'))
    await settled
    assert.deepEqual(order, ['microtask', 'microtask', 'microtask', 'settled'])
  })
})

/** Resolves after so many turns of ticks and microtasks. */
async function deep(turns: number): Promise<void> {
  for (let turn = 0; turn < turns; turn++) await afterMicrotasks()
}
