import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { seededRandom } from 'tidemark/testing'
import { type Message, membersOf, type Output, RaftCore } from '#dist/quorum/core/index.js'

// A follower that has lost 10..20 of its log, whose leader forgets what lies below 15 meanwhile.

function damaged(commit: number): RaftCore {
  return new RaftCore(
    {
      id: 1,
      electionTicks: 10,
      heartbeatTicks: 2,
      appendBytesMax: 1000,
      inflightMax: 4,
      inflightBytesMax: 5000,
      uncommittedBytesMax: 1e6,
      makeOwn: () => ({ bytes: 0, payload: undefined }),
      random: seededRandom(1),
    },
    {
      hard: {
        term: 5,
        vote: 0,
        promised: undefined,
        configurations: [{ point: { term: 0, mark: 0 }, members: membersOf([1, 2, 3]) }],
      },
      log: {
        low: { term: 0, mark: 0 },
        last: { term: 4, mark: 30 },
        lostEnd: undefined,
        terms: [
          { term: 1, start: 0 },
          { term: 4, start: 19 },
        ],
        holes: [{ from: 10, to: 20, term: 4 }],
        commit,
      },
      view: { batches: () => [] },
    },
  )
}

function tell(core: RaftCore, message: Message): Output {
  const output = core.step({ kind: 'message', from: 2, message })
  if (!output.persist) return output
  const { messages } = core.step({ kind: 'persisted', number: output.persist.number })
  return { ...output, messages: [...output.messages, ...messages] }
}

function append(prev: { term: number; mark: number }, low: number): Message {
  return { kind: 'append', term: 5, session: 1, prev, batches: [], commit: 30, low }
}

describe('a hole of which the leader has forgotten the beginning', () => {
  it('stays as it is until a mark behind it is to be trimmed; what lies before it goes', () => {
    const core = damaged(30)
    tell(core, { kind: 'heartbeat', term: 5, commit: 30, round: 1, low: 15 })
    assert.equal(core.status.low, 10)
    const { messages } = tell(core, append({ term: 4, mark: 30 }, 15))
    const reply = messages[0]!.message
    assert.ok(reply.kind === 'append-reply')
    assert.deepEqual([reply.matched, reply.damaged, reply.hint.mark], [false, true, 10])
    tell(core, append({ term: 4, mark: 30 }, 20))
    assert.deepEqual([core.status.low, core.status.holes], [20, []])
  })

  it('gives way to a snapshot, but what lay behind it is not forgotten in elections', () => {
    const core = damaged(0)
    const point = { term: 2, mark: 15 }
    const configuration = { point: { term: 0, mark: 0 }, members: membersOf([1, 2, 3]) }
    tell(core, { kind: 'snapshot', term: 5, session: 1, point, configuration, low: 15 })
    const { last, low, promised } = core.status
    assert.deepEqual([last, low, promised], [point, 15, { term: 4, mark: 30 }])
    for (const [mark, granted] of [
      [29, false],
      [30, true],
    ] as const) {
      const asked = { term: 6, last: { term: 4, mark }, transfer: true }
      const { messages } = tell(core, { kind: 'vote', ...asked })
      assert.deepEqual(messages[0]!.message, { kind: 'vote-reply', term: 6, granted })
    }
  })

  it('is not trimmed to there by the piece that fills it, which is not shown yet', () => {
    const core = damaged(5)
    const batch = {
      term: 4,
      start: 10,
      end: 20,
      bytes: 1,
      kind: 'data',
      payload: undefined,
    } as const
    const message: Message = { ...append({ term: 1, mark: 10 }, 15), batches: [batch] } as Message
    const { persist, commit } = core.step({ kind: 'message', from: 2, message })
    assert.deepEqual([commit, persist?.fill?.batches, persist?.trim], [10, [batch], undefined])
    const { commit: shown } = core.step({ kind: 'persisted', number: persist!.number })
    assert.equal(shown, 20)
    const { persist: next } = core.step({
      kind: 'message',
      from: 2,
      message: { kind: 'heartbeat', term: 5, commit: 20, round: 1, low: 15 },
    })
    assert.equal(next?.trim, 15)
  })
})
