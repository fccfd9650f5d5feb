import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { setImmediate as settled } from 'node:timers/promises'
import { Log } from 'tidemark'
import { ForgetfulFiles, seededRandom } from 'tidemark/testing'
import { type Envelope, type HardState, membersOf } from '#dist/quorum/core/index.js'
import { ReplicaHost } from '#dist/quorum/replica-host.js'
import { Ticker } from '#dist/quorum/ticker.js'
import { encodeReceipt, TYPE_RECEIPT } from '#dist/quorum/wire/index.js'

const SETTINGS = {
  id: 1,
  electionTicks: 10,
  heartbeatTicks: 2,
  appendBytesMax: 1000,
  inflightMax: 4,
  inflightBytesMax: 5000,
  uncommittedBytesMax: 1e6,
  recentBytesMax: 1000,
}

function hardOf(voters: readonly number[], term: number): HardState {
  const configurations = [{ point: { term: 0, mark: 0 }, members: membersOf(voters) }]
  return { term, vote: 0, promised: undefined, configurations }
}

const clock = {
  now: () => 0,
  monotonic: () => 0,
  after: () => () => {},
  settled: () => settled(),
}

/** One life of replica 1 over a log of its own; the clock stands still. */
async function live(t: TestContext, voters: readonly number[], seed: number) {
  const log = await Log.open('/log', { files: new ForgetfulFiles(), replica: true })
  const sent: Envelope[] = []
  const failures: unknown[] = []
  const host = await ReplicaHost.start(SETTINGS, {
    log,
    hard: hardOf(voters, 1),
    saveHard: () => Promise.resolve(),
    send: (envelope) => sent.push(envelope),
    clock,
    ticker: new Ticker(clock, 1e9),
    random: seededRandom(seed),
    onFailure: (error) => failures.push(error),
  })
  t.after(async () => {
    await host.stop()
    await log.close()
  })
  return { host, sent, failures }
}

describe('ReplicaHost', () => {
  it('takes no answer to a read of an earlier life', async (t) => {
    const ask = async (seed: number) => {
      const { host, sent } = await live(t, [1, 2, 3], seed)
      host.receive(2, { kind: 'heartbeat', term: 1, commit: 0, round: 1, low: 0 })
      const read = host.readIndex()
      const asked = sent.find(({ message }) => message.kind === 'read')?.message
      assert.ok(asked?.kind === 'read')
      return { host, read, id: asked.id }
    }
    const before = await ask(1)
    before.read.catch(() => {})
    const now = await ask(2)
    now.host.receive(2, { kind: 'read-reply', term: 1, id: before.id, mark: 3 })
    now.host.receive(2, { kind: 'read-reply', term: 1, id: now.id, mark: 7 })
    assert.equal(await now.read, 7)
  })

  it('knows an append by its receipt until the batch is cut', async (t) => {
    const { host, failures } = await live(t, [1, 2, 3], 1)
    const receiptOf = (request: number) => ({ session: 7, request })
    const send = (leader: number, term: number, request: number) => {
      const data = encodeReceipt(receiptOf(request))
      const payload = [{ type: TYPE_RECEIPT, timestamp: 0, count: 1, data }]
      const batch = { term, start: 0, end: 1, bytes: data.length, kind: 'data', payload } as const
      const prev = { term: 0, mark: 0 }
      const place = { session: term, prev, commit: 0, low: 0 }
      host.receive(leader, { kind: 'append', term, ...place, batches: [batch] })
    }
    send(2, 2, 10)
    while (host.status.stable < 1) await settled()
    assert.deepEqual(host.find(receiptOf(10)), { ...receiptOf(10), start: 0, end: 1 })
    // Another leader has another batch there.
    send(3, 3, 11)
    assert.equal(host.find(receiptOf(10)), undefined)
    assert.deepEqual(host.find(receiptOf(11)), { ...receiptOf(11), start: 0, end: 1 })
    assert.deepEqual(failures, [])
  })

  for (const [what, voters, ids] of [
    ['a replica twice', [1, 1], []],
    ['a replica that is voter and learner', [1, 2], [2]],
    ['what is no number of a replica', [1, 0.5], []],
    ['nobody with a vote', [], [1]],
  ] as const) {
    it(`refuses members with ${what}, and goes on`, async (t) => {
      const { host, failures } = await live(t, [1], 1)
      host.step({ kind: 'campaign' })
      while (!host.status.isReady) await settled()
      const target = { voters, outgoing: [], learners: ids }
      await assert.rejects(host.change(target), { code: 'INVALID_ARGUMENT' })
      await assert.rejects(host.propose([], 'quorum'), { code: 'INVALID_ARGUMENT' })
      for (const type of [2, 3]) {
        const own = [{ type, timestamp: 0, count: 1, data: Buffer.alloc(0) }]
        await assert.rejects(host.propose(own, 'quorum'), { code: 'INVALID_ARGUMENT' })
      }
      const many = membersOf(Array.from({ length: 1025 }, (_, i) => i + 1))
      await assert.rejects(host.change(many), { code: 'INVALID_ARGUMENT' })
      const entry = { type: 128, timestamp: 0, count: 1, data: Buffer.from('x') }
      assert.deepEqual(await host.propose([entry], 'quorum'), { start: 1, end: 2 })
      assert.deepEqual(failures, [])
    })
  }
})
