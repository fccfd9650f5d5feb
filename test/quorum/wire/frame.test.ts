import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { crc32 } from 'node:zlib'
import { type Random, seededRandom } from 'tidemark/testing'
import {
  encodeFrame,
  type Frame,
  FrameReader,
  WireError,
  type WireProblem,
} from '#dist/quorum/wire/index.js'

/** As docs/format.md has it: kind 16, the head `head`, the data `da` and `ta`. */
const GOLDEN =
  '5449444601100000' + '0400000004000000' + '9cf6f3a7' + '9891a010' + '68656164' + '64617461'

const SEED = Number(process.env.TIDEMARK_SEED ?? 1)

function bytes(text: string): Buffer {
  return Buffer.from(text)
}

function allOf(reader: FrameReader): Frame[] {
  const found: Frame[] = []
  for (let frame = reader.next(); frame; frame = reader.next()) found.push(frame)
  return found
}

function refusal(of: Buffer, limits = { head: 4096, data: 0 }): WireProblem | undefined {
  const reader = new FrameReader(limits)
  reader.push(of)
  try {
    allOf(reader)
  } catch (error) {
    assert(error instanceof WireError, String(error))
    assert.throws(() => reader.next(), error, 'and the same from then on')
    reader.push(encodeFrame(1, bytes('more'), [])[0] as Buffer)
    assert.throws(() => reader.next(), error)
    return error.reason
  }
  return undefined
}

/** A header with one field changed, and a checksum that fits. */
function forged(change: (header: Buffer) => void): Buffer {
  const frame = Buffer.concat(encodeFrame(16, bytes('head'), []))
  change(frame)
  frame.writeUInt32LE(crc32(frame.subarray(0, 20)), 20)
  return frame
}

function filled(random: Random, length: number): Buffer {
  return Buffer.alloc(length, `${random.uint32()}`)
}

function lengthOf(random: Random): number {
  const power = random.uint32() % 18
  return random.uint32() % 2 ** power
}

describe('a frame', () => {
  it('is the same byte for byte', () => {
    const parts = encodeFrame(16, bytes('head'), [bytes('da'), bytes('ta')])
    assert.equal(Buffer.concat(parts).toString('hex'), GOLDEN)
    const reader = new FrameReader()
    reader.push(Buffer.from(GOLDEN, 'hex'))
    assert.deepEqual(allOf(reader), [{ kind: 16, head: bytes('head'), data: bytes('data') }])
  })

  it('is refused with the reason', () => {
    assert.equal(refusal(bytes('GET / HTTP/1.1\r\n')), 'garbage')
    assert.equal(refusal(bytes('T!')), 'garbage', 'from the first byte that differs')
    assert.equal(refusal(forged((b) => b.writeUInt16LE(1, 6))), 'garbage')
    assert.equal(refusal(forged((b) => b.writeUInt8(2, 4))), 'version')
    assert.equal(refusal(forged((b) => b.writeUInt32LE(4097, 8))), 'too-large')
    assert.equal(refusal(forged((b) => b.writeUInt32LE(2 ** 32 - 1, 8))), 'too-large')
    assert.equal(refusal(forged((b) => b.writeUInt32LE(1, 12))), 'too-large')
    assert.equal(refusal(forged((b) => b.writeUInt8(0x69, 24))), 'checksum')
    const flipped = Buffer.from(GOLDEN, 'hex')
    flipped[9]! ^= 1
    assert.equal(refusal(flipped), 'checksum')
  })

  it('takes no memory for a claim beyond the limits', () => {
    const claim = forged((b) => b.writeUInt32LE(2 ** 32 - 1, 12)).subarray(0, 24)
    const before = process.memoryUsage().arrayBuffers
    for (let i = 0; i < 100; i++) assert.equal(refusal(claim), 'too-large')
    const taken = process.memoryUsage().arrayBuffers - before
    assert(taken < 2 ** 20, `${taken} bytes`)
  })

  it('of a size at its limit is taken; limits may be raised between frames', () => {
    const frame = encodeFrame(1, Buffer.alloc(4096), [])[0] as Buffer
    assert.equal(refusal(frame), undefined)
    const reader = new FrameReader({ head: 4, data: 0 })
    reader.push(Buffer.concat(encodeFrame(1, bytes('tiny'), [])))
    assert.equal(reader.next()?.kind, 1)
    reader.limits = { head: 4096, data: 0 }
    reader.push(frame)
    assert.equal(reader.next()?.head.length, 4096)
  })

  it('within one chunk is a view; over many it is copied once', () => {
    const data = Buffer.alloc(2 ** 23, 'd')
    const whole = Buffer.concat(encodeFrame(16, bytes('head'), [data]))
    const reader = new FrameReader()
    reader.push(whole)
    assert.equal(reader.next()?.data.buffer, whole.buffer)
    const before = process.memoryUsage().arrayBuffers
    for (let at = 0; at < whole.length; at += 1000) {
      reader.push(whole.subarray(at, at + 1000))
      const frame = reader.next()
      assert.equal(frame !== undefined, at + 1000 >= whole.length)
      if (frame) assert(frame.data.equals(data))
    }
    const taken = process.memoryUsage().arrayBuffers - before
    assert(taken < 1.5 * data.length, `${taken} bytes`)
  })
})

describe('many frames', () => {
  it(`come out as they went in, however they are cut (seed ${SEED})`, () => {
    const random = seededRandom(SEED)
    for (let round = 0; round < 100; round++) {
      const sent = Array.from({ length: 20 }, () => {
        const parts = Array.from({ length: random.uint32() % 3 }, () =>
          filled(random, lengthOf(random)),
        )
        return { kind: random.uint32() % 256, head: filled(random, lengthOf(random)), parts }
      })
      const stream = Buffer.concat(
        sent.flatMap(({ kind, head, parts }) => encodeFrame(kind, head, parts)),
      )
      const reader = new FrameReader()
      const got: Frame[] = []
      for (let at = 0; at < stream.length; ) {
        const end = at + 1 + (random.uint32() % 2 ** (1 + (random.uint32() % 17)))
        reader.push(stream.subarray(at, end))
        at = end
        if (random.uint32() % 4 > 0) got.push(...allOf(reader))
      }
      got.push(...allOf(reader))
      assert.equal(got.length, sent.length)
      for (const [i, { kind, head, parts }] of sent.entries()) {
        assert.equal(got[i]!.kind, kind)
        assert(got[i]!.head.equals(head) && got[i]!.data.equals(Buffer.concat(parts)))
      }
    }
  })

  it(`with damage give a WireError, and no head that was not sent (seed ${SEED})`, () => {
    const random = seededRandom(SEED)
    const refused = new Set<string>()
    for (let round = 0; round < 20_000; round++) {
      const sent = Array.from({ length: 3 }, () => filled(random, lengthOf(random) % 100))
      const stream = Buffer.concat(sent.flatMap((head, i) => encodeFrame(i, head, [])))
      const damage = round % 3
      if (damage === 0) stream[random.uint32() % stream.length]! ^= 1 << (random.uint32() % 8)
      if (damage === 1) stream.fill(random.uint32() & 0xff, random.uint32() % stream.length)
      const end = damage === 2 ? random.uint32() % stream.length : stream.length
      const reader = new FrameReader()
      let count = 0
      try {
        for (let at = 0; at < end; at += 7) {
          reader.push(stream.subarray(at, Math.min(end, at + 7)))
          for (const { kind, head, data } of allOf(reader)) {
            assert(kind === count && head.equals(sent[kind]!) && data.length === 0)
            count++
          }
        }
        // What is cut off only waits for more. A run of equal bytes may be what lay there.
        if (damage === 0) assert.fail('a flipped bit passed')
      } catch (error) {
        if (!(error instanceof WireError)) throw error
        refused.add(error.reason)
      }
      assert(count < 3 || damage === 1)
    }
    assert.deepEqual([...refused].sort(), ['checksum', 'garbage'])
  })

  it(`of random bytes are none (seed ${SEED})`, () => {
    const random = seededRandom(SEED)
    for (let round = 0; round < 20_000; round++) {
      const noise = Buffer.from(Array.from({ length: 28 }, () => random.uint32() & 0xff))
      if (round % 2) noise.write('TIDF')
      assert.equal(refusal(noise), round % 2 ? 'checksum' : 'garbage')
    }
  })
})
