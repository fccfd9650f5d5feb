import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { seededRandom } from 'tidemark/testing'
import { keyAt, NEVER, pairOf, recordBytes, valueAt, writeRecord } from '#dist/machine/record.js'
import { frozen, Table } from '#dist/machine/table.js'

const bytes = (text: string) => Buffer.from(text)

function contentsOf(table: Table): Map<string, string> {
  const found = new Map<string, string>()
  for (const { bytes, at } of frozen(table)) {
    const key = keyAt(bytes, at).toString()
    assert.ok(!found.has(key), `${key} is there twice`)
    found.set(key, valueAt(bytes, at).toString('latin1'))
  }
  return found
}

describe('the table', () => {
  for (const seed of [1, 2, 3]) {
    it(`does what a Map does, and shows what it was while it changes (seed ${seed})`, () => {
      const random = seededRandom(seed)
      const below = (bound: number) => random.uint32() % bound
      const table = new Table()
      const model = new Map<string, string>()
      let before: { records: ReturnType<typeof frozen>; model: Map<string, string> } | undefined
      for (let step = 0; step < 30_000; step++) {
        const key = `key ${below(seed * 1500)}`
        if (below(3) === 0) {
          assert.equal(table.delete(bytes(key)), model.delete(key))
        } else {
          const value = String(below(1000)).padEnd(below(20) === 0 ? 5000 : 50, '.')
          table.set(pairOf(bytes(key), bytes(value)))
          model.set(key, value)
        }
        assert.equal(table.size, model.size)
        if (step % 5000 === 0) before = { records: frozen(table), model: new Map(model) }
        if (step % 5000 === 4000) {
          const found = new Map<string, string>()
          for (const { bytes, at } of before!.records) {
            found.set(keyAt(bytes, at).toString(), valueAt(bytes, at).toString())
          }
          assert.deepEqual([...found].sort(), [...before!.model].sort())
        }
      }
      assert.deepEqual([...contentsOf(table)].sort(), [...model].sort())
      for (const [key, value] of model) assert.equal(table.get(bytes(key))?.toString(), value)
    })
  }

  it('gives memory back', () => {
    const table = new Table()
    const value = Buffer.alloc(1000)
    for (let round = 0; round < 20; round++) {
      for (let i = 0; i < 5000; i++) table.set(pairOf(bytes(`key ${i}`), value))
    }
    assert.ok(table.bytes < 3 * 5000 * 1020, `${table.bytes} bytes for 5 MB`)
    for (let i = 0; i < 5000; i++) table.delete(bytes(`key ${i}`))
    assert.equal(table.size, 0)
    assert.ok(table.bytes <= 2 * 1024 * 1024, `${table.bytes} bytes for nothing`)
  })

  it('keeps values of any length, and views of them stay as they are', () => {
    const table = new Table()
    const views: [Buffer, number][] = []
    for (let i = 0; i < 200; i++) {
      const length = [0, 1, 7, 8, 300_000, 2_000_000][i % 6]!
      table.set(pairOf(bytes('same'), Buffer.alloc(length, i)), i % 2 === 0 ? i : NEVER)
      assert.equal(table.expiry(bytes('same')), i % 2 === 0 ? i : NEVER)
      views.push([table.get(bytes('same'))!, i])
      if (views.length > 20) views.shift()
      for (const [view, fill] of views) assert.ok(view.equals(Buffer.alloc(view.length, fill)))
    }
    assert.equal(table.get(bytes('other')), undefined)
    table.set(pairOf(bytes(''), bytes('the empty key')))
    assert.equal(table.get(bytes(''))?.toString(), 'the empty key')
  })

  it('leaves nothing in a record of what lay in memory before', () => {
    for (let length = 0; length < 9; length++) {
      const [key, value] = [bytes('key'), Buffer.alloc(length, 1)]
      const b = Buffer.alloc(recordBytes(3, length, NEVER), 0xff)
      writeRecord(b, 0, pairOf(key, value), NEVER)
      assert.deepEqual(b.subarray(11), Buffer.concat([value, Buffer.alloc(b.length - 11 - length)]))
    }
  })
})
