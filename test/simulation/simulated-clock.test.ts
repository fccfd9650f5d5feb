import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { memberClock, type SimulatedClock, SimulatedTime } from '#dist/simulation/index.js'

const START_MS = 1_767_225_600_000

/** A clock, and a list of what fired when by the time of the simulation. */
function traced(options = {}): {
  time: SimulatedTime
  clock: SimulatedClock
  fired: string[]
  note: (name: string) => () => void
} {
  const time = new SimulatedTime()
  const fired: string[] = []
  return {
    time,
    clock: memberClock(time, options),
    fired,
    note: (name) => () => fired.push(`${name}@${time.now}`),
  }
}

describe('memberClock', () => {
  it('shows the time of the simulation, and its own offset on the wall', async () => {
    const { time, clock } = traced({ wallOffsetMs: -250 })
    await time.run(1000.75)
    assert.equal(clock.monotonic(), 1000.75)
    assert.equal(clock.now(), START_MS + 750)
    const later = memberClock(time)
    assert.equal(later.monotonic(), 0)
    assert.equal(later.now(), START_MS + 1000)
  })

  it('drifts with its monotonic clock, its wall and its timers alike', async () => {
    const { time, clock, fired, note } = traced({ driftPpm: 250_000 })
    clock.after(1000, note('fast'))
    await time.run(2000)
    assert.deepEqual(fired, ['fast@800'])
    assert.equal(clock.monotonic(), 2500)
    assert.equal(clock.now(), START_MS + 2500)
    assert.equal(clock.wallOffsetMs, 500)
    const next = memberClock(time, { wallOffsetMs: clock.wallOffsetMs })
    assert.equal(next.now(), clock.now())
    const slow = memberClock(time, { driftPpm: -500_000 })
    slow.after(1000, note('slow'))
    await time.run(4000)
    assert.deepEqual(fired, ['fast@800', 'slow@4000'])
  })

  it('is never early by its own measure, however it drifts', async () => {
    for (const driftPpm of [-333, -7, 1, 77, 199_999]) {
      const { time, clock } = traced({ driftPpm })
      await time.run(0.1)
      for (let i = 1; i < 200; i++) {
        const deadline = clock.monotonic() + i / 7
        let fires = 0
        const wait = (): void => {
          fires += 1
          if (clock.monotonic() < deadline) clock.after(deadline - clock.monotonic(), wait)
        }
        clock.after(i / 7, wait)
        await time.run(time.now + i)
        assert(clock.monotonic() >= deadline)
        assert(fires <= 2, `${fires} timers for one deadline`)
      }
    }
  })

  it('jumps on the wall, and no timer notices', async () => {
    const { time, clock, fired, note } = traced()
    clock.after(100, note('timer'))
    clock.jump(-5000)
    await time.run(50)
    assert.equal(clock.now(), START_MS - 4950)
    assert.equal(clock.monotonic(), 50)
    clock.jump(-1e15)
    assert.equal(clock.now(), 0)
    await time.run(100)
    assert.deepEqual(fired, ['timer@100'])
    assert.throws(() => clock.jump(Number.NaN), { code: 'INVALID_ARGUMENT' })
  })

  it('cancels timers', async () => {
    const { time, clock, fired, note } = traced()
    const cancel = clock.after(10, note('cancelled'))
    cancel()
    cancel()
    clock.after(20, note('fired'))
    assert.equal(time.pending, 1)
    await time.run(30)
    assert.deepEqual(fired, ['fired@20'])
  })

  it('holds back while paused, and lets all of it run at the resume in order', async () => {
    const { time, clock, fired, note } = traced()
    clock.after(10, note('before'))
    clock.after(20, note('first'))
    const cancel = clock.after(25, note('cancelled'))
    clock.after(40, note('third'))
    clock.after(90, note('after'))
    time.schedule(30, () => clock.enter(note('second')))
    time.schedule(15, () => clock.pause())
    time.schedule(50, () => {
      cancel()
      clock.resume()
      clock.enter(note('fourth'))
    })
    await time.run(49)
    assert.deepEqual(fired, ['before@10'])
    assert.equal(clock.isPaused, true)
    assert.equal(clock.monotonic(), 49)
    await time.run(100)
    assert.deepEqual(fired.slice(1), ['first@50', 'second@50', 'third@50', 'fourth@50', 'after@90'])
  })

  it('can be paused again before all that was held back has run', async () => {
    const { time, clock, fired, note } = traced()
    clock.pause()
    clock.enter(() => clock.pause())
    clock.enter(note('held twice'))
    clock.enter(note('the last'))
    clock.resume()
    clock.resume()
    await time.run(10)
    assert.deepEqual(fired, [])
    clock.resume()
    await time.run(20)
    assert.deepEqual(fired, ['held twice@10', 'the last@10'])
    clock.enter(note('at once'))
    assert.equal(fired.at(-1), 'at once@20')
  })

  it('is dead once it is stopped', async () => {
    const { time, clock, fired, note } = traced()
    clock.after(10, note('timer'))
    clock.pause()
    clock.enter(note('held'))
    clock.resume()
    clock.stop()
    clock.after(1, note('set later'))
    clock.enter(note('from outside'))
    clock.pause()
    clock.resume()
    await time.run(100)
    assert.deepEqual(fired, [])
    assert.equal(clock.isStopped, true)
    assert.equal(time.pending, 0)
    await clock.settled()
  })

  it('refuses what is no clock', () => {
    const time = new SimulatedTime()
    for (const driftPpm of [-1e6, Number.NaN, Number.POSITIVE_INFINITY]) {
      assert.throws(() => memberClock(time, { driftPpm }), { code: 'INVALID_ARGUMENT' })
    }
    assert.throws(() => memberClock(time).after(Number.NaN, () => {}), {
      code: 'INVALID_ARGUMENT',
    })
  })
})
