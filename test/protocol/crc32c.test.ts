import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { crc32c as oracle } from '@platformatic/kafka'
import { seededRandom } from 'tidemark/testing'
import { crc32, crc32c } from '#dist/base/index.js'

describe('CRC-32C', () => {
  it('has the values that everybody has', () => {
    const counting = Uint8Array.from({ length: 32 }, (_, i) => i)
    assert.equal(crc32c(Buffer.from('123456789')), 0xe3069283)
    assert.equal(crc32c(new Uint8Array(0)), 0)
    // RFC 3720, B.4.
    assert.equal(crc32c(new Uint8Array(32)), 0x8a9136aa)
    assert.equal(crc32c(new Uint8Array(32).fill(0xff)), 0x62a8ab43)
    assert.equal(crc32c(counting), 0x46dd794e)
    assert.equal(crc32c(counting.toReversed()), 0x113fdb5c)
  })

  it('leaves CRC-32 as it was', () => {
    assert.equal(crc32(Buffer.from('123456789')), 0xcbf43926)
  })

  it('is that of another implementation, for every length and place, in one piece or two', () => {
    const random = seededRandom(1)
    const bytes = Buffer.from(Uint8Array.from({ length: 3000 }, () => random.uint32()))
    for (let i = 0; i < 1500; i++) {
      const start = random.uint32() % 70
      const length = i < 300 ? i : random.uint32() % 2900
      const end = start + length
      const middle = start + (random.uint32() % (length + 1))
      const expected = oracle(bytes.subarray(start, end))
      assert.equal(crc32c(bytes, start, end), expected)
      assert.equal(crc32c(bytes.subarray(start, end)), expected)
      assert.equal(crc32c(bytes, middle, end, crc32c(bytes, start, middle)), expected)
    }
  })
})
