import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { seededRandom } from 'tidemark/testing'
import { Handshake, type HandshakeOptions } from '#dist/quorum/transport/handshake.js'
import { decodeRefusal, encodeRefusal, Refusal } from '#dist/quorum/transport/refusal.js'
import { type Frame, FrameReader } from '#dist/quorum/wire/index.js'

/** Heads of hello, hello, proof, proof, welcome, as docs/format.md has them. */
const DIALER = `${'12'.repeat(16)}${'22'.repeat(16)}${'30'.repeat(8)}`
const ACCEPTOR = `${'11'.repeat(16)}${'21'.repeat(16)}${'30'.repeat(8)}`
const GOLDEN = [
  `1 010401000200000001000000${DIALER}73686f70`,
  `1 020401000100000002000000${ACCEPTOR}73686f70`,
  '2 787b60249db489a3dccea531b6449b73556ce0582e2ac5735a6e907fe742a0d7',
  '2 5852ba55f7687cc8f54c115abc82a23d81bbef69f5a8a2e3d0305206bfec5881',
  '3 ',
]

const MEMBER = () => side(2, 1)
/** No member: it takes whom it finds. */
const OPERATOR = () => side(0, 0, { incarnation: Buffer.alloc(16), founders: Buffer.alloc(8) })

function side(id: number, expected?: number, options: Partial<HandshakeOptions> = {}): Handshake {
  return new Handshake({
    id,
    cluster: 'shop',
    incarnation: Buffer.alloc(16, 0x10 + id),
    nonce: Buffer.alloc(16, 0x20 + id),
    secret: 'only we know',
    ...(expected !== undefined && { expected }),
    founders: Buffer.alloc(8, 0x30),
    checkDialer: (other) => {
      if (other !== 2 && other !== 0) throw new Refusal('member', 'another member')
    },
    checkPeer() {},
    checkCertificate() {},
    ...options,
  })
}

function framesOf(parts: readonly Uint8Array[]): Frame[] {
  const reader = new FrameReader()
  reader.push(Buffer.concat(parts))
  const found: Frame[] = []
  for (let frame = reader.next(); frame; frame = reader.next()) found.push(frame)
  return found
}

/** All frames in order; `change` stands between. Ends when nobody has anything to say. */
function talk(change: (frame: Frame) => Frame, makeDialer = MEMBER) {
  const [dialer, acceptor] = [makeDialer(), side(1)]
  const said: Frame[] = []
  const proven: number[] = []
  let sides = [acceptor, dialer]
  let frames = framesOf(dialer.begin())
  while (frames.length > 0) {
    const next: Frame[] = []
    for (const frame of frames) {
      said.push(frame)
      const { send, peer } = sides[0]!.take(change(frame))
      if (peer) proven.push(peer.id)
      next.push(...framesOf(send))
    }
    frames = next
    sides = sides.reverse()
  }
  return { said, proven }
}

describe('a handshake', () => {
  it('is the same byte for byte', () => {
    const { said, proven } = talk((frame) => frame)
    assert.deepEqual(
      said.map(({ kind, head }) => `${kind} ${head.toString('hex')}`),
      GOLDEN,
    )
    assert.deepEqual(proven, [2, 1])
  })

  for (const [who, makeDialer] of [
    ['a member', MEMBER],
    ['an operator', OPERATOR],
  ] as const) {
    it(`of ${who}, of which one bit is another, proves nothing`, () => {
      const { proven: whole } = talk((frame) => frame, makeDialer)
      assert.deepEqual(whole, [who === 'a member' ? 2 : 0, 1])
      for (let at = 0; at < 4; at++) {
        const bits = 8 * talk((frame) => frame, makeDialer).said[at]!.head.length
        for (let bit = 0; bit < bits; bit++) {
          let seen = 0
          const proven = { count: 0 }
          const attempt = () => {
            const done = talk((frame) => {
              if (seen++ !== at) return frame
              const head = Buffer.from(frame.head)
              head[bit >> 3]! ^= 1 << (bit & 7)
              return { ...frame, head }
            }, makeDialer)
            proven.count = done.proven.length
          }
          assert.throws(attempt, Refusal, `bit ${bit} of frame ${at}`)
          assert.equal(proven.count, 0)
        }
      }
    })
  }

  it('takes no frame but the one that is due', () => {
    for (const kind of [0, 2, 3, 5, 16]) {
      const frame = { kind, head: Buffer.alloc(32), data: Buffer.alloc(0) }
      assert.throws(() => side(1).take(frame), { reason: 'garbage' })
    }
  })
})

describe('a refusal', () => {
  it('is the same byte for byte', () => {
    const bytes = encodeRefusal('secret', 'another secret')
    assert.equal(bytes.toString('hex'), `06${Buffer.from('another secret').toString('hex')}`)
    assert.deepEqual(decodeRefusal(bytes), { reason: 'secret', text: 'another secret' })
  })

  it('of any bytes can be printed', () => {
    const random = seededRandom(1)
    for (let i = 0; i < 1000; i++) {
      const noise = Buffer.from(
        Array.from({ length: random.uint32() % 2000 }, () => random.uint32() & 0xff),
      )
      const { text } = decodeRefusal(noise)
      assert(text.length <= 512 && !/\p{C}/u.test(text))
    }
  })
})
