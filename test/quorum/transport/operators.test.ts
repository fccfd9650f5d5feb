import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { assertTalking, KIND, startMember, until } from './members.js'
import { dialRaw, type RawOptions } from './raw-dialer.js'

/** Of an operator, in these tests: all others are refused. */
const ASK = 32

async function startWithOperators() {
  const asked: string[] = []
  const one = await startMember(
    1,
    {},
    {
      secret: 'known',
      onOperatorFrame: (id, { kind, head }) => {
        if (kind !== ASK) throw new Error(`an operator that says ${kind}`)
        asked.push(`${id}: ${head}`)
        one.transport.send(id, ASK + 1, Buffer.from(`answer to ${head}`), [])
      },
    },
  )
  const dial = (options: RawOptions = {}) =>
    dialRaw(one.transport.address, { secret: 'known', ...options })
  return { one, asked, dial, close: () => one.transport.close() }
}

describe('an operator', () => {
  it('is let in by any member, or by the one that it looks for, and is answered', async () => {
    const { one, asked, dial, close } = await startWithOperators()
    const two = await startMember(2, { 1: one.transport.address }, { secret: 'known' })
    await assertTalking(one, two)
    for (const [i, expected] of [0, 1].entries()) {
      const operator = dial({ expected })
      assert.equal(await operator.welcome, 1)
      operator.say(ASK, Buffer.from(`question ${i}`))
      await until(() => operator.frames.length > 0, 'an answer')
      assert.equal(`${operator.frames[0]!.head}`, `answer to question ${i}`)
      await operator.close()
    }
    // Each has a number of its own, that no member can have.
    assert.deepEqual(asked, ['4294967296: question 0', '4294967297: question 1'])
    await until(() => !one.transport.send(2 ** 32 + 1, ASK, Buffer.alloc(1), []), 'gone')
    await assertTalking(one, two)
    assert.deepEqual(
      one.told.filter((line) => /up|down/.test(line)),
      ['up 2'],
    )
    assert.deepEqual(one.refused, [])
    await two.transport.close()
    await close()
  })

  for (const [what, options, reason] of [
    ['of another cluster', { cluster: 'other' }, 'cluster'],
    ['who looks for another member', { expected: 2 }, 'member'],
    ['that has an incarnation', { incarnation: Buffer.alloc(16, 1) }, 'garbage'],
    ['that has founders', { founders: Buffer.alloc(8, 1) }, 'garbage'],
  ] as const) {
    it(`is refused ${what}`, async () => {
      const { one, dial, close } = await startWithOperators()
      const operator = dial(options)
      assert.equal((await operator.refused)?.reason, reason)
      assert.equal(one.refused[0]!.reason, reason)
      await close()
    })
  }

  it('is refused with another secret, and refuses a member that has another', async () => {
    const { one, dial, close } = await startWithOperators()
    const guesser = dial({ wrongProof: true })
    assert.deepEqual(await guesser.refused, { reason: 'secret', text: 'another secret' })
    assert.equal(one.refused[0]!.reason, 'secret')
    const mistaken = dial({ secret: 'wrong' })
    assert.equal((await mistaken.refused)?.reason, 'secret')
    await close()
  })

  it('is refused if it says what only members say, or too much', async () => {
    const { one, dial, close } = await startWithOperators()
    for (const [kind, head, data, reason] of [
      [KIND, Buffer.alloc(8), [], 'garbage'],
      [ASK, Buffer.alloc(2 ** 20 + 65), [], 'too-large'],
      [ASK, Buffer.alloc(8), [Buffer.alloc(2 ** 25 + 2 ** 20 + 1)], 'too-large'],
    ] as const) {
      const operator = dial()
      await operator.welcome
      operator.say(kind, head, [...data])
      assert.equal((await operator.refused)?.reason, reason)
      assert.equal(one.refused.at(-1)!.reason, reason)
    }
    await close()
  })

  it('is refused where nobody serves operators', async () => {
    const one = await startMember(1, {})
    const operator = dialRaw(one.transport.address)
    assert.deepEqual(await operator.refused, {
      reason: 'member',
      text: 'an operator is none that dials member 1',
    })
    await one.transport.close()
  })

  it('is cut off if it reads no answers', async () => {
    const { one, dial, close } = await startWithOperators()
    const operator = dial()
    await operator.welcome
    operator.pause()
    const much = Buffer.alloc(2 ** 20)
    let sent = 0
    while (one.transport.send(2 ** 32, ASK + 1, much, [], true)) {
      assert(++sent < 64, 'it ends')
      await new Promise((resolve) => setImmediate(resolve))
    }
    assert.equal(await dial().welcome, 1)
    await operator.close()
    await close()
  })

  it('is one of at most 16', async () => {
    const { dial, close } = await startWithOperators()
    const operators = Array.from({ length: 16 }, () => dial())
    for (const { welcome } of operators) assert.equal(await welcome, 1)
    assert.equal((await dial().refused)?.reason, 'busy')
    await operators[0]!.close()
    let welcome: number | undefined
    for (let i = 0; i < 100 && welcome === undefined; i++) {
      const operator = dial()
      welcome = await operator.welcome
      operators.push(operator)
    }
    assert.equal(welcome, 1)
    await Promise.all(operators.map((operator) => operator.close()))
    await close()
  })
})
