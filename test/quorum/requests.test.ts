import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type Disconnected, Requests } from '#dist/quorum/requests.js'

interface Sent {
  readonly kind: number
  readonly head: Buffer
}

function requestsOf(sent: Sent[]): Requests {
  return new Requests((_to, kind, head) => {
    sent.push({ kind, head: Buffer.from(head) })
    return true
  })
}

const body = (text: string) => ({ head: Buffer.from(text), data: [] })
const frameOf = ({ kind, head }: Sent) => ({ kind, head, data: Buffer.alloc(0) })

/** Two members, and what each has sent. */
function pair() {
  const asked: Sent[] = []
  const answered: Sent[] = []
  const leader = requestsOf(answered)
  const answers: ((text: string) => void)[] = []
  leader.handle(1, () => {
    return new Promise((resolve) => answers.push((text) => resolve(body(text))))
  })
  return { asker: requestsOf(asked), asked, leader, answered, answers }
}

describe('requests', () => {
  it('are answered in any order', async () => {
    const { asker, asked, leader, answered, answers } = pair()
    const replies = [asker.ask(2, 1, body('a')), asker.ask(2, 1, body('b'))]
    for (const each of asked) leader.onFrame(1, frameOf(each))
    answers[1]!('B')
    answers[0]!('A')
    await new Promise(setImmediate)
    for (const each of answered) asker.onFrame(2, frameOf(each))
    const texts = (await Promise.all(replies)).map(({ head }) => head.toString())
    assert.deepEqual(texts, ['A', 'B'])
  })

  it('of a connection that has ended are not answered by the next one', async () => {
    const { asker, asked, leader, answered, answers } = pair()
    asker.ask(2, 1, body('of an earlier life')).catch(() => {})
    leader.onFrame(1, frameOf(asked[0]!))
    leader.onDown(1)
    answers[0]!('late')
    await new Promise(setImmediate)
    assert.deepEqual(answered, [])
  })

  it('end with the connection, and say whether they were sent', async () => {
    const { asker } = pair()
    const asking = asker.ask(2, 1, body('a'))
    asker.onDown(3)
    asker.onDown(2)
    await assert.rejects(asking, (error: Disconnected) => error.wasSent)
    const nobody = new Requests(() => false)
    await assert.rejects(nobody.ask(2, 1, body('a')), (error: Disconnected) => !error.wasSent)
  })

  it('throw for what is none', () => {
    const { asker } = pair()
    const data = Buffer.alloc(0)
    const onFrame = (kind: number, bytes: number[]) =>
      asker.onFrame(2, { kind, head: Buffer.from(bytes), data })
    assert.throws(() => onFrame(32, [1, 0, 0]))
    assert.throws(() => onFrame(32, [1, 0, 0, 0, 0, 0, 99]))
    assert.throws(() => onFrame(33, [1]))
    assert.equal(onFrame(16, []), false)
  })
})
