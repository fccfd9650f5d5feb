import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { setImmediate as settled } from 'node:timers/promises'
import { TidemarkError } from 'tidemark'
import { ManualClock } from 'tidemark/testing'
import type { HostedLog } from '#dist/quorum/hosted-log.js'
import { HostedLogs } from '#dist/quorum/hosted-logs.js'
import { Keeper } from '#dist/quorum/keeper.js'
import type { MemberContext } from '#dist/quorum/member-context.js'
import { Refused } from '#dist/quorum/replica-host.js'

const MISTAKE = new TypeError('there is no such thing')

/** What a keeper tells in two seconds, if it fails so with each look at everything, and at a log that it leads. */
async function failing(t: TestContext, onLook: Error, atLog: Error): Promise<unknown[]> {
  const clock = new ManualClock()
  const told: unknown[] = []
  const tell = (...event: unknown[]) => told.push(event)
  const catalog = () => ({ logs: [{ id: 7, placement: {} }] })
  const status = {
    isReady: true,
    get isSettled(): boolean {
      throw atLog
    },
  }
  const logs = new HostedLogs()
  logs.add({ id: 7, name: 'orders', host: { isLeader: true }, status } as unknown as HostedLog)
  const context = { clock, tell, catalog } as unknown as MemberContext
  const keeper = new Keeper(context, logs, () => Promise.reject(onLook))
  t.after(() => keeper.close())
  for (let i = 0; i < 8; i++) {
    await clock.advance(250)
    await settled()
  }
  return told
}

describe('the keeper', () => {
  it('tells of a mistake, once', async (t) => {
    const event = { error: MISTAKE, retryMs: undefined }
    assert.deepEqual(await failing(t, MISTAKE, MISTAKE), [
      ['failed', { log: '$catalog', ...event }],
      ['failed', { log: 'orders', ...event }],
    ])
  })

  it('tells nothing of what may be otherwise at the next look', async (t) => {
    const none = new TidemarkError('UNAVAILABLE', 'no quorum is there')
    assert.deepEqual(await failing(t, none, new Refused('changing')), [])
  })
})
