import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Draws } from 'tidemark/testing'
import { Configurations } from '#dist/quorum/core/configurations.js'
import { CoreLog } from '#dist/quorum/core/core-log.js'
import {
  type Batch,
  type Configuration,
  type Hole,
  type Members,
  membersOf,
  type Point,
} from '#dist/quorum/core/index.js'
import { seededCases } from './seeded-cases.ts'

const view = { batches: () => [] }

function members(term: number, start: number, who: Members): Batch {
  return {
    term,
    start,
    end: start + 1,
    bytes: 0,
    kind: 'members',
    members: who,
    payload: undefined,
  }
}

function data(term: number, start: number, end: number): Batch {
  return { term, start, end, bytes: 1, kind: 'data', payload: undefined }
}

/** A log as a disk has it: what it begins with, and batches. */
interface Disk {
  readonly low: Point
  readonly batches: readonly Batch[]
}

function logOf({ low, batches }: Disk, holes: readonly Hole[] = []): CoreLog {
  const end = batches.at(-1)
  const last = end ? { term: end.term, mark: end.end } : low
  const runs = batches.map(({ term, start }) => ({ term, start }))
  const stored = { low, last, lostEnd: undefined, terms: runs, holes, commit: low.mark }
  return new CoreLog(view, stored)
}

/** Both, and beside them everything that ever was in the log, with what was in force at its low mark. */
class Pair {
  disk: Disk = { low: { term: 0, mark: 0 }, batches: [] }
  base: Configuration = { point: { term: 0, mark: 0 }, members: membersOf([1, 2, 3]) }
  committed = 0
  term = 1
  readonly configurations: Configurations

  constructor() {
    this.configurations = new Configurations([this.base], logOf(this.disk))
  }

  get end(): number {
    return this.disk.batches.at(-1)?.end ?? this.disk.low.mark
  }

  get ends(): number[] {
    return [this.disk.low.mark, ...this.disk.batches.map(({ end }) => end)]
  }

  at(mark: number): Configuration {
    let found = this.base
    for (const each of this.disk.batches) {
      if (each.members === undefined || each.end > mark) continue
      found = { point: { term: each.term, mark: each.end }, members: each.members }
    }
    return found
  }

  append(draws: Draws): void {
    const batches: Batch[] = []
    let start = this.end
    for (let i = draws.integer(1, 3); i > 0; i--) {
      const who = membersOf(draws.pick([[1], [1, 2, 3], [2, 3, 4, 5]]))
      const end = start + draws.integer(1, 3)
      const next = draws.chance(0.4) ? members(this.term, start, who) : data(this.term, start, end)
      batches.push(next)
      start = next.end
    }
    const before = this.configurations.latest
    const changed = this.configurations.appended(batches)
    this.disk = { ...this.disk, batches: [...this.disk.batches, ...batches] }
    assert.equal(changed, this.configurations.latest !== before)
  }

  cut(mark: number): void {
    const { latest } = this.configurations
    const batches = this.disk.batches.filter(({ end }) => end <= mark)
    const changed = this.configurations.cut(mark)
    this.disk = { ...this.disk, batches }
    assert.equal(changed, this.configurations.latest !== latest)
  }

  trim(mark: number): void {
    this.base = this.at(mark)
    const term = logOf(this.disk).termAt(mark)!
    const batches = this.disk.batches.filter(({ start }) => start >= mark)
    this.configurations.trim(mark)
    this.disk = { low: { term, mark }, batches }
  }

  reset(draws: Draws): void {
    const low = { term: this.term, mark: this.end + draws.integer(1, 5) }
    // It was in force there, and lies wherever it was appended: also far below.
    const mark = draws.integer(this.committed, low.mark)
    this.base = { point: { term: this.term, mark }, members: membersOf([7, 8, 9]) }
    this.disk = { low, batches: [] }
    this.committed = low.mark
    this.configurations.reset(this.base, low.mark)
  }
}

/** One thing that may happen. False if what was on the disk is not there any more. */
function change(draws: Draws, pair: Pair): boolean {
  const what = draws.integer(0, 9)
  if (what <= 3) pair.append(draws)
  else if (what <= 5) {
    pair.cut(draws.pick(pair.ends.filter((end) => end >= pair.committed)))
    pair.term++
  } else if (what === 6) pair.committed = Math.max(pair.committed, draws.pick(pair.ends))
  else if (what === 7) pair.configurations.forget(pair.committed)
  else if (what === 8) pair.trim(draws.pick(pair.ends.filter((end) => end <= pair.committed)))
  else if (draws.chance(0.4)) {
    pair.reset(draws)
    return false
  }
  return true
}

describe('Configurations', () => {
  it('are those of the log, also after a restart at any time', (t) => {
    seededCases(t, 3000, (draws) => {
      const pair = new Pair()
      for (let step = 0; step < 20; step++) {
        const before = { disk: pair.disk, latest: pair.configurations.latest }
        const isKept = change(draws, pair)
        const { configurations } = pair
        assert.deepEqual(configurations.latest, pair.at(pair.end))
        for (let mark = pair.committed; mark <= pair.end; mark++) {
          assert.deepEqual(configurations.at(mark), pair.at(mark), `at ${mark}`)
        }
        const marks = configurations.remembered.map(({ point }) => point.mark)
        assert.deepEqual(
          marks,
          marks.toSorted((a, b) => a - b),
        )
        const again = new Configurations(configurations.remembered, logOf(pair.disk))
        assert.deepEqual(again.latest, configurations.latest, 'after a restart')
        if (!isKept) continue
        // What is remembered gets to the disk before the log does.
        const between = new Configurations(configurations.remembered, logOf(before.disk))
        assert.deepEqual(between.latest, before.latest, 'after a restart between the two')
      }
    })
  })

  it('that were cut are not believed once the log begins above them', () => {
    const pair = new Pair()
    const { configurations } = pair
    configurations.appended([members(1, 0, membersOf([1, 2]))])
    configurations.cut(0)
    const low = { term: 2, mark: 5 }
    const trimmed = new Configurations(configurations.remembered, logOf(pair.disk))
    assert.equal(trimmed.trim(5), true)
    assert.equal(trimmed.trim(5), false)
    const log = logOf({ low, batches: [] })
    assert.deepEqual(new Configurations(trimmed.remembered, log).members.voters, [1, 2, 3])
  })

  it('that were cut are not believed after a snapshot either', () => {
    const pair = new Pair()
    const { configurations } = pair
    configurations.appended([data(1, 0, 4), members(1, 4, membersOf([1, 2]))])
    configurations.cut(4)
    // In force at the snapshot is one that was appended before the place of the one that was cut.
    const inForce = { point: { term: 2, mark: 2 }, members: membersOf([1, 2, 3, 4]) }
    configurations.reset(inForce, 9)
    const log = logOf({ low: { term: 2, mark: 9 }, batches: [] })
    assert.deepEqual(new Configurations(configurations.remembered, log).latest, inForce)
  })

  it('count where damage hides whether the log has them, until it is mended', () => {
    const first = { point: { term: 0, mark: 0 }, members: membersOf([1, 2, 3]) }
    const cut = { point: { term: 1, mark: 5 }, members: membersOf([1]) }
    const mended = [data(2, 3, 6), data(2, 6, 8)]
    const disk = { low: first.point, batches: [data(1, 0, 3), ...mended, data(2, 8, 9)] }
    const hole = { from: 3, to: 8, term: 2 }
    const log = logOf(disk, [hole])
    const configurations = new Configurations([first, cut], log)
    assert.deepEqual(configurations.latest, cut)
    log.know(hole, mended)
    configurations.mended(log)
    assert.deepEqual(configurations.latest, first)
  })

  it('are nobody before there is anything', () => {
    const none = new Configurations([], logOf({ low: { term: 0, mark: 0 }, batches: [] }))
    assert.deepEqual(none.members, { voters: [], outgoing: [], learners: [] })
    assert.deepEqual(none.remembered, [])
  })
})
