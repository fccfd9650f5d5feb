import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type Members, membersOf, settled, towards } from '#dist/quorum/core/index.js'
import { hasArrived, nextMembers } from '#dist/quorum/next-members.js'

const nobody = () => false
const everybody = () => true

describe('the way from some members to others', () => {
  it('has who is new learn, then vote, and only then lets the others go', () => {
    const target = { replicas: [1, 2, 4], learners: [] }
    const first = nextMembers(membersOf([1, 2, 3]), target, nobody)
    assert.deepEqual(first, { voters: [1, 2, 3], learners: [4] })
    const learning = membersOf(first!.voters, first!.learners)
    assert.equal(nextMembers(learning, target, nobody), undefined)
    const second = nextMembers(learning, target, everybody)
    assert.deepEqual(second, { voters: [1, 2, 4], learners: [] })
    assert.ok(hasArrived(membersOf([1, 2, 4]), target))
  })

  it('is nothing where the members are those that are to be', () => {
    const now = membersOf([1, 2, 3], [4])
    assert.equal(nextMembers(now, { replicas: [3, 1, 2], learners: [4] }, nobody), undefined)
  })

  it('arrives from any members at any others, and somebody votes at each step', () => {
    const sets = Array.from({ length: 15 }, (_, i) =>
      [1, 2, 3, 4].filter((id) => (i + 1) & (1 << (id - 1))),
    )
    for (const from of sets) {
      for (const to of sets) {
        const learners = [1, 2, 3, 4].filter((id) => !to.includes(id) && id % 2 === 0)
        let now: Members = membersOf(from)
        for (let i = 0; i < 5 && !hasArrived(now, { replicas: to, learners }); i++) {
          const next = nextMembers(now, { replicas: to, learners }, everybody)
          assert.ok(next, `${from} to ${to}`)
          now = settled(towards(now, membersOf(next.voters, next.learners)))
        }
        assert.ok(hasArrived(now, { replicas: to, learners }), `${from} to ${to}`)
      }
    }
  })
})
