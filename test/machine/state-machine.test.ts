import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Log } from 'tidemark'
import { type MachineOptions, StateMachine } from 'tidemark/machine'
import { cloneAll, ForgetfulFiles } from 'tidemark/testing'
import { assertCode, openOn } from '../log/fixtures.ts'

interface Account {
  balances: Record<string, number>
}
type Command = {
  readonly kind: 'deposit' | 'withdraw'
  readonly who: string
  readonly amount: number
}

class Overdrawn extends Error {
  override readonly name = 'Overdrawn'
  readonly code = 'OVERDRAWN'
}

const bank: MachineOptions<Account, Command, number, string> = {
  initial: () => ({ balances: {} }),
  apply(state, { kind, who, amount }, { emit }) {
    const before = state.balances[who] ?? 0
    if (kind === 'withdraw' && before < amount) throw new Overdrawn(`${who} has ${before}`)
    emit(`${kind} ${who} ${amount}`)
    const after = kind === 'deposit' ? before + amount : before - amount
    state.balances[who] = after
    return after
  },
}
const deposit = (who: string, amount: number): Command => ({ kind: 'deposit', who, amount })
const withdraw = (who: string, amount: number): Command => ({ kind: 'withdraw', who, amount })

type Bank = StateMachine<Account, Command, number, string>

/** Opens the machine on simulated files, and closes both when `use` is done. */
async function withBank<T>(
  files: ForgetfulFiles,
  use: (machine: Bank, log: Log) => Promise<T>,
  options: Partial<MachineOptions<Account, Command, number, string>> = {},
): Promise<T> {
  const log = await openOn(files, { segmentBytes: 2048 })
  try {
    const machine = await StateMachine.open(log, { ...bank, ...options })
    try {
      return await use(machine, log)
    } finally {
      await machine.close()
    }
  } finally {
    await log.close()
  }
}

const balanceOf = (machine: Bank, who: string) => machine.query(({ balances }) => balances[who])

describe('a state machine', () => {
  it('answers each command with its result, in the order of the log', async () => {
    await withBank(new ForgetfulFiles(), async (machine, log) => {
      const results = Array.from({ length: 50 }, (_, i) => machine.execute(deposit('ada', i)))
      assert.deepEqual(
        await Promise.all(results),
        Array.from({ length: 50 }, (_, i) => (i * (i + 1)) / 2),
      )
      assert.equal(machine.offset, 50)
      assert.equal(log.highWaterMark, 50)
    })
  })

  it('rejects a command with what apply threw, and again at each replay', async () => {
    const files = new ForgetfulFiles()
    await withBank(files, async (machine) => {
      await machine.execute(deposit('ada', 10))
      await assert.rejects(machine.execute(withdraw('ada', 11)), Overdrawn)
      assert.equal(machine.pendingEvents, 1)
    })
    await withBank(files, async (machine, log) => {
      assert.equal(log.highWaterMark, 2)
      assert.equal(balanceOf(machine, 'ada'), 10)
      assert.equal(machine.pendingEvents, 1)
    })
  })

  it('refuses one command that is too large, and executes the others of the same moment', async () => {
    const log = await openOn(new ForgetfulFiles(), { maxEntryBytes: 200 })
    const machine = await StateMachine.open(log, bank)
    const commands = [deposit('ada', 1), deposit('x'.repeat(300), 1), deposit('ada', 2)]
    const [first, second, third] = await Promise.allSettled(commands.map((c) => machine.execute(c)))
    assert.deepEqual(first, { status: 'fulfilled', value: 1 })
    assert.equal(second?.status === 'rejected' && second.reason.code, 'TOO_LARGE')
    assert.deepEqual(third, { status: 'fulfilled', value: 3 })
    assert.equal(log.highWaterMark, 2)
    await machine.close()
    await log.close()
  })

  it('has every acknowledged command after the process was killed', async () => {
    const files = new ForgetfulFiles()
    const log = await openOn(files)
    const machine = await StateMachine.open(log, bank)
    for (let i = 0; i < 20; i++) await machine.execute(deposit('ada', 1))
    await withBank(cloneAll(files), async (again) => assert.equal(balanceOf(again, 'ada'), 20))
  })

  it('reads what others were told before, through the barrier', async () => {
    await withBank(new ForgetfulFiles(), async (machine, log) => {
      const other = await StateMachine.open(log, bank)
      await machine.execute(deposit('ada', 5))
      assert.equal(await other.read(({ balances }) => balances.ada), 5)
      await other.close()
    })
  })

  it('follows the writer on a log that is open for reading, and takes no commands', async () => {
    const files = new ForgetfulFiles()
    await withBank(files, async (machine) => {
      await machine.execute(deposit('ada', 5))
      const reading = await Log.open('/log', { mode: 'read', files, pollMs: 1 })
      const copy = await StateMachine.open(reading, bank)
      await machine.execute(deposit('ada', 6))
      assert.equal(await copy.read(({ balances }) => balances.ada), 11)
      await assertCode('READ_ONLY', () => copy.execute(deposit('ada', 1)))
      await copy.close()
      await reading.close()
    })
  })

  it('goes on from a snapshot where the writer has trimmed past it', async () => {
    const files = new ForgetfulFiles()
    await withBank(files, async (machine, log) => {
      await machine.execute(deposit('ada', 1))
      const reading = await Log.open('/log', { mode: 'read', files, pollMs: 300 })
      const copy = await StateMachine.open(reading, bank)
      for (let round = 0; round < 3; round++) {
        for (let i = 0; i < 50; i++) await machine.execute(deposit('ada', 1))
        await machine.snapshot()
      }
      await machine.execute(deposit('ada', 1))
      assert.ok(log.lowWaterMark > 50)
      assert.equal(await copy.read(({ balances }) => balances.ada), 152)
      assert.equal(copy.offset, 152)
      await copy.close()
      await reading.close()
    })
  })

  it('passes over entries of other types, and refuses data that is no command', async () => {
    const files = new ForgetfulFiles()
    await withBank(files, async (machine, log) => {
      await log.append('a note', { type: 200 })
      assert.equal(await machine.execute(deposit('ada', 1)), 1)
      await log.append('not a command')
      const error = await assertCode('CORRUPT', () => machine.execute(deposit('ada', 1)))
      assert.equal(error.details.offset, 2)
      await assertCode('CORRUPT', () => Promise.resolve().then(() => balanceOf(machine, 'ada')))
    })
    await assertCode('CORRUPT', () => withBank(files, async () => {}))
  })

  it('refuses a command of a newer version by name', async () => {
    const files = new ForgetfulFiles()
    const log = await openOn(files)
    await log.append(Buffer.from([3, 0, 1, 2, 3]))
    await log.close()
    await assertCode('UNSUPPORTED_VERSION', () => withBank(files, async () => {}))
  })

  it('rejects what waits when its log is closed, and everything later', async () => {
    const log = await openOn(new ForgetfulFiles())
    const machine = await StateMachine.open(log, bank)
    await machine.execute(deposit('ada', 1))
    await log.close()
    await sleep(5)
    await assertCode('CLOSED', () => machine.execute(deposit('ada', 1)))
    await machine.close()
    await assertCode('CLOSED', () => machine.snapshot())
  })

  it('waits in close for the commands under way', async () => {
    const files = new ForgetfulFiles()
    const log = await openOn(files)
    const machine = await StateMachine.open(log, bank)
    const last = machine.execute(deposit('ada', 7))
    await machine.close()
    assert.equal(await last, 7)
    await log.close()
  })

  it('rejects a command whose apply returns a promise', async () => {
    const log = await openOn(new ForgetfulFiles())
    const machine = await StateMachine.open(log, {
      initial: () => 0,
      apply: async () => 1,
      snapshot: false,
    })
    await assertCode('INVALID_ARGUMENT', () => machine.execute({}))
    await machine.close()
    await log.close()
  })

  it('refuses options that are misspelt or cannot be', async () => {
    const log = await openOn(new ForgetfulFiles())
    for (const wrong of [
      { aply: 1 },
      { snapshot: { entry: 1 } },
      { snapshot: { entries: 0 } },
      { sessions: { max: 1.5 } },
      { check: 1 },
      { trim: 'no' },
      { apply: 3 },
      { commands: {} },
      { state: null },
    ]) {
      await assertCode('INVALID_ARGUMENT', () =>
        StateMachine.open(log, { ...bank, ...(wrong as object) }),
      )
    }
    const machine = await StateMachine.open(log, bank)
    for (const options of [
      { session: 'x', request: 1 },
      { session: '0' },
      { request: 1 },
      { sesion: 1 },
    ]) {
      await assertCode('INVALID_ARGUMENT', () =>
        machine.execute(deposit('a', 1), options as object),
      )
    }
    await machine.close()
    await log.close()
  })
})

function damageSnapshot(files: ForgetfulFiles, name: string): void {
  const file = files.openSync(`/log/snapshots/${name}`, 'write')
  file.writeSync(Buffer.from([0xff]), file.sizeSync() >> 1)
  file.closeSync()
}

describe('snapshots of a state machine', () => {
  it('begin the next replay, and let the log forget what the older of two covers', async () => {
    const files = new ForgetfulFiles()
    await withBank(files, async (machine, log) => {
      for (let i = 0; i < 10; i++) await machine.execute(deposit('ada', 1))
      assert.equal(await machine.snapshot(), 10)
      assert.equal(log.lowWaterMark, 0, 'one snapshot alone may be damaged')
      for (let i = 0; i < 10; i++) await machine.execute(deposit('ada', 1))
      assert.equal(await machine.snapshot(), 20)
      assert.equal(log.lowWaterMark, 10)
      for (let i = 0; i < 5; i++) await machine.execute(deposit('ada', 1))
      assert.equal(await machine.snapshot(), 25)
      assert.deepEqual(await log.snapshots.list(), [20, 25])
      assert.equal(log.lowWaterMark, 20)
      assert.equal(await machine.snapshot(), 25, 'nothing has changed')
    })
    let applied = 0
    const apply: typeof bank.apply = (...args) => {
      applied++
      return bank.apply(...args)
    }
    await withBank(files, async (machine) => assert.equal(balanceOf(machine, 'ada'), 25), { apply })
    assert.equal(applied, 0)
  })

  it('fall back to the older one where the newer is damaged', async () => {
    const files = new ForgetfulFiles()
    await withBank(files, async (machine) => {
      for (const rounds of [10, 10, 3]) {
        for (let i = 0; i < rounds; i++) await machine.execute(deposit('ada', 1))
        await machine.snapshot()
      }
    })
    const [older, newer] = files.listSync('/log/snapshots').sort()
    damageSnapshot(files, newer!)
    await withBank(files, async (machine) => assert.equal(balanceOf(machine, 'ada'), 23))
    damageSnapshot(files, older!)
    await assertCode('CORRUPT', () => withBank(files, async () => {}))
  })

  it('that are damaged are none to fall back to', async () => {
    const files = new ForgetfulFiles()
    const names = () => files.listSync('/log/snapshots').sort()
    await withBank(files, async (machine) => {
      for (const rounds of [10, 10]) {
        for (let i = 0; i < rounds; i++) await machine.execute(deposit('ada', 1))
        await machine.snapshot()
      }
    })
    damageSnapshot(files, names()[1]!)
    await withBank(files, async (machine, log) => {
      await machine.execute(deposit('ada', 1))
      await machine.snapshot()
      assert.deepEqual(await log.snapshots.list(), [10, 21])
      assert.equal(log.lowWaterMark, 10)
    })
    damageSnapshot(files, names()[1]!)
    await withBank(files, async (machine, log) => {
      assert.equal(balanceOf(machine, 'ada'), 21)
      await machine.snapshot()
      assert.deepEqual(await log.snapshots.list(), [10, 21], 'written again, and sound')
    })
    damageSnapshot(files, names()[0]!)
    await withBank(files, async (machine) => assert.equal(balanceOf(machine, 'ada'), 21))
  })

  it('are taken by themselves after so many commands or bytes', async () => {
    for (const snapshot of [{ entries: 10 }, { bytes: 500 }]) {
      await withBank(
        new ForgetfulFiles(),
        async (machine, log) => {
          for (let i = 0; i < 100; i++) await machine.execute(deposit('ada', 1))
          await sleep(20)
          assert.ok((await log.snapshots.list()).length === 2, 'two are kept')
          assert.ok(log.lowWaterMark > 0)
          assert.equal(machine.snapshotFailure, undefined)
        },
        { snapshot },
      )
    }
  })

  it('trim no further than they are told', async () => {
    for (const [trim, low] of [
      [false, 0],
      [() => 3, 3],
      [true, 10],
    ] as const) {
      await withBank(
        new ForgetfulFiles(),
        async (machine, log) => {
          for (let round = 0; round < 2; round++) {
            for (let i = 0; i < 10; i++) await machine.execute(deposit('ada', 1))
            await machine.snapshot()
          }
          assert.equal(log.lowWaterMark, low)
        },
        { trim },
      )
    }
  })

  it('that fail are told of, and lose nothing', async () => {
    const state = {
      encode: () => {
        throw new Error('no room')
      },
      decode: () => ({ balances: {} }),
    }
    await withBank(
      new ForgetfulFiles(),
      async (machine) => {
        for (let i = 0; i < 10; i++) await machine.execute(deposit('ada', 1))
        assert.match(String(machine.snapshotFailure), /no room/)
        await assert.rejects(machine.snapshot(), /no room/)
        assert.equal(balanceOf(machine, 'ada'), 10)
      },
      { state, snapshot: { entries: 3 } },
    )
  })
})

describe('sessions', () => {
  it('apply a request once, and answer it as it was, across reopening and snapshots', async () => {
    const files = new ForgetfulFiles()
    const id = await withBank(files, async (machine, log) => {
      const session = await machine.openSession()
      assert.equal(await session.execute(deposit('ada', 10)), 10)
      assert.equal(await session.execute(deposit('ada', 10)), 20)
      const end = log.highWaterMark
      assert.equal(await session.execute(deposit('ada', 10), 1), 10)
      assert.equal(log.highWaterMark, end, 'what is known needs no entry')
      await assert.rejects(session.execute(withdraw('ada', 99)), Overdrawn)
      return session.id
    })
    await withBank(files, async (machine) => {
      assert.equal(await machine.execute(deposit('ada', 10), { session: id, request: 2 }), 20)
      const again = { session: id, request: 3 }
      await assert.rejects(machine.execute(withdraw('ada', 99), again), {
        name: 'Overdrawn',
        code: 'OVERDRAWN',
        message: 'ada has 20',
      })
      await machine.snapshot()
    })
    await withBank(files, async (machine) => {
      assert.equal(await machine.execute(deposit('ada', 10), { session: id, request: 1 }), 10)
      assert.equal(await machine.execute(deposit('ada', 1), { session: id, request: 4 }), 21)
    })
  })

  it('apply a request once that was sent twice at the same time', async () => {
    await withBank(new ForgetfulFiles(), async (machine) => {
      const { id } = await machine.openSession()
      const send = () => machine.execute(deposit('ada', 1), { session: id, request: 1 })
      assert.deepEqual(await Promise.all([send(), send(), send()]), [1, 1, 1])
    })
  })

  it('are UNCERTAIN of what they have forgotten, and do not apply it', async () => {
    const sessions = { requests: 2, max: 2, idleMs: 1000 }
    await withBank(
      new ForgetfulFiles(),
      async (machine, log) => {
        const first = await machine.openSession()
        for (let i = 0; i < 4; i++) await first.execute(deposit('ada', 1))
        await assertCode('UNCERTAIN', () => first.execute(deposit('ada', 1), 2))
        assert.equal(await first.execute(deposit('ada', 1), 3), 3)
        await machine.openSession()
        await machine.openSession()
        assert.equal(machine.sessions, 2)
        await assertCode('UNCERTAIN', () => first.execute(deposit('ada', 1), 9))
        await log.append('time passes', { type: 128, timestamp: Date.now() + 5000 })
        await machine.read(() => {})
        assert.equal(machine.sessions, 0)
        assert.equal(balanceOf(machine, 'ada'), 4)
      },
      { sessions },
    )
  })
})

describe('the outbox', () => {
  it('delivers each event in order, and again what was not noted as delivered', async () => {
    const files = new ForgetfulFiles()
    await withBank(files, async (machine) => {
      for (let i = 0; i < 5; i++) await machine.execute(deposit('ada', i))
      const seen: string[] = []
      for await (const { event, number } of machine.events()) {
        seen.push(event)
        if (seen.length === 2) await machine.delivered({ number })
        if (seen.length === 4) break
      }
      assert.deepEqual(
        seen,
        [0, 1, 2, 3].map((i) => `deposit ada ${i}`),
      )
    })
    await withBank(files, async (machine) => {
      await machine.snapshot()
      assert.equal(machine.pendingEvents, 3)
    })
    await withBank(files, async (machine) => {
      const stop = new AbortController()
      const seen: string[] = []
      const reading = (async () => {
        for await (const sent of machine.events({ signal: stop.signal })) {
          seen.push(sent.event)
          await machine.delivered(sent)
        }
      })()
      await machine.execute(deposit('bob', 9))
      while (machine.pendingEvents > 0) await sleep(1)
      stop.abort(new Error('enough'))
      await assert.rejects(reading, /enough/)
      assert.deepEqual(seen, ['deposit ada 2', 'deposit ada 3', 'deposit ada 4', 'deposit bob 9'])
    })
  })

  it('ends with the machine', async () => {
    await withBank(new ForgetfulFiles(), async (machine) => {
      const reading = (async () => {
        for await (const _ of machine.events()) assert.fail('there is none')
      })()
      await sleep(1)
      await machine.close()
      await reading
    })
  })
})

describe('the check of a machine', () => {
  const clock = {
    initial: () => ({ at: 0, count: 0 }),
    snapshot: false as const,
    check: true,
  }

  it('finds a clock in apply', async () => {
    const log = await openOn(new ForgetfulFiles())
    const machine = await StateMachine.open(log, {
      ...clock,
      apply(state) {
        state.at = Date.now()
        return ++state.count
      },
    })
    await machine.execute({})
    await sleep(3)
    await assertCode('DIVERGED', () => machine.close())
    await log.close()
  })

  it('finds chance in a result, while it goes on', async () => {
    const log = await openOn(new ForgetfulFiles())
    const machine = await StateMachine.open(log, { ...clock, apply: () => Math.random() })
    await assertCode('DIVERGED', async () => {
      for (let i = 0; i < 5000; i++) await machine.execute({})
    })
    await assertCode('DIVERGED', () => machine.close())
    await log.close()
  })

  it('finds nothing in what is deterministic, also where the log is trimmed', async () => {
    await withBank(
      new ForgetfulFiles(),
      async (machine) => {
        for (let i = 0; i < 2500; i++) await machine.execute(deposit('ada', 1))
      },
      { check: true, snapshot: { entries: 100 } },
    )
  })
})
