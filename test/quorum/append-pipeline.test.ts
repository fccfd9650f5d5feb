import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ManualClock } from 'tidemark/testing'
import { AppendPipeline } from '#dist/quorum/append-pipeline.js'
import { Disconnected } from '#dist/quorum/requests.js'
import type { AppendGroup, AppendOutcome } from '#dist/quorum/wire/index.js'

const SETTINGS = { timeoutMs: 1_000, groupBytesMax: 1_000, underWayMax: 2, waitingBytesMax: 2_000 }
const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

function entries(...texts: string[]) {
  return texts.map((text) => ({ type: 128, timestamp: 0, count: 1, data: Buffer.from(text) }))
}

interface Sent {
  readonly to: number
  readonly group: AppendGroup
  readonly text: string
  readonly answer: (outcome: AppendOutcome) => Promise<void>
  readonly fail: (error: Error) => Promise<void>
}

/** A pipeline whose leader answers when the test says so. */
function setUp(settings: Partial<typeof SETTINGS> = {}) {
  const clock = new ManualClock()
  const sent: Sent[] = []
  const state = { leader: 1 }
  const parts = {
    name: 'log',
    session: 7,
    clock,
    leader: () => state.leader,
    committed: () => 0,
    send: (to: number, group: AppendGroup) =>
      new Promise<AppendOutcome>((resolve, reject) => {
        const text = group.entries.map(({ data }) => data.toString()).join(' ')
        const answer = (outcome: AppendOutcome) => {
          resolve(outcome)
          return turn()
        }
        const fail = (error: Error) => {
          reject(error)
          return turn()
        }
        sent.push({ to, group, text, answer, fail })
      }),
  }
  const pipeline = new AppendPipeline(parts, { ...SETTINGS, ...settings })
  const after = async (ms: number) => {
    await clock.advance(ms)
    await turn()
  }
  return { pipeline, sent, state, after }
}

describe('an append pipeline', () => {
  it('gathers what is appended at one moment, and gives each its offsets', async () => {
    const { pipeline, sent } = setUp()
    const appends = [
      pipeline.append(entries('a'), 'quorum'),
      pipeline.append(entries('b', 'c'), 'quorum'),
    ]
    await turn()
    assert.deepEqual([sent.length, sent[0]?.text], [1, 'a b c'])
    await sent[0]!.answer({ kind: 'done', start: 40 })
    assert.deepEqual(await Promise.all(appends), [
      { first: 40, last: 40 },
      { first: 41, last: 42 },
    ])
    assert.equal(pipeline.waitingBytes, 0)
  })

  it('keeps acks apart, never splits an append, and sends only so many at a time', async () => {
    const { pipeline, sent } = setUp({ groupBytesMax: 1 })
    void pipeline.append(entries('a', 'b'), 'quorum')
    void pipeline.append(entries('c'), 'leader')
    void pipeline.append(entries('d'), 'leader')
    await turn()
    assert.deepEqual(
      sent.map(({ text, group }) => [text, group.acks, group.place]),
      [
        ['a b', 'quorum', 0],
        ['c', 'leader', 1],
      ],
    )
    await sent[0]!.answer({ kind: 'done', start: 0 })
    assert.deepEqual([sent[2]?.text, sent[2]?.group.place], ['d', 2])
  })

  it('sends all again in order, in a new stream, after a refusal', async () => {
    const { pipeline, sent, state, after } = setUp({ groupBytesMax: 1 })
    void pipeline.append(entries('a'), 'quorum')
    void pipeline.append(entries('b'), 'quorum')
    await turn()
    state.leader = 0
    await sent[0]!.answer({ kind: 'refused', leader: 2 })
    await sent[1]!.answer({ kind: 'refused', leader: 2 })
    await after(10)
    const again = sent.slice(2).map(({ to, text, group }) => {
      return [to, text, group.stream, group.place, group.isRepeated, group.request]
    })
    assert.deepEqual(again, [
      [2, 'a', 2, 0, false, 1],
      [2, 'b', 2, 1, false, 2],
    ])
  })

  it('says that it repeats what may have been taken', async () => {
    const { pipeline, sent, after } = setUp()
    const append = pipeline.append(entries('a'), 'quorum')
    await turn()
    await sent[0]!.answer({ kind: 'lost' })
    await after(10)
    assert.equal(sent[1]?.group.isRepeated, true)
    await sent[1]!.answer({ kind: 'done', start: 3 })
    assert.equal((await append).first, 3)
  })

  it('turns to a new leader at once, but not within the call that tells of it', async () => {
    const { pipeline, sent, state } = setUp()
    void pipeline.append(entries('a'), 'quorum')
    await turn()
    state.leader = 2
    pipeline.leaderChanged()
    assert.equal(sent.length, 1)
    await turn()
    assert.deepEqual([sent[1]?.to, sent[1]?.group.isRepeated], [2, true])
  })

  it('rejects with UNAVAILABLE only what nobody can have taken', async () => {
    const { pipeline, sent, state, after } = setUp({ groupBytesMax: 1 })
    const unsent = assert.rejects(pipeline.append(entries('a'), 'quorum'), { code: 'UNAVAILABLE' })
    await turn()
    await sent[0]!.fail(new Disconnected(1, false))
    state.leader = 0
    await after(1_000)
    await unsent
    state.leader = 1
    const open = assert.rejects(pipeline.append(entries('b'), 'quorum'), { code: 'UNCERTAIN' })
    await turn()
    await after(250)
    await sent.at(-1)!.fail(new Disconnected(1, true))
    await after(1_000)
    await open
  })

  it('rejects with UNCERTAIN what the leader cannot tell, and goes on', async () => {
    const { pipeline, sent } = setUp({ groupBytesMax: 1 })
    const open = assert.rejects(pipeline.append(entries('a'), 'quorum'), { code: 'UNCERTAIN' })
    const next = pipeline.append(entries('b'), 'quorum')
    await turn()
    await sent[0]!.answer({ kind: 'uncertain' })
    await open
    await sent[1]!.answer({ kind: 'done', start: 9 })
    assert.equal((await next).first, 9)
  })

  it('takes no more than may wait, and one that alone is larger', async () => {
    const { pipeline, sent } = setUp({ waitingBytesMax: 10 })
    const large = pipeline.append(entries('x'.repeat(100)), 'quorum')
    await assert.rejects(pipeline.append(entries('y'), 'quorum'), { code: 'OVERLOADED' })
    await turn()
    await sent[0]!.answer({ kind: 'done', start: 0 })
    await large
  })

  it('gives up what waits when it is closed', async () => {
    const { pipeline } = setUp()
    const append = assert.rejects(pipeline.append(entries('a'), 'quorum'), { code: 'CLOSED' })
    const idle = pipeline.idle()
    pipeline.close()
    await append
    await idle
    await assert.rejects(pipeline.append(entries('b'), 'quorum'), { code: 'CLOSED' })
  })
})
