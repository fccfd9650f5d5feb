import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Draws } from 'tidemark/testing'
import { CoreLog } from '#dist/quorum/core/core-log.js'
import type { Batch, Hole, Point, StoredLog } from '#dist/quorum/core/index.js'
import { seededCases } from './seeded-cases.ts'

function batch(term: number, start: number, end: number, bytes = 10): Batch {
  return { term, start, end, bytes, kind: 'data', payload: undefined }
}

/** All batches of a log, those on the disk too: nothing is known by terms alone. */
class PlainLog {
  low: Point = { term: 0, mark: 0 }
  batches: Batch[] = []
  stable = 0
  committed = 0

  get last(): Point {
    const last = this.batches.at(-1)
    return last ? { term: last.term, mark: last.end } : this.low
  }

  get ends(): number[] {
    return [this.low.mark, ...this.batches.map(({ end }) => end)]
  }

  termAt(mark: number): number | undefined {
    if (mark === this.low.mark) return this.low.term
    return this.batches.find(({ start, end }) => mark > start && mark <= end)?.term
  }

  truncate(mark: number): void {
    this.batches = this.batches.filter(({ end }) => end <= mark)
    this.stable = Math.min(this.stable, mark)
  }

  trim(mark: number): void {
    this.low = { term: this.termAt(mark)!, mark }
    this.batches = this.batches.filter(({ start }) => start >= mark)
  }

  /** What the disk gives: only what was persisted. */
  read(from: number, to: number, maxBytes: number): Batch[] {
    const found: Batch[] = []
    let bytes = 0
    for (const each of this.batches) {
      if (each.start < from || each.end > to) continue
      bytes += each.bytes
      if (bytes > maxBytes && found.length > 0) break
      found.push(each)
    }
    return found
  }
}

const EMPTY: StoredLog = {
  low: { term: 0, mark: 0 },
  last: { term: 0, mark: 0 },
  lostEnd: undefined,
  terms: [],
  holes: [],
  commit: 0,
}

function logOf(plain: PlainLog, stored: StoredLog = EMPTY): CoreLog {
  return new CoreLog(
    {
      batches(from, to, maxBytes) {
        assert.equal(to, plain.stable)
        return plain.read(from, to, maxBytes)
      },
    },
    stored,
  )
}

function compare(draws: Draws, log: CoreLog, plain: PlainLog): void {
  assert.deepEqual(log.low, plain.low)
  assert.deepEqual(log.last, plain.last)
  assert.equal(log.stable, plain.stable)
  assert.equal(log.sound, plain.stable)
  assert.equal(log.committed, plain.committed)
  for (let mark = plain.low.mark - 2; mark <= plain.last.mark + 2; mark++) {
    assert.equal(log.termAt(mark), plain.termAt(mark), `the term at ${mark}`)
  }
  const from = draws.pick(plain.ends)
  const maxBytes = draws.integer(1, 60)
  const found = log.batches(from, maxBytes)
  const all = plain.read(from, plain.last.mark, maxBytes)
  assert.ok(found !== 'later')
  // A message may end where the disk ends; it never has more than it should, and never nothing.
  assert.deepEqual(found, all.slice(0, found.length))
  assert.equal(found.length === 0, all.length === 0)
  if (from >= plain.stable || all.at(-1)!.end <= plain.stable) assert.deepEqual(found, all)
}

/** One thing that may happen to a log, to both. */
function change(draws: Draws, log: CoreLog, plain: PlainLog, term: number): void {
  const ends = plain.ends
  const what = draws.integer(0, 10)
  if (what <= 4) {
    const added: Batch[] = []
    let start = plain.last.mark
    for (let i = draws.integer(1, 3); i > 0; i--) {
      const end = start + draws.integer(1, 3)
      added.push(batch(term, start, end, draws.integer(0, 30)))
      start = end
    }
    log.append(added)
    plain.batches.push(...added)
  } else if (what === 5) {
    const mark = draws.pick(ends.filter((end) => end >= plain.committed))
    log.truncate(mark)
    plain.truncate(mark)
  } else if (what === 6 || what === 7) {
    // Also what was there already: a report of a piece that was cut.
    const mark = draws.pick(ends)
    log.persisted(mark)
    plain.stable = Math.max(plain.stable, mark)
  } else if (what === 8) {
    const mark = draws.pick(ends)
    assert.equal(log.commit(mark), mark > plain.committed)
    plain.committed = Math.max(plain.committed, mark)
  } else if (what === 9) {
    const mark = draws.pick(ends.filter((end) => end <= Math.min(plain.committed, plain.stable)))
    log.trim(mark)
    plain.trim(mark)
  } else if (draws.chance(0.3)) {
    const point = { term, mark: Math.max(plain.last.mark, plain.committed) + draws.integer(1, 4) }
    log.reset(point)
    Object.assign(plain, { low: point, batches: [], stable: point.mark, committed: point.mark })
  }
}

/** Grows a log as a leader of the term would: batches of one term are the same wherever they are. */
function grow(plain: PlainLog, term: number, ends: readonly number[]): void {
  let start = plain.last.mark
  for (const end of ends) {
    if (end <= start) continue
    plain.batches.push(batch(term, start, end))
    start = end
  }
}

function coreOf(plain: PlainLog): CoreLog {
  const log = logOf(plain, { ...EMPTY, low: plain.low, last: plain.low, commit: plain.low.mark })
  log.append(plain.batches)
  return log
}

/** Two logs that some history of terms has left behind. */
function twoLogs(draws: Draws): readonly [PlainLog, PlainLog] {
  const logs = [new PlainLog(), new PlainLog()] as const
  let term = 0
  for (let round = draws.integer(1, 6); round > 0; round--) {
    term += draws.integer(1, 2)
    // Whoever leads writes to its own log, and perhaps brings the other one up to some place of it.
    const [leader, other] = draws.chance(0.5) ? logs : [logs[1], logs[0]]
    const ends = [1, 2, 3].map(() => draws.integer(1, 3)).map((n) => leader.last.mark + n * 2)
    grow(
      leader,
      term,
      ends.toSorted((a, b) => a - b),
    )
    if (draws.chance(0.6)) {
      const upTo = draws.pick(leader.ends)
      const agree = agreement(leader, other)
      if (upTo > agree) {
        other.truncate(agree)
        other.batches.push(...leader.read(agree, upTo, Number.POSITIVE_INFINITY))
      }
    }
  }
  return draws.chance(0.5) ? logs : [logs[1], logs[0]]
}

/** The last place where two logs agree, by comparing all of them. */
function agreement(one: PlainLog, other: PlainLog): number {
  const places = one.ends.filter(
    (end) => other.ends.includes(end) && other.termAt(end) === one.termAt(end),
  )
  return Math.max(...places)
}

/** The ends of batches that a log can tell from its terms alone: of runs, and its own. */
function knownEnds(plain: PlainLog): number[] {
  return plain.ends.filter(
    (end) => end === plain.last.mark || plain.termAt(end) !== plain.termAt(end + 1),
  )
}

describe('CoreLog', () => {
  it('says what a list of all batches says', (t) => {
    seededCases(t, 1500, (draws) => {
      const plain = new PlainLog()
      const log = logOf(plain)
      let term = 1
      for (let step = 0; step < 25; step++) {
        if (draws.chance(0.3)) term++
        change(draws, log, plain, term)
        compare(draws, log, plain)
      }
    })
  })

  it('finds where two logs agree by hints that are places of the leader, and skip none', (t) => {
    let probes = 0
    let most = 0
    seededCases(t, 4000, (draws) => {
      const [leader, follower] = twoLogs(draws)
      const [leading, following] = [coreOf(leader), coreOf(follower)]
      const agree = agreement(leader, follower)
      let next = draws.pick(leader.ends.filter((end) => end >= agree))
      for (let count = 1; ; count++) {
        const prev = leading.pointAt(next)
        most = Math.max(most, count)
        probes++
        if (following.has(prev)) break
        const hint = following.hint(prev)
        assert.ok(hint.mark <= prev.mark && hint.term <= prev.term)
        assert.ok(hint.mark >= agree, `hint ${hint.mark} is below ${agree}, where both agree`)
        const floor = leading.floor(hint)
        assert.ok(leader.ends.includes(floor.mark), `${floor.mark} ends a batch of the leader`)
        assert.equal(floor.term, leader.termAt(floor.mark))
        assert.ok(floor.mark <= hint.mark && floor.term <= hint.term)
        // The naive search tries each end that the leader knows, one by one.
        const naive = knownEnds(leader).filter(
          (end) => end <= hint.mark && leader.termAt(end)! <= hint.term,
        )
        assert.ok(floor.mark >= Math.max(0, ...naive), `${floor.mark} skips one of ${naive}`)
        assert.ok(floor.mark < next, 'each probe is below the one before')
        next = floor.mark
      }
      assert.ok(next <= agree)
    })
    t.diagnostic(`${probes} probes, ${most} at most`)
  })

  it('takes the last end for a limit above the log, and the low mark for one below', () => {
    const plain = new PlainLog()
    plain.low = { term: 2, mark: 10 }
    plain.stable = 10
    plain.committed = 10
    grow(plain, 3, [12, 15])
    const log = coreOf(plain)
    assert.deepEqual(log.floor({ term: 9, mark: 99 }), { term: 3, mark: 15 })
    assert.deepEqual(log.floor({ term: 2, mark: 99 }), { term: 2, mark: 10 })
    assert.deepEqual(log.floor({ term: 9, mark: 3 }), { term: 2, mark: 10 })
    assert.deepEqual(log.floor({ term: 0, mark: 0 }), { term: 2, mark: 10 })
    assert.deepEqual(log.hint({ term: 9, mark: 99 }), { term: 3, mark: 15 })
  })

  it('refuses what would break it', () => {
    const log = logOf(new PlainLog())
    log.append([batch(1, 0, 4)])
    log.persisted(4)
    log.commit(4)
    const broken = { name: 'InvariantError' }
    assert.throws(() => log.append([batch(1, 5, 6)]), broken)
    assert.throws(() => log.append([batch(1, 4, 4)]), broken)
    assert.throws(() => log.truncate(3), broken)
    assert.throws(() => log.reset({ term: 1, mark: 4 }), broken)
    assert.throws(() => log.persisted(5), broken)
    assert.throws(() => log.commit(5), broken)
    assert.throws(() => log.trim(5), broken)
    assert.throws(() => log.pointAt(5), broken)
  })
})

describe('CoreLog with holes', () => {
  const first: Hole = { from: 10, to: 20, term: 4 }
  const second: Hole = { from: 25, to: 30, term: 5 }

  /** 0..10 of term 1, then a hole, 20..25 of term 5, another hole, and 30..40 of term 5. */
  function damaged(commit: number): CoreLog {
    const terms = [
      { term: 1, start: 0 },
      { term: 4, start: 19 },
      { term: 5, start: 20 },
    ]
    const last = { term: 5, mark: 40 }
    return logOf(new PlainLog(), { ...EMPTY, last, terms, holes: [first, second], commit })
  }

  const lost = [batch(1, 10, 12), batch(2, 12, 15), batch(4, 15, 20)]

  it('knows where they end, and nothing within', () => {
    const log = damaged(0)
    const marks = [10, 11, 19, 20, 21, 25, 26, 30, 31]
    assert.deepEqual(
      marks.map((mark) => log.termAt(mark)),
      [1, undefined, undefined, 4, 5, 5, undefined, 5, 5],
    )
    assert.equal(log.sound, 10)
    assert.equal(log.stable, 40)
    assert.equal(log.isWhole, false)
  })

  it('knows their terms when they are known, and counts them when they are filled', () => {
    const log = damaged(0)
    const one = log.know(first, lost)
    assert.deepEqual(
      [10, 11, 12, 13, 15, 16, 20, 21].map((mark) => log.termAt(mark)),
      [1, 1, 1, 2, 2, 4, 4, 5],
    )
    assert.equal(log.sound, 10)
    const other = log.know(second, [batch(5, 25, 30)])
    assert.deepEqual(log.holes, [])
    assert.equal(log.isWhole, false)
    log.filled(one)
    assert.equal(log.sound, 25)
    log.filled(other)
    assert.equal(log.sound, 40)
    assert.equal(log.isWhole, true)
  })

  it('knows them in order only', () => {
    const log = damaged(0)
    assert.throws(() => log.know(second, [batch(5, 25, 30)]), { name: 'InvariantError' })
  })

  it('forgets those that are cut off, and those that are trimmed', () => {
    const cut = damaged(5)
    cut.truncate(10)
    assert.equal(cut.isWhole, true)
    assert.deepEqual([cut.last, cut.stable, cut.sound], [{ term: 1, mark: 10 }, 10, 10])
    const trimmed = damaged(40)
    trimmed.trim(20)
    assert.deepEqual(trimmed.holes, [second])
    assert.deepEqual(trimmed.low, { term: 4, mark: 20 })
    trimmed.trim(30)
    assert.equal(trimmed.isWhole, true)
    assert.equal(trimmed.sound, 40)
  })
})
