import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { crc32 } from 'node:zlib'
import { encodeFrame } from '#dist/quorum/wire/index.js'
import { assertTalking, KIND, NOWHERE, startMember, type TestMember, until } from './members.js'

/** Members 1 and 2; 2 dials. Member 3 is known to both, and may dial both. */
async function pair(options: Parameters<typeof startMember>[2] = {}) {
  const one = await startMember(1, { 2: NOWHERE, 3: NOWHERE }, options)
  const two = await startMember(2, { 1: one.transport.address, 3: NOWHERE }, options)
  await assertTalking(one, two)
  return { one, two, close: () => closeAll(one, two) }
}

async function closeAll(...members: TestMember[]): Promise<void> {
  await Promise.all(members.map(({ transport }) => transport.close()))
}

function header(change: (b: Buffer) => void): Buffer {
  const b = Buffer.concat(encodeFrame(1, Buffer.from('head'), []))
  change(b)
  b.writeUInt32LE(crc32(b.subarray(0, 20)), 20)
  return b
}

/** What a stranger says, and why it is refused. */
const STRANGERS: [string, Buffer, string][] = [
  ['random bytes', Buffer.from('3f1d04a9c7', 'hex'), 'garbage'],
  ['HTTP', Buffer.from('GET / HTTP/1.1\r\nHost: a\r\n\r\n'), 'garbage'],
  ['4 GiB of head', header((b) => b.writeUInt32LE(2 ** 32 - 1, 8)), 'too-large'],
  ['4 GiB of data', header((b) => b.writeUInt32LE(2 ** 32 - 1, 12)), 'too-large'],
  ['a head that does not fit', header((b) => b.writeUInt8(1, 24)), 'checksum'],
  ['a version to come', header((b) => b.writeUInt8(2, 4)), 'version'],
  ['a hello too short', Buffer.concat(encodeFrame(1, Buffer.alloc(51), [])), 'garbage'],
  ['a protocol to come', Buffer.concat(encodeFrame(1, Buffer.alloc(52, 2), [])), 'version'],
  ['a frame before a hello', Buffer.concat(encodeFrame(KIND, Buffer.alloc(9), [])), 'garbage'],
  ['garbage and much more of it', Buffer.alloc(2 ** 20, 'x'), 'garbage'],
]

describe('members', () => {
  it('refuse strangers, say why, and go on', async () => {
    const { one, two, close } = await pair()
    const [host, port] = one.transport.address.split(':')
    for (const [what, bytes, reason] of STRANGERS) {
      one.refused.length = 0
      const socket = connect({ host: host!, port: Number(port) })
      const answer: Buffer[] = []
      socket.on('data', (chunk: Buffer) => answer.push(chunk)).on('error', () => {})
      socket.write(bytes)
      await once(socket, 'close')
      const text = Buffer.concat(answer)
      assert.equal(text[5], 4, `${what} is answered with a refusal`)
      assert.equal(one.refused.length, 1, what)
      const { text: told, ...event } = one.refused[0]!
      const address = `127.0.0.1:`
      assert(event.address.startsWith(address) && text.includes(told), what)
      assert.deepEqual({ ...event, address }, { address, reason, byPeer: false, suppressed: 0 })
      await assertTalking(one, two)
      await sleep(110)
    }
    assert.deepEqual(
      one.told.filter((line) => /up|down/.test(line)),
      ['up 2'],
    )
    await close()
  })

  for (const [what, three, reason] of [
    ['another cluster', { cluster: 'other' }, 'cluster'],
    ['another secret', { secret: 'other' }, 'secret'],
    ['no secret', {}, 'secret'],
    ['the id of a lower member', { secret: 'known', id: 3, wrong: true }, 'member'],
  ] as const) {
    it(`refuse a member with ${what}`, async () => {
      const { one, two, close } = await pair({ secret: 'known' })
      const { wrong, ...options } = { wrong: false, id: 3, ...three } as const
      const at = { [wrong ? 2 : 1]: one.transport.address }
      const stranger = await startMember(options.id, at, options)
      await until(() => stranger.refused.length > 0 && one.refused.length > 0, 'refused')
      assert.deepEqual(stranger.refused[0]!.reason, reason)
      assert.deepEqual(one.refused[0]!.reason, reason)
      assert.equal(stranger.refused[0]!.byPeer, !one.refused[0]!.byPeer)
      assert.equal(stranger.refused[0]!.text, one.refused[0]!.text)
      assert.equal(stranger.transport.isConnected(1), false)
      await assertTalking(one, two)
      assert(!one.told.includes(`up ${options.id}`))
      await closeAll(stranger)
      await close()
    })
  }

  it('give a connection up when what came cannot be taken, and make another', async () => {
    const { one, two, close } = await pair()
    two.say(1, 'throw')
    await until(() => one.told.filter((line) => line === 'up 2').length === 2, 'up again')
    const event = { reason: 'garbage', text: 'what is this?', suppressed: 0 }
    assert.deepEqual(two.refused, [
      { address: one.transport.address, ...event, id: 1, byPeer: true },
    ])
    assert.deepEqual(
      one.refused.map(({ id, text, byPeer }) => ({ id, text, byPeer })),
      [{ id: 2, text: 'what is this?', byPeer: false }],
    )
    await assertTalking(one, two)
    await close()
  })

  it('stay connected while they have nothing to say', async () => {
    const { one, two, close } = await pair({ silenceMs: 300 })
    await sleep(1500)
    await assertTalking(one, two)
    assert(!one.told.includes('down 2') && !two.told.includes('down 1'))
    await close()
  })

  it('find each other again, and see that nobody listens', async () => {
    const { one, two } = await pair()
    const { address } = one.transport
    await one.transport.close()
    await until(() => two.told.includes('unreachable 1'), 'unreachable')
    await sleep(300)
    assert.equal(two.told.filter((line) => line === 'unreachable 1').length, 1)
    const again = await startMember(1, { 2: two.transport.address }, { listen: address })
    await assertTalking(again, two)
    // The lower does not dial: it looks only when the connection is lost.
    await two.transport.close()
    await until(() => again.told.includes('unreachable 2'), 'unreachable')
    assert.equal(again.say(2, 'nobody hears'), false)
    await closeAll(again)
  })

  it('replace the connection of a member that comes again', async () => {
    const { one, two, close } = await pair()
    const again = await startMember(
      2,
      { 1: one.transport.address },
      { incarnation: Buffer.alloc(16, 9) },
    )
    const changes = () => one.told.filter((line) => /^(up|down)/.test(line)).join()
    await until(() => changes().startsWith('up 2,down 2,up 2'), 'replaced')
    await closeAll(again)
    await assertTalking(one, two)
    await close()
  })

  it('give up who accepts and never answers', async () => {
    const mute = createServer((socket) => socket.on('error', () => {}).resume())
    await once(mute.listen(0, '127.0.0.1'), 'listening')
    const { port } = mute.address() as { port: number }
    const two = await startMember(2, { 1: `127.0.0.1:${port}` }, { silenceMs: 100 })
    await until(() => two.refused.length >= 2, 'refused twice')
    assert.deepEqual(
      { ...two.refused[0] },
      {
        address: `127.0.0.1:${port}`,
        reason: 'silent',
        text: 'no handshake within 100 ms',
        byPeer: false,
        id: 1,
        suppressed: 0,
      },
    )
    await two.transport.close()
    mute.close()
  })

  it('are not held up by one that stops reading, nor fill their memory for it', async () => {
    const { one, two } = await pair({ silenceMs: 500 })
    // Between 3 and 1 lies a wire that can be stopped.
    const ends: Socket[] = []
    const wire = createServer((near) => {
      const [host, port] = one.transport.address.split(':')
      const far = connect({ host: host!, port: Number(port) })
      for (const end of [near, far]) ends.push(end.on('error', () => {}))
      near.pipe(far).pipe(near)
    })
    await once(wire.listen(0, '127.0.0.1'), 'listening')
    const { port } = wire.address() as { port: number }
    const three = await startMember(3, { 1: `127.0.0.1:${port}` }, { silenceMs: 500 })
    await assertTalking(one, three)
    for (const end of ends) end.unpipe().pause()
    const data = [Buffer.alloc(2 ** 20)]
    let dropped = 0
    for (let i = 0; i < 64; i++) {
      if (!one.transport.send(3, KIND, Buffer.alloc(4), data)) dropped++
      assert(one.transport.waitingBytes(3) <= 2 ** 22)
      await sleep(1)
    }
    assert(dropped > 30, `${dropped} dropped`)
    await assertTalking(one, two)
    await until(() => one.told.includes('down 3'), 'down')
    assert(one.refused.some(({ id, reason }) => id === 3 && reason === 'silent'))
    for (const end of ends) end.destroy()
    wire.close()
    await closeAll(one, two, three)
  })

  it('tell only so much of many strangers, and let members in all the same', async () => {
    const { one, two, close } = await pair()
    const [host, port] = one.transport.address.split(':')
    const sockets = Array.from({ length: 200 }, () =>
      connect({ host: host!, port: Number(port) }).on('error', () => {}),
    )
    for (const socket of sockets.slice(0, 100)) socket.write('GET / HTTP/1.1\r\n')
    const three = await startMember(3, { 1: one.transport.address })
    await assertTalking(one, three)
    assert(one.refused.length >= 1 && one.refused.length <= 20, `${one.refused.length} told`)
    await assertTalking(one, two)
    for (const socket of sockets) socket.destroy()
    await closeAll(three)
    await close()
  })

  it('say what is wrong with their options', async () => {
    for (const [peers, options, message] of [
      [{ 1: NOWHERE }, { listen: 'nowhere' }, /^listen is not host:port.*"nowhere"/],
      [{ 1: 'a:0' }, {}, /^the address of member 1 has no port: "a:0"/],
      [{ 1: 'a' }, {}, /^the address of member 1 is not host:port.*"a"/],
      [{ 2: NOWHERE }, {}, /^peers has member 2 itself/],
      [{ 0: NOWHERE }, {}, /^the id of a peer is not 1 to 4294967295: 0/],
      [{}, { cluster: '' }, /^cluster has 0 bytes/],
      [{}, { cluster: 'x'.repeat(256) }, /^cluster has 256 bytes/],
      [{}, { silenceMs: Number.NaN }, /^silenceMs is not 1 or more: NaN/],
    ] as const) {
      const started = startMember(2, peers as Record<number, string>, options)
      await assert.rejects(started, { code: 'INVALID_ARGUMENT', message })
    }
    const { one, close } = await pair()
    await assert.rejects(startMember(5, {}, { listen: one.transport.address }), (error) => {
      assert.equal((error as { code: string }).code, 'IO')
      assert.match((error as Error).message, /^cannot listen at 127.0.0.1:\d+: .*EADDRINUSE/)
      assert.equal(((error as Error).cause as { code: string }).code, 'EADDRINUSE')
      return true
    })
    await close()
  })

  it('leave nothing when they close', async () => {
    const { one, two } = await pair()
    const lonely = await startMember(9, { 1: NOWHERE, 2: two.transport.address })
    await closeAll(lonely, one, two)
    const closed = [one.told.length, two.told.length]
    await sleep(50)
    const after = process.getActiveResourcesInfo().filter((name) => /TCP|Timeout/.test(name))
    assert.deepEqual(after, [])
    assert.deepEqual([one.told.length, two.told.length], closed)
    await one.transport.close()
  })
})
