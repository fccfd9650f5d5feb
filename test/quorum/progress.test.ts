import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Draws } from 'tidemark/testing'
import { Progress } from '#dist/quorum/core/progress.js'
import { seededCases } from './seeded-cases.ts'

const MAX = 3
const BYTES_MAX = 20

/** The same as a list of what is under way, and the rules that say what may be sent. */
class PlainProgress {
  state = 'probe'
  match = 0
  next: number
  isProbing = false
  pending = 0
  underWay: { readonly end: number; readonly bytes: number }[] = []

  constructor(next: number) {
    this.next = next
  }

  get isPaused(): boolean {
    if (this.state !== 'replicate') return this.state === 'snapshot' || this.isProbing
    const bytes = this.underWay.reduce((sum, each) => sum + each.bytes, 0)
    return this.underWay.length >= MAX || bytes >= BYTES_MAX
  }

  become(state: string): void {
    Object.assign(this, { state, isProbing: false, pending: 0, underWay: [] })
  }
}

function compare(progress: Progress, plain: PlainProgress): void {
  const { state, match, next, isProbing, pending, inflight } = progress
  assert.deepEqual(
    [state, match, next, isProbing, pending, inflight, isPaused(progress)],
    [
      plain.state,
      plain.match,
      plain.next,
      plain.isProbing,
      plain.pending,
      plain.underWay.length,
      plain.isPaused,
    ],
  )
  assert.ok(match <= next, `match ${match} is not above next ${next}`)
}

function isPaused(progress: Progress): boolean {
  return progress.isPaused(MAX, BYTES_MAX)
}

function acknowledge(progress: Progress, plain: PlainProgress, mark: number): void {
  progress.acknowledged(mark)
  plain.match = Math.max(plain.match, mark)
  plain.next = Math.max(plain.next, plain.match)
  const behind = plain.underWay.findIndex(({ end }) => end > mark)
  plain.underWay = behind < 0 ? [] : plain.underWay.slice(behind)
  if (plain.state === 'probe') plain.become('replicate')
  if (plain.state === 'snapshot' && plain.match >= plain.pending) plain.become('replicate')
}

function change(draws: Draws, progress: Progress, plain: PlainProgress): void {
  const what = draws.integer(0, 9)
  if (what <= 4) {
    if (plain.isPaused) return
    const end = plain.next + draws.integer(0, 3)
    const bytes = end === plain.next ? 0 : draws.integer(1, 12)
    progress.sent(end, bytes)
    if (plain.state === 'probe') plain.isProbing = true
    else {
      plain.next = end
      if (bytes > 0) plain.underWay.push({ end, bytes })
    }
  } else if (what <= 6) {
    const marks = [plain.match, plain.next, plain.pending, ...plain.underWay.map(({ end }) => end)]
    acknowledge(progress, plain, draws.pick(marks))
  } else if (what === 7) {
    progress.freeOne()
    plain.underWay.shift()
  } else if (what === 8) {
    const mark = draws.integer(0, plain.next)
    if (draws.chance(0.5)) {
      progress.probe(mark)
      plain.become('probe')
      plain.next = Math.max(mark, plain.match)
    } else {
      progress.forget(mark, 7)
      plain.become('probe')
      plain.match = Math.min(plain.match, mark)
      plain.next = mark
      assert.equal(progress.session, 7)
    }
  } else {
    const mark = plain.match + draws.integer(0, 6)
    progress.awaitSnapshot(mark)
    plain.become('snapshot')
    plain.pending = mark
  }
}

describe('Progress', () => {
  it('counts what is under way like a list of it', (t) => {
    seededCases(t, 1000, (draws) => {
      const next = draws.integer(0, 10)
      const progress = new Progress(next, 1)
      const plain = new PlainProgress(next)
      for (let step = 0; step < 40; step++) {
        compare(progress, plain)
        change(draws, progress, plain)
      }
    })
  })

  it('probes with one append at a time, and sends one behind the other once it is acknowledged', () => {
    const progress = new Progress(10, 1)
    assert.equal(isPaused(progress), false)
    progress.sent(14, 4)
    assert.deepEqual([progress.next, progress.inflight, isPaused(progress)], [10, 0, true])
    progress.acknowledged(14)
    assert.deepEqual([progress.state, progress.match, progress.next], ['replicate', 14, 14])
    for (const end of [15, 16, 17]) progress.sent(end, 1)
    assert.equal(isPaused(progress), true)
    progress.acknowledged(15)
    assert.deepEqual([progress.inflight, isPaused(progress)], [2, false])
  })

  it('has no room behind one append that takes all the bytes', () => {
    const progress = new Progress(0, 1)
    progress.acknowledged(0)
    progress.sent(1, BYTES_MAX + 5)
    assert.equal(isPaused(progress), true)
    progress.freeOne()
    assert.equal(isPaused(progress), false)
    progress.freeOne()
    assert.equal(progress.inflight, 0)
  })

  it('sends nothing until the snapshot is there', () => {
    const progress = new Progress(5, 1)
    progress.awaitSnapshot(30)
    progress.acknowledged(20)
    assert.deepEqual([progress.state, isPaused(progress)], ['snapshot', true])
    progress.acknowledged(30)
    assert.deepEqual([progress.state, progress.next, isPaused(progress)], ['replicate', 30, false])
  })

  it('refuses to send again what it has sent', () => {
    const progress = new Progress(5, 1)
    assert.throws(() => progress.sent(4, 1), { name: 'InvariantError' })
  })
})
