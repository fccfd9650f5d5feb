import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { setImmediate as settled } from 'node:timers/promises'
import { Log } from 'tidemark'
import { ForgetfulFiles, ManualClock, seededRandom } from 'tidemark/testing'
import { type Envelope, type Message, membersOf } from '#dist/quorum/core/index.js'
import type { HostedLog } from '#dist/quorum/hosted-log.js'
import { leaveOut } from '#dist/quorum/readmission.js'
import { ReplicaHost } from '#dist/quorum/replica-host.js'
import { Ticker } from '#dist/quorum/ticker.js'

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

/** Replica 1 of three, which leads; the test answers for the other two. */
async function leader(t: TestContext) {
  const clock = new ManualClock()
  const log = await Log.open('/log', { files: new ForgetfulFiles(), replica: true })
  const configurations = [{ point: { term: 0, mark: 0 }, members: membersOf([1, 2, 3]) }]
  const sent: Envelope[] = []
  const host = await ReplicaHost.start(SETTINGS, {
    log,
    hard: { term: 1, vote: 0, promised: undefined, configurations },
    saveHard: () => Promise.resolve(),
    send: (envelope) => sent.push(envelope),
    clock,
    ticker: new Ticker(clock, 1e9),
    random: seededRandom(1),
    onFailure: (error) => assert.fail(error as Error),
  })
  t.after(async () => {
    await host.stop()
    await log.close()
  })
  const last = <K extends Message['kind']>(kind: K) => {
    const found = sent.findLast(({ to, message }) => to === 2 && message.kind === kind)?.message
    return found as Extract<Message, { kind: K }> | undefined
  }
  host.step({ kind: 'campaign' })
  host.receive(2, { kind: 'pre-vote-reply', term: 2, granted: true })
  while (host.term < 2) await settled()
  host.receive(2, { kind: 'vote-reply', term: 2, granted: true })
  while (!host.isLeader) await settled()
  const probe = { kind: 'append-reply', term: 2, matched: true, damaged: false } as const
  const hint = { term: 0, mark: 0 }
  while (!host.status.isReady) {
    const append = last('append')
    const mark = append?.batches.at(-1)?.end ?? 0
    if (append) host.receive(2, { ...probe, session: append.session, mark, hint })
    await settled()
  }
  return { host, last, hosted: { host } as HostedLog }
}

describe('a replica asks to be left out', () => {
  it('is told so when a quorum follows the leader that says so', async (t) => {
    const { host, last, hosted } = await leader(t)
    const answer = leaveOut(hosted, 4)
    const { round } = last('heartbeat')!
    host.receive(2, { kind: 'heartbeat-reply', term: 2, round, isWhole: true })
    assert.equal(await answer, true)
  })

  it('is not told so by one that leads no more and has not heard of it', async (t) => {
    const { host, hosted } = await leader(t)
    let isAnswered = false
    const answer = leaveOut(hosted, 4).finally(() => {
      isAnswered = true
    })
    for (let i = 0; i < 10; i++) await settled()
    assert.equal(isAnswered, false)
    host.receive(3, { kind: 'heartbeat', term: 3, commit: 0, round: 1, low: 0 })
    assert.equal(await answer, false)
  })
})
