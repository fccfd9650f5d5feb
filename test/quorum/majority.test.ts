import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  majorityMark,
  majorityVerdict,
  quorumOf,
  type Verdict,
} from '#dist/quorum/core/majority.js'
import {
  everybody,
  isJoint,
  isVoter,
  type Members,
  membersOf,
  NO_MEMBERS,
  quorumMark,
  quorumVerdict,
  settled,
  towards,
} from '#dist/quorum/core/members.js'

// Everything that can be said of majorities of up to seven, against sets that are written out. A set of
// replicas is a number here: bit i - 1 stands for replica i.

const COUNT = 7
const SETS = 1 << COUNT
const IDS: readonly (readonly number[])[] = Array.from({ length: SETS }, (_, set) =>
  [1, 2, 3, 4, 5, 6, 7].filter((id) => set & (1 << (id - 1))),
)
const SIZES = IDS.map((ids) => ids.length)

/** True if more of `side` are in `set` than are not; of nobody, always. */
function outnumbers(set: number, side: number): boolean {
  return side === 0 || SIZES[set & side]! > SIZES[side & ~set]!
}

/** For every set whether it has a quorum within: found by marking all sets above each smallest quorum. */
function setsWithQuorum(voters: number, outgoing: number, has: Uint8Array): void {
  has.fill(0)
  for (let quorum = 0; quorum < SETS; quorum++) {
    const isNew = has[quorum] === 0 && outnumbers(quorum, voters) && outnumbers(quorum, outgoing)
    if (!isNew) continue
    const rest = SETS - 1 - quorum
    for (let more = rest; ; more = (more - 1) & rest) {
      has[quorum | more] = 1
      if (more === 0) break
    }
  }
}

/** Calls `visit` with every vector of `values` digits for the places of `set`; returns how many there were. */
function eachVector(set: number, values: number, vector: number[], visit: () => void): number {
  const places = IDS[set]!
  vector.fill(0)
  for (let count = 1; ; count++) {
    visit()
    let i = 0
    while (i < places.length && ++vector[places[i]!]! === values) vector[places[i++]!] = 0
    if (i === places.length) return count
  }
}

/** The members of a set who have reached at least the mark. */
function reaching(set: number, marks: readonly number[], mark: number): number {
  let found = 0
  for (const id of IDS[set]!) if (marks[id]! >= mark) found |= 1 << (id - 1)
  return found
}

function bruteMark(has: Uint8Array, set: number, marks: readonly number[], values: number): number {
  if (has[0]) return Number.POSITIVE_INFINITY
  let mark = values - 1
  while (!has[reaching(set, marks, mark)]) mark--
  return mark
}

/** Digits of votes: 0 has not voted, 1 has refused, 2 has granted. */
const VOTES = [undefined, false, true] as const

function bruteVerdict(has: Uint8Array, set: number, votes: readonly number[]): Verdict {
  let granted = 0
  let refused = 0
  for (const id of IDS[set]!) {
    if (votes[id] === 2) granted |= 1 << (id - 1)
    if (votes[id] === 1) refused |= 1 << (id - 1)
  }
  if (has[granted]) return 'won'
  return has[set & ~refused] ? 'open' : 'lost'
}

function joint(voters: number, outgoing: number): Members {
  return { voters: IDS[voters]!, outgoing: IDS[outgoing]!, learners: [] }
}

/** Does not build a message for each of millions of cases. */
function check<T>(found: T, expected: T, ...about: readonly unknown[]): void {
  if (found !== expected) assert.equal(found, expected, JSON.stringify(about))
}

describe('majorities', () => {
  const has = new Uint8Array(SETS)
  const digits = new Array<number>(COUNT + 1).fill(0)
  const markOf = (id: number) => digits[id]!
  const voteOf = (id: number) => VOTES[digits[id]!]

  it('reach the marks that they reach: 279,936 cases, all marks from 0 to 4', () => {
    let cases = 0
    for (let set = 0; set < SETS; set++) {
      setsWithQuorum(set, 0, has)
      cases += eachVector(set, 5, digits, () => {
        check(majorityMark(IDS[set]!, markOf), bruteMark(has, set, digits, 5), set, digits)
      })
    }
    assert.equal(cases, 279_936)
  })

  it('decide what they decide: 16,384 cases, all votes, also open ones', () => {
    let cases = 0
    for (let set = 0; set < SETS; set++) {
      setsWithQuorum(set, 0, has)
      cases += eachVector(set, 3, digits, () => {
        check(majorityVerdict(IDS[set]!, voteOf), bruteVerdict(has, set, digits), set, digits)
      })
    }
    assert.equal(cases, 16_384)
  })

  it('joint ones reach what both reach: 10,000,000 cases, all marks from 0 to 2', () => {
    let cases = 0
    for (let pair = 0; pair < SETS * SETS; pair++) {
      const [voters, outgoing] = [pair % SETS, Math.floor(pair / SETS)]
      setsWithQuorum(voters, outgoing, has)
      const members = joint(voters, outgoing)
      const set = voters | outgoing
      cases += eachVector(set, 3, digits, () => {
        check(quorumMark(members, markOf), bruteMark(has, set, digits, 3), pair, digits)
      })
    }
    assert.equal(cases, 10_000_000)
  })

  it('joint ones decide what both decide: 10,000,000 cases, all votes, also open ones', () => {
    let cases = 0
    for (let pair = 0; pair < SETS * SETS; pair++) {
      const [voters, outgoing] = [pair % SETS, Math.floor(pair / SETS)]
      setsWithQuorum(voters, outgoing, has)
      const members = joint(voters, outgoing)
      const set = voters | outgoing
      cases += eachVector(set, 3, digits, () => {
        check(quorumVerdict(members, voteOf), bruteVerdict(has, set, digits), pair, digits)
      })
    }
    assert.equal(cases, 10_000_000)
  })

  it('are as small as they can be', () => {
    assert.deepEqual([1, 2, 3, 4, 5, 6, 7].map(quorumOf), [1, 2, 2, 3, 3, 4, 4])
  })
})

describe('consecutive configurations', () => {
  /** The sets that win, as the library counts them. */
  function winners(members: Members, within: number): number[] {
    const found: number[] = []
    for (let set = within; ; set = (set - 1) & within) {
      const verdict = quorumVerdict(members, (id) => (set & (1 << (id - 1))) !== 0)
      if (verdict === 'won') found.push(set)
      if (set === 0) return found
    }
  }

  /** Checks every quorum of the one with every one of the other, by what is left to the other at most. */
  function intersect(one: readonly number[], other: readonly number[], all: number): boolean {
    const wins = new Uint8Array(SETS)
    for (const set of other) wins[set] = 1
    return one.every((set) => wins[all & ~set] === 0)
  }

  it('have no two quorums without a common member: 16,129 changes, all pairs of quorums', () => {
    let changes = 0
    let wouldNot = 0
    for (let from = 1; from < SETS; from++) {
      for (let to = 1; to < SETS; to++) {
        const before = membersOf(IDS[from]!)
        const between = towards(before, membersOf(IDS[to]!))
        const after = settled(between)
        const all = from | to
        const [first, second, third] = [before, between, after].map((each) => winners(each, all))
        assert.ok(intersect(first!, second!, all), `${IDS[from]} before ${IDS[to]}`)
        assert.ok(intersect(second!, second!, all), `${IDS[from]} to ${IDS[to]}`)
        assert.ok(intersect(second!, third!, all), `${IDS[to]} after ${IDS[from]}`)
        assert.equal(isJoint(between), from !== to)
        changes++
        if (!intersect(first!, third!, all)) wouldNot++
      }
    }
    assert.equal(changes, 16_129)
    // What the joint one in between is for.
    assert.ok(wouldNot > changes / 2, `${wouldNot} changes at once would be unsafe`)
  })
})

describe('members', () => {
  it('are sorted, and in one list only', () => {
    assert.deepEqual(membersOf([3, 1, 20], [9, 4]), {
      voters: [1, 3, 20],
      outgoing: [],
      learners: [4, 9],
    })
    const impossible: [number[], number[]][] = [
      [[1, 1], []],
      [[1], [2, 2]],
      [[1, 2], [2]],
      [[0], []],
      [[-1], []],
      [[1.5], []],
      [[1], [2 ** 53]],
    ]
    for (const [voters, learners] of impossible) {
      assert.throws(() => membersOf(voters, learners), { name: 'InvariantError' })
    }
  })

  it('change through a joint configuration if voters change', () => {
    const now = membersOf([1, 2, 3], [4])
    const target = membersOf([2, 3, 4], [1, 5])
    const between = towards(now, target)
    assert.deepEqual(between, { voters: [2, 3, 4], outgoing: [1, 2, 3], learners: [1, 5] })
    assert.deepEqual(everybody(between), [1, 2, 3, 4, 5])
    assert.deepEqual(
      [1, 4, 5].map((id) => isVoter(between, id)),
      [true, true, false],
    )
    assert.deepEqual(settled(between), target)
    assert.throws(() => towards(between, target), { name: 'InvariantError' })
    assert.throws(() => towards(now, between), { name: 'InvariantError' })
  })

  it('change learners in one step', () => {
    const now = membersOf([1, 2, 3], [4])
    for (const learners of [[], [4], [5, 6]]) {
      const target = membersOf([3, 2, 1], learners)
      assert.deepEqual(towards(now, target), target)
    }
  })

  it('learners and strangers are never counted', () => {
    const members = membersOf([1, 2, 3], [4, 5])
    const marks = [0, 7, 5, 3, 100, 100]
    assert.equal(
      quorumMark(members, (id) => marks[id]!),
      5,
    )
    const votes = [true, true, undefined, false, true, true]
    assert.equal(
      quorumVerdict(members, (id) => votes[id]),
      'open',
    )
    assert.equal(
      quorumVerdict(members, (id) => id !== 1 && id !== 2),
      'lost',
    )
  })

  it('nobody agrees to everything, and has reached everything', () => {
    assert.equal(
      quorumVerdict(NO_MEMBERS, () => undefined),
      'won',
    )
    assert.equal(
      quorumMark(NO_MEMBERS, () => 0),
      Number.POSITIVE_INFINITY,
    )
  })
})
