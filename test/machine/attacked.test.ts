// What an attack on the layer has found.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { bytes } from 'tidemark'
import { DurableMap, StateMachine } from 'tidemark/machine'
import { ForgetfulFiles } from 'tidemark/testing'
import { assertCode, openOn } from '../log/fixtures.ts'

const counter = { initial: () => ({ n: 0 }), apply: (s: { n: number }, c: number) => (s.n += c) }

describe('a log of something else', () => {
  it('is refused by a map, and by a machine, and keeps what is in it', async () => {
    const log = await openOn(new ForgetfulFiles())
    const machine = await StateMachine.open(log, counter)
    await machine.execute(10)
    await machine.close()
    await assertCode('CORRUPT', () => DurableMap.open(log))
    await log.close()

    const other = await openOn(new ForgetfulFiles())
    const map = await DurableMap.open(other)
    await map.set('a', 1)
    await map.close()
    await assertCode('CORRUPT', () => StateMachine.open(other, counter))
    await other.close()
  })
})

describe('an apply that is asynchronous', () => {
  it('is refused, and what it throws or emits later harms nobody', async () => {
    const log = await openOn(new ForgetfulFiles())
    let late: unknown
    const machine = await StateMachine.open<object, number, unknown, string>(log, {
      initial: () => ({}),
      apply(_state, command, { emit }) {
        if (command !== 1) return 'done'
        return (async () => {
          await sleep(1)
          try {
            emit('ghost')
          } catch (error) {
            late = error
            throw error
          }
        })()
      },
    })
    await assertCode('INVALID_ARGUMENT', () => machine.execute(1))
    await sleep(10)
    await machine.execute(2)
    assert.equal(machine.pendingEvents, 0)
    assert.match(String(late), /after apply had returned/)
    await machine.close()
    await log.close()
  })
})

describe('arguments that cannot be', () => {
  it('are refused with a code', async () => {
    const log = await openOn(new ForgetfulFiles())
    const machine = await StateMachine.open<object, unknown>(log, {
      ...counter,
      trim: () => Number.NaN,
    } as never)
    await assertCode('INVALID_ARGUMENT', () => machine.execute(undefined))
    await assertCode('INVALID_ARGUMENT', () => machine.execute(() => 1))
    await assertCode('INVALID_ARGUMENT', () =>
      machine.execute(1, { session: 1n, request: 1 } as never),
    )
    await assertCode('INVALID_ARGUMENT', () => machine.delivered(undefined as never))
    await machine.execute(1)
    await assertCode('INVALID_ARGUMENT', () => machine.snapshot())
    await machine.close()
    await assertCode('CLOSED', () => machine.execute(1))
    await log.close()

    const other = await openOn(new ForgetfulFiles())
    const map = await DurableMap.open(other)
    for (const entries of [{ a: 1 }, 5, undefined, null, [null], ['ab'], [['a']]]) {
      await assertCode('INVALID_ARGUMENT', () => map.setMany(entries as never))
    }
    assert.equal(map.size, 0)
    await map.close()
    await other.close()
  })

  it('keys that have no order are refused by an ordered map, all or none', async () => {
    const log = await openOn(new ForgetfulFiles())
    const buffers = await DurableMap.open<Buffer, number>(log, {
      ordered: true,
      keys: bytes as never,
    })
    await assertCode('INVALID_ARGUMENT', () => buffers.set(Buffer.from([0x80]), 1))
    await buffers.close()
    const decode = (b: Buffer) => {
      if (b.toString() === 'bad') throw new Error('bad key')
      return b.toString()
    }
    const map = await DurableMap.open<string, number>(log, {
      ordered: true,
      keys: { encode: (key) => key, decode },
    })
    await assert.rejects(
      map.setMany([
        ['a', 1],
        ['bad', 2],
        ['c', 3],
      ]),
      /bad key/,
    )
    assert.deepEqual([map.size, log.highWaterMark], [0, 0])
    await map.close()
    await log.close()
  })
})

it('a watcher that was stopped leaves nothing behind', async () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const log = await openOn(new ForgetfulFiles())
  const map = await DurableMap.open(log)
  const watch = async () => {
    const stop = new AbortController()
    const next = map.watch({ signal: stop.signal }).next()
    await sleep(0)
    stop.abort(new Error('enough'))
    await assert.rejects(next, /enough/)
    return new WeakRef(stop.signal)
  }
  const signals: WeakRef<AbortSignal>[] = []
  for (let i = 0; i < 50; i++) signals.push(await watch())
  await sleep(5)
  collect()
  await sleep(5)
  collect()
  const left = signals.filter((signal) => signal.deref() !== undefined).length
  assert.ok(left <= 5, `${left} of 50 watchers are still known to the map`)
  await map.close()
  await log.close()
})
