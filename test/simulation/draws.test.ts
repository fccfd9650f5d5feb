import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { seededRandom } from '#dist/io/index.js'
import { Draws } from '#dist/simulation/index.js'

const COUNT = 20_000

function many<T>(draw: () => T, count = COUNT): T[] {
  return Array.from({ length: count }, draw)
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

function near(actual: number, expected: number, tolerance: number): void {
  assert(Math.abs(actual - expected) <= tolerance, `${actual} is not near ${expected}`)
}

describe('Draws', () => {
  const draws = new Draws(seededRandom(11))

  it('has fractions in [0, 1)', () => {
    const fractions = many(() => draws.fraction())
    assert(fractions.every((value) => value >= 0 && value < 1))
    near(mean(fractions), 0.5, 0.01)
    assert.equal(new Draws({ uint32: () => 2 ** 32 - 1 }).fraction(), 1 - 2 ** -53)
    assert.equal(new Draws({ uint32: () => 0 }).fraction(), 0)
  })

  it('has chances', () => {
    for (const p of [0, 0.1, 0.5, 1]) {
      near(many(() => draws.chance(p)).filter(Boolean).length / COUNT, p, p % 1 ? 0.015 : 0)
    }
  })

  it('has integers with both ends', () => {
    const counts = new Map<number, number>()
    for (const value of many(() => draws.integer(-2, 3))) {
      counts.set(value, (counts.get(value) ?? 0) + 1)
    }
    assert.deepEqual(
      [...counts.keys()].sort((a, b) => a - b),
      [-2, -1, 0, 1, 2, 3],
    )
    for (const count of counts.values()) near(count / COUNT, 1 / 6, 0.015)
    assert.throws(() => draws.integer(3, 2), { code: 'INVALID_ARGUMENT' })
    assert.throws(() => draws.integer(0.5, 2), { code: 'INVALID_ARGUMENT' })
  })

  it('has exponentials', () => {
    const values = many(() => draws.exponential(40))
    assert(values.every((value) => value >= 0 && Number.isFinite(value)))
    near(mean(values), 40, 1.5)
    near(values.filter((value) => value > 40).length / COUNT, Math.exp(-1), 0.015)
    assert.equal(draws.exponential(0), 0)
    assert.throws(() => draws.exponential(-1), { code: 'INVALID_ARGUMENT' })
  })

  it('picks and shuffles', () => {
    near(
      many(() => draws.pick(['a', 'b', 'c', 'd'])).filter((x) => x === 'b').length / COUNT,
      0.25,
      0.015,
    )
    assert.throws(() => draws.pick([]), { code: 'INVALID_ARGUMENT' })
    const list = [1, 2, 3]
    const orders = new Map<string, number>()
    for (const order of many(() => draws.shuffle(list).join(''))) {
      orders.set(order, (orders.get(order) ?? 0) + 1)
    }
    assert.equal(orders.size, 6)
    for (const count of orders.values()) near(count / COUNT, 1 / 6, 0.015)
    assert.deepEqual(list, [1, 2, 3])
  })

  it('forks into streams that do not notice each other', () => {
    const quiet = new Draws(seededRandom(5))
    const busy = new Draws(seededRandom(5))
    const quietFork = quiet.fork()
    const busyFork = busy.fork()
    many(() => busyFork.uint32(), 100)
    const rest = many(() => busy.uint32(), 10)
    assert.deepEqual(
      many(() => quiet.uint32(), 10),
      rest,
    )
    const again = new Draws(seededRandom(5)).fork()
    assert.deepEqual(
      many(() => again.uint32(), 10),
      many(() => quietFork.uint32(), 10),
    )
    const [one, other] = [quiet.fork(), quiet.fork()]
    assert.notDeepEqual(
      many(() => one.uint32(), 3),
      many(() => other.uint32(), 3),
    )
    near(mean(many(() => one.fraction())), 0.5, 0.01)
  })
})
