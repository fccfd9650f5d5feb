// A log that was copied entry by entry has other offsets, and the same sessions and events.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Log } from 'tidemark'
import { type MachineOptions, StateMachine } from 'tidemark/machine'
import { ForgetfulFiles, ManualClock } from 'tidemark/testing'

interface Stock {
  left: number
  readonly sold: number[]
}
type Machine = StateMachine<Stock, number, number, string>

const shop: MachineOptions<Stock, number, number, string> = {
  initial: () => ({ left: 100, sold: [] }),
  apply(state, count, { emit }) {
    if (count > state.left) throw new RangeError(`only ${state.left} left`)
    for (let i = 0; i < count; i++) emit(`${state.sold.length}.${i}`)
    state.left -= count
    state.sold.push(count)
    return state.left
  },
  check: true,
}

const FILLER = { type: 200 }

function openLog(files = new ForgetfulFiles()): Promise<Log> {
  return Log.open('/log', { files, clock: new ManualClock(), segmentBytes: 1024 })
}

/** Everything that is not for the machine stays behind; fillers shift what is copied. */
async function copyOf(source: Log, fillers: (copied: number) => number): Promise<Log> {
  const copy = await openLog()
  let copied = 0
  for await (const { data, type } of source.read()) {
    if (type !== 1) continue
    for (let i = fillers(copied++); i > 0; i--) await copy.append('filler', FILLER)
    await copy.append(data)
  }
  return copy
}

async function using<T>(log: Log, use: (machine: Machine) => Promise<T>, check = true): Promise<T> {
  const machine = await StateMachine.open(log, { ...shop, check })
  try {
    return await use(machine)
  } finally {
    await machine.close()
  }
}

async function pending(machine: Machine): Promise<string[]> {
  const all: string[] = []
  if (machine.pendingEvents === 0) return all
  for await (const { number, event } of machine.events()) {
    if (all.push(`${number} ${event}`) === machine.pendingEvents) break
  }
  return all
}

/** Two sessions, of which one has asked three times; six events, of which three were delivered. */
async function sell(log: Log): Promise<readonly [string, string]> {
  return await using(log, async (machine) => {
    await log.append('filler', FILLER)
    const [one, two] = [await machine.openSession(), await machine.openSession()]
    assert.equal(await one.execute(2), 98)
    assert.equal(await two.execute(1), 97)
    await assert.rejects(one.execute(1000), RangeError)
    for await (const sent of machine.events()) {
      if (sent.number === 3) await machine.delivered(sent)
      if (sent.number === 3) break
    }
    assert.equal(await one.execute(3), 94)
    return [one.id, two.id]
  })
}

describe('a copy of the log of a state machine', () => {
  const shapes: Readonly<Record<string, (copied: number) => number>> = {
    'that begins at another offset': (copied) => (copied === 0 ? 30 : 0),
    'with gaps between its entries': (copied) => copied % 3,
    'without what was not for the machine': () => 0,
  }
  for (const [what, fillers] of Object.entries(shapes)) {
    it(`${what} gives the same state, the same answers, and what was not delivered`, async () => {
      const log = await openLog()
      const [one, two] = await sell(log)
      assert.deepEqual([one, two], ['s1', 's2'])
      const copy = await copyOf(log, fillers)
      for (const each of [log, copy]) {
        await using(each, async (machine) => {
          assert.deepEqual(
            machine.query((state) => state),
            { left: 94, sold: [2, 1, 3] },
          )
          assert.equal(await machine.execute(9, { session: one, request: 1 }), 98)
          assert.equal(await machine.execute(9, { session: two, request: 1 }), 97)
          const again = machine.execute(9, { session: one, request: 2 })
          await assert.rejects(again, { name: 'RangeError', message: 'only 97 left' })
          assert.equal(await machine.execute(9, { session: one, request: 3 }), 94)
          assert.deepEqual(await pending(machine), ['4 2.0', '5 2.1', '6 2.2'])
          await machine.delivered({ number: 5 })
          assert.equal((await machine.openSession()).id, 's3')
          assert.equal(await machine.execute(1, { session: two, request: 2 }), 93)
        })
        await using(each, async (machine) => {
          assert.deepEqual(await pending(machine), ['6 2.2', '7 3.0'])
        })
        await each.close()
      }
    })
  }

  it('may have lost the fillers at its beginning', async () => {
    const log = await openLog()
    const [one] = await sell(log)
    const copy = await copyOf(log, (copied) => (copied === 0 ? 40 : 1))
    // A check would keep the log from being trimmed.
    const snapshots = async (machine: Machine) => {
      for (let i = 0; i < 2; i++) {
        await machine.execute(0)
        await machine.snapshot()
      }
    }
    await using(copy, snapshots, false)
    assert.ok(copy.lowWaterMark > 40)
    await using(copy, async (machine) => {
      assert.equal(await machine.execute(9, { session: one, request: 3 }), 94)
      assert.deepEqual(await pending(machine), ['4 2.0', '5 2.1', '6 2.2'])
      assert.equal((await machine.openSession()).id, 's3')
    })
    await log.close()
    await copy.close()
  })
})

describe('sessions and events, counted', () => {
  it('go on behind a snapshot, also where all of them are forgotten or delivered', async () => {
    const log = await openLog()
    const limits = { ...shop, sessions: { max: 1 } }
    for (const round of [1, 2, 3]) {
      const machine = await StateMachine.open(log, limits)
      const [, second] = [await machine.openSession(), await machine.openSession()]
      assert.equal(second.id, `s${2 * round}`)
      await second.execute(2)
      assert.deepEqual(
        (await pending(machine)).map((each) => each.split(' ')[0]),
        [String(2 * round - 1), String(2 * round)],
      )
      await machine.delivered({ number: 2 * round })
      assert.equal(machine.pendingEvents, 0)
      await machine.snapshot()
      await machine.close()
    }
    await log.close()
  })

  it('differ for two machines on one log that open them at the same time', async () => {
    const log = await openLog()
    const machines = await Promise.all([1, 2].map(() => StateMachine.open(log, shop)))
    const opened = await Promise.all(
      Array.from({ length: 10 }, (_, i) => machines[i % 2]!.openSession()),
    )
    assert.equal(new Set(opened.map(({ id }) => id)).size, 10)
    const results = await Promise.all(opened.map((session) => session.execute(1)))
    assert.equal(new Set(results).size, 10)
    for (const [i, { id }] of opened.entries()) {
      const other = machines[(i + 1) % 2]!
      assert.equal(await other.execute(5, { session: id, request: 1 }), results[i])
    }
    for (const machine of machines) await machine.close()
    await log.close()
  })
})
