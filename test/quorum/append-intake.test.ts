import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { AppendIntake } from '#dist/quorum/append-intake.js'
import type { AppendGroup } from '#dist/quorum/wire/index.js'

interface Asked {
  readonly done: (at: { start: number; end: number }) => void
  readonly refused: (why: string) => void
}

/** A host that answers when the test says so. */
function setUp() {
  const submitted: { request: number; asked: Asked }[] = []
  const awaited: ((ok: boolean) => void)[] = []
  const host = {
    isLeader: true,
    term: 4,
    leader: 1,
    covered: 100,
    known: new Map<number, { start: number; end: number }>(),
    find: ({ request }: AppendGroup) => host.known.get(request),
    submit: (_entries: unknown, { request }: AppendGroup, _acks: unknown, asked: Asked) => {
      submitted.push({ request, asked })
    },
    whenCommitted: (_end: number, answer: (ok: boolean) => void) => awaited.push(answer),
  }
  return { host, intake: new AppendIntake(host as never), submitted, awaited }
}

function group(stream: number, place: number, more: Partial<AppendGroup> = {}): AppendGroup {
  const request = 10 * stream + place
  const common = { session: 7, request, stream, place, since: 200, isRepeated: false }
  return { ...common, acks: 'quorum', entries: [], ...more }
}

describe('an append intake', () => {
  it('takes the groups of a stream in order, each stream for itself', async () => {
    const { intake, submitted } = setUp()
    void intake.take(group(1, 0))
    assert.deepEqual(await intake.take(group(1, 2)), { kind: 'refused', leader: 1 })
    void intake.take(group(1, 1))
    void intake.take(group(1, 0, { session: 8, request: 99 }))
    assert.deepEqual(await intake.take(group(2, 1)), { kind: 'refused', leader: 1 })
    void intake.take(group(2, 0))
    assert.equal((await intake.take(group(1, 2))).kind, 'refused', 'of an older stream')
    assert.deepEqual(
      submitted.map(({ request }) => request),
      [10, 11, 99, 20],
    )
  })

  it('refuses what follows a refused group, until a new stream begins', async () => {
    const { host, intake, submitted } = setUp()
    const first = intake.take(group(1, 0))
    submitted[0]!.asked.refused('overloaded')
    assert.deepEqual(await first, { kind: 'refused', leader: 0 })
    assert.equal((await intake.take(group(1, 1))).kind, 'refused')
    host.isLeader = false
    host.leader = 3
    assert.deepEqual(await intake.take(group(2, 0)), { kind: 'refused', leader: 3 })
    host.isLeader = true
    assert.equal((await intake.take(group(2, 0))).kind, 'refused')
    const third = intake.take(group(3, 0))
    submitted[1]!.asked.done({ start: 5, end: 7 })
    assert.deepEqual(await third, { kind: 'done', start: 5, term: 4 })
  })

  it('says of what it took and lost that nobody knows', async () => {
    const { intake, submitted } = setUp()
    const first = intake.take(group(1, 0))
    submitted[0]!.asked.refused('lost')
    assert.deepEqual(await first, { kind: 'lost' })
    assert.equal((await intake.take(group(1, 1))).kind, 'refused')
  })

  it('answers what is known once it is committed, and appends it no more', async () => {
    const { host, intake, submitted, awaited } = setUp()
    host.known.set(10, { start: 120, end: 122 }).set(11, { start: 122, end: 124 })
    const taken = [intake.take(group(1, 0)), intake.take(group(1, 1))]
    assert.equal(submitted.length, 0)
    awaited[0]!(true)
    awaited[1]!(false)
    assert.deepEqual(await Promise.all(taken), [{ kind: 'done', start: 120 }, { kind: 'lost' }])
  })

  it('does not know of what is repeated from before its receipts', async () => {
    const { intake, submitted } = setUp()
    const old = { isRepeated: true, since: 99 }
    assert.deepEqual(await intake.take(group(1, 0, old)), { kind: 'uncertain' })
    void intake.take(group(1, 1, { ...old, isRepeated: false }))
    void intake.take(group(1, 2, { isRepeated: true, since: 100 }))
    assert.equal(submitted.length, 2)
  })
})
