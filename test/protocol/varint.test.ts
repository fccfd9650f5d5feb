import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import {
  VarintReader,
  varintBytes,
  varlongBytes,
  writeVarint,
  writeVarlong,
} from '#dist/protocol/varint.js'

function fail(problem: string): never {
  throw new Error(problem)
}

/** The 64-bit zigzag of the definition. */
function bytesOf(value: number): string {
  const wide = BigInt(value)
  let z = BigInt.asUintN(64, (wide << 1n) ^ (wide >> 63n))
  const bytes: number[] = []
  for (; z >= 0x80n; z >>= 7n) bytes.push(Number(z & 0x7fn) | 0x80)
  return Buffer.from([...bytes, Number(z)]).toString('hex')
}

const EDGES = Array.from({ length: 49 }, (_, i) => 2 ** i).flatMap((n) => [n - 1, n, -n, -n - 1])

describe('a varint', () => {
  const check = (value: number): void => {
    const bytes = Buffer.alloc(5)
    const end = writeVarint(bytes, 0, value)
    assert.equal(bytes.toString('hex', 0, end), bytesOf(value))
    assert.equal(varintBytes(value), end)
    const reader = new VarintReader(bytes.subarray(0, end), fail)
    assert.equal(reader.varint(), value)
    assert.equal(reader.at, end)
  }

  it('is as it is defined', () => {
    for (const edge of EDGES) if (edge === (edge | 0)) check(edge)
    fc.assert(fc.property(fc.integer(), check))
  })
})

describe('a varlong', () => {
  const check = (value: number): void => {
    const bytes = Buffer.alloc(10)
    const end = writeVarlong(bytes, 0, value)
    assert.equal(bytes.toString('hex', 0, end), bytesOf(value))
    assert.equal(varlongBytes(value), end)
    const reader = new VarintReader(bytes.subarray(0, end), fail)
    assert.equal(reader.varlong(), value)
    assert.equal(reader.at, end)
  }

  it('is as it is defined', () => {
    for (const edge of EDGES) check(edge)
    fc.assert(fc.property(fc.integer({ min: -(2 ** 48), max: 2 ** 48 }), check))
  })

  it('is the nearest number where there is no exact one', () => {
    const widest: [string, number][] = [
      ['feffffffffffffffff01', 2 ** 63],
      ['ffffffffffffffffff01', -(2 ** 63)],
      ['80808080808080808001', 2 ** 62],
    ]
    for (const [hex, value] of widest) {
      const reader = new VarintReader(Buffer.from(hex, 'hex'), fail)
      assert.equal(reader.varlong(), value)
      assert.equal(reader.at, 10)
    }
  })
})
