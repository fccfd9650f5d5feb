import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { partitionFor } from 'tidemark/machine'
import { murmur2 } from '#dist/machine/murmur2.js'

describe('murmur2', () => {
  it('has the values of the tests of Kafka’s Java client', () => {
    const vectors: [key: string, hash: number][] = [
      ['', 275646681],
      ['21', -973932308],
      ['abc', 479470107],
      ['foobar', -790332482],
      ['a-little-bit-long-string', -985981536],
      ['a-little-bit-longer-string', -1486304829],
      ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
    ]
    for (const [key, hash] of vectors) assert.equal(murmur2(Buffer.from(key)), hash, key)
  })

  it('is that of an implementation with big integers, for all bytes and lengths', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 70 }), (bytes) => {
        assert.equal(murmur2(bytes), slowMurmur2(bytes))
      }),
    )
  })
})

/** Arithmetic that cannot overflow, cut to 32 bits where the definition does. */
function slowMurmur2(bytes: Uint8Array): number {
  const cut = (value: bigint) => BigInt.asUintN(32, value)
  const times = (value: bigint) => cut(value * 0x5bd1e995n)
  let hash = 0x9747b28cn ^ BigInt(bytes.length)
  const words = Math.floor(bytes.length / 4)
  for (let i = 0; i < words; i++) {
    let word = 0n
    for (let j = 3; j >= 0; j--) word = word * 256n + BigInt(bytes[4 * i + j])
    word = times(word)
    hash = times(hash) ^ times(word ^ (word >> 24n))
  }
  const rest = [...bytes.subarray(4 * words)]
  if (rest.length > 0) {
    const last = rest.reduceRight((sum, byte) => sum * 256n + BigInt(byte), 0n)
    hash = times(hash ^ last)
  }
  hash = times(hash ^ (hash >> 13n))
  return Number(BigInt.asIntN(32, hash ^ (hash >> 15n)))
}

describe('partitionFor', () => {
  it('clears the sign, and does not take the absolute value', () => {
    // -973932308 and -790332482, whose low 31 bits are 1173551340 and 1357151166.
    assert.equal(partitionFor('21', 1000), 340)
    assert.equal(partitionFor('foobar', 1000), 166)
    assert.equal(partitionFor('abc', 1000), 107)
  })

  it('takes a string as its UTF-8 bytes', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.integer({ min: 1, max: 1e6 }), (key, count) => {
        const index = partitionFor(key, count)
        assert.equal(index, partitionFor(new TextEncoder().encode(key), count))
        assert(Number.isInteger(index) && index >= 0 && index < count)
      }),
    )
  })

  it('takes the bytes of a view, and not those around it', () => {
    const bytes = Buffer.from('..foobar..').subarray(2, 8)
    assert.equal(partitionFor(bytes, 1000), 166)
  })

  it('spreads keys evenly', () => {
    const counts = new Array<number>(16).fill(0)
    for (let i = 0; i < 16_000; i++) counts[partitionFor(`user-${i}`, 16)]++
    // The deviation of 1000 is about 31; six times that does not happen.
    for (const count of counts) assert(count > 800 && count < 1200, counts.join(' '))
  })

  it('refuses what is no key and no number of partitions', () => {
    for (const count of [0, -1, 1.5, 1_000_001, Number.NaN, '8', null, undefined]) {
      assert.throws(() => partitionFor('a', count as number), {
        code: 'INVALID_ARGUMENT',
        message: /partitions must be an integer from 1 to 1000000, not /,
      })
    }
    assert.equal(partitionFor('21', 1_000_000), 551340)
    for (const key of [null, undefined, 5, ['a'], new ArrayBuffer(2)]) {
      assert.throws(() => partitionFor(key as never, 8), {
        code: 'INVALID_ARGUMENT',
        message: /a key must be a string or a Uint8Array/,
      })
    }
  })
})
