import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Envelope } from '#dist/quorum/core/index.js'
import { IoQueue } from '#dist/quorum/core/io-queue.js'
import { seededCases } from './seeded-cases.ts'

function envelope(id: number): Envelope {
  return { to: 1, message: { kind: 'read', term: 1, id } }
}

function piece(end: number, messages: Envelope[] = []) {
  return { term: end + 1, vote: end + 2, end, filled: undefined, messages }
}

describe('IoQueue', () => {
  it('gives back what waits in the order of the disk, and no end above a later cut', (t) => {
    seededCases(t, 500, (draws) => {
      const queue = new IoQueue()
      const plain: { number: number; end: number; issued: number; messages: Envelope[] }[] = []
      let numbers = 0
      for (let step = 0; step < 40; step++) {
        const what = draws.integer(0, 3)
        if (what === 0) {
          const end = draws.integer(0, 20)
          assert.equal(queue.issue(piece(end)), ++numbers)
          plain.push({ number: numbers, end, issued: end, messages: [] })
        } else if (what === 1 && plain.length > 0) {
          const messages = Array.from({ length: draws.integer(0, 2) }, () => envelope(step))
          queue.follow(messages)
          plain.at(-1)!.messages.push(...messages)
        } else if (what === 2) {
          const mark = draws.integer(0, 20)
          queue.cut(mark)
          for (const each of plain) each.end = Math.min(each.end, mark)
        } else if (plain.length > 0) {
          const { number, end, issued, messages } = plain.shift()!
          const done = queue.done(number)
          assert.deepEqual(done, { number, ...piece(issued, messages), end })
        }
        assert.equal(queue.isIdle, plain.length === 0)
      }
    })
  })

  it('takes only the report of the first', () => {
    const queue = new IoQueue()
    assert.throws(() => queue.done(1), { name: 'InvariantError' })
    assert.throws(() => queue.follow([envelope(1)]), { name: 'InvariantError' })
    queue.issue(piece(1))
    queue.issue(piece(2))
    assert.throws(() => queue.done(2), { name: 'InvariantError' })
  })

  it('does not cut what is issued after the cut, also where it writes the same batches again', () => {
    const queue = new IoQueue()
    queue.issue(piece(9))
    queue.cut(4)
    queue.issue(piece(9))
    assert.deepEqual([queue.done(1).end, queue.done(2).end], [4, 9])
  })
})
