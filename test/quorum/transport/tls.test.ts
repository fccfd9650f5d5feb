import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { describe, it } from 'node:test'
import type { TlsOptions } from '#dist/quorum/transport/index.js'
import { makeCertificates, whyNoCertificates } from './certificates.js'
import { assertTalking, NOWHERE, startMember, until } from './members.js'

const NAMES = { 1: 'one.example', 2: 'two.example', 3: '127.0.0.1' }

describe('members under TLS', { skip: whyNoCertificates() }, () => {
  const ours = makeCertificates({
    one: 'DNS:one.example',
    two: 'DNS:two.example',
    three: 'IP:127.0.0.1',
    eve: 'DNS:eve.example',
  })
  const others = makeCertificates({ eve: 'DNS:three.example,IP:127.0.0.1' })
  const tlsOf = (name: string, from = ours, ca = ours.ca): TlsOptions => {
    return { ...from.of.get(name)!, ca, names: { 1: NAMES[1], 2: NAMES[2] } }
  }

  async function pair() {
    const one = await startMember(1, { 2: NOWHERE, 3: '127.0.0.1:9' }, { tls: tlsOf('one') })
    const peers = { 1: one.transport.address, 3: NOWHERE }
    const two = await startMember(2, peers, { tls: tlsOf('two') })
    await assertTalking(one, two)
    const close = async () => {
      await Promise.all([one.transport.close(), two.transport.close()])
    }
    return { one, two, close }
  }

  it('talk, by name and by IP address', async () => {
    const { one, two, close } = await pair()
    const three = await startMember(3, { 1: one.transport.address }, { tls: tlsOf('three') })
    await assertTalking(one, three)
    await assertTalking(one, two)
    assert.deepEqual([...one.refused, ...two.refused, ...three.refused], [])
    await three.transport.close()
    await close()
  })

  for (const [what, tls, byPeer, texts] of [
    ['of another authority', tlsOf('eve', others), true, /DEPTH_ZERO|UNABLE|SELF_SIGNED/],
    ['for another name', tlsOf('eve'), true, /^member 3 has no certificate for 127.0.0.1$/],
    ['that it alone believes', tlsOf('eve', others, others.ca), false, /SELF_SIGNED_CERT|UNABLE/],
  ] as const) {
    it(`refuse a certificate ${what}`, async () => {
      const { one, two, close } = await pair()
      const three = await startMember(3, { 1: one.transport.address }, { tls })
      await until(() => three.refused.length > 0, 'refused')
      assert.equal(three.refused[0]!.reason, 'certificate')
      assert.equal(three.refused[0]!.byPeer, byPeer, three.refused[0]!.text)
      // Who does not believe a listener goes away, and says nothing.
      if (byPeer) await until(() => one.refused.length > 0, 'refused')
      if (byPeer) assert.equal(one.refused[0]!.reason, 'certificate')
      const [event] = byPeer ? one.refused : three.refused
      assert.match(event!.address, /^127\.0\.0\.1:\d+$/)
      assert.match(event!.text, texts)
      assert.equal(three.transport.isConnected(1), false)
      await assertTalking(one, two)
      await three.transport.close()
      await close()
    })
  }

  it('refuse a listener whose certificate is for another name', async () => {
    const one = await startMember(1, { 2: NOWHERE }, { tls: tlsOf('eve') })
    const two = await startMember(2, { 1: one.transport.address }, { tls: tlsOf('two') })
    await until(() => two.refused.length > 0 && one.refused.length > 0, 'refused')
    const text = 'member 1 has no certificate for one.example'
    for (const { refused } of [one, two]) {
      assert.deepEqual([refused[0]!.reason, refused[0]!.text], ['certificate', text])
    }
    await Promise.all([one.transport.close(), two.transport.close()])
  })

  it('refuse who has none, and who speaks no TLS', async () => {
    const { one, two, close } = await pair()
    const { cert: _, key: __, ...none } = tlsOf('three')
    const three = await startMember(3, { 1: one.transport.address }, { tls: none as TlsOptions })
    await until(() => three.refused.length > 0 && one.refused.length > 0, 'refused')
    assert.deepEqual([three.refused[0]!.reason, three.refused[0]!.byPeer], ['certificate', true])
    assert.equal(one.refused[0]!.reason, 'certificate')
    await three.transport.close()
    const plain = await startMember(3, { 1: one.transport.address })
    await until(() => one.refused.some(({ reason }) => reason === 'garbage'), 'refused')
    assert.equal(plain.transport.isConnected(1), false)
    await plain.transport.close()
    await assertTalking(one, two)
    await close()
  })

  it('close while somebody is at the door and says nothing', async () => {
    const { one, close } = await pair()
    const [host, port] = one.transport.address.split(':')
    const socket = connect({ host: host!, port: Number(port) }).on('error', () => {})
    await once(socket, 'connect')
    await close()
    socket.destroy()
  })
})
