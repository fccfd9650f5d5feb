import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { PlacedSet, SeenConfigurations } from '#dist/simulation/placed-set.js'

const CAPACITY = 100

function setOf(...members: number[]): PlacedSet {
  const set = new PlacedSet(CAPACITY)
  for (const member of members) set.toggle(member)
  return set
}

function range(from: number, end: number): number[] {
  return Array.from({ length: end - from }, (_, index) => from + index)
}

describe('PlacedSet', () => {
  it('tells sets apart by their snapshots, and has one for equal sets', () => {
    const sets = [
      setOf(),
      ...range(0, CAPACITY).map((member) => setOf(member)),
      ...range(1, CAPACITY).map((end) => setOf(...range(0, end + 1))),
      setOf(...range(0, 32), 40),
      setOf(8),
      setOf(...range(0, 31), 40),
    ]
    const texts = sets.map((set) => set.snapshot().join())
    assert.equal(new Set(texts).size, sets.length - 1)
    const back = setOf(...range(0, 40), 70, 70)
    assert.deepEqual(back.snapshot(), setOf(...range(0, 40).reverse()).snapshot())
    assert.equal(back.hash, setOf(...range(0, 40).reverse()).hash)
    assert.notEqual(back.hash, setOf(...range(0, 39)).hash)
  })

  it('has snapshots of the open stretch only', () => {
    assert.equal(setOf(...range(0, 64), 66).snapshot().length, 2)
    assert.equal(setOf(...range(0, 64)).snapshot().length, 1)
  })
})

describe('SeenConfigurations', () => {
  it('knows a configuration by its set and its state', () => {
    const seen = new SeenConfigurations()
    assert.equal(seen.add(setOf(1, 2), 'a'), true)
    assert.equal(seen.add(setOf(1, 2), 'b'), true)
    assert.equal(seen.add(setOf(1, 3), 'a'), true)
    assert.equal(seen.add(setOf(2, 1), 'a'), false)
  })

  it('does not take one set for another because of a hash', () => {
    const seen = new SeenConfigurations()
    const colliding = (set: PlacedSet) => Object.defineProperty(set, 'hash', { value: 7 })
    assert.equal(seen.add(colliding(setOf(1)), 'a'), true)
    assert.equal(seen.add(colliding(setOf(2)), 'a'), true)
    assert.equal(seen.add(colliding(setOf(2)), 'a'), false)
  })
})
