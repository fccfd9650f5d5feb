import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { seededRandom } from 'tidemark/testing'
import { Expiries } from '#dist/machine/expiries.js'
import { MapState } from '#dist/machine/map-state.js'
import { pairOf } from '#dist/machine/record.js'

describe('the times at which to look at keys', () => {
  it('come in order, by the key where they are equal', () => {
    const random = seededRandom(5)
    const expiries = new Expiries()
    for (let i = 0; i < 2000; i++) {
      expiries.add({ at: random.uint32() % 50, key: Buffer.from(`key ${random.uint32() % 99}`) })
    }
    const seen: string[] = []
    for (let first = expiries.first; first; first = expiries.first) {
      seen.push(`${String(first.at).padStart(2, '0')} ${first.key}`)
      expiries.dropFirst()
    }
    assert.equal(seen.length, 2000)
    assert.deepEqual(seen, [...seen].sort())
  })

  it('are kept once for each key, the earliest', () => {
    const expiries = new Expiries()
    for (const at of [5, 3, 9, 7]) {
      for (const name of ['a', 'b']) expiries.add({ at, key: Buffer.from(name) })
    }
    expiries.keep(({ at }) => at > 3)
    assert.equal(expiries.size, 2)
    assert.deepEqual([expiries.first?.at, expiries.first?.key.toString()], [5, 'a'])
  })

  it('of keys whose time is renewed keep no memory that the table has given up', () => {
    const before = process.memoryUsage().arrayBuffers
    const state = new MapState(1, undefined)
    const value = Buffer.alloc(1000)
    for (let round = 0; round < 200; round++) {
      for (let i = 0; i < 1000; i++) {
        const key = Buffer.from(`key ${i}`)
        state.put(pairOf(key, value), 86_400_000 + round)
      }
    }
    ;(globalThis as { gc?: () => void }).gc?.()
    const grown = process.memoryUsage().arrayBuffers - before
    assert.ok(state.table.bytes < 10_000_000, `${state.table.bytes} bytes in the table`)
    // 200 MB were written. What waits for a collection of garbage is some of it.
    assert.ok(grown < 100_000_000, `${grown} bytes of buffers`)
  })
})
