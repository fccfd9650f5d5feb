import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { describe, it } from 'node:test'
import { ClusterClient, type MemberStatus } from 'tidemark/quorum'
import { makeCertificates, whyNoCertificates } from '../transport/certificates.js'
import { dialRaw } from '../transport/raw-dialer.js'
import { freePorts, Trio, until } from './trio.js'

async function fails(
  options: Parameters<typeof ClusterClient.connect>[0],
  code: string,
  message: RegExp,
): Promise<void> {
  await assert.rejects(ClusterClient.connect(options), { name: 'TidemarkError', code, message })
}

describe('a client of a cluster', () => {
  it('asks any member for its status, and has another lead', async () => {
    const trio = await Trio.start({ secret: 'known' })
    await trio.member(1).log('orders')
    const leader = () =>
      trio
        .member(1)
        .status()
        .logs.find(({ name }) => name === 'orders')?.leader
    await until(() => leader() !== undefined, 'a leader')
    for (const id of [1, 2, 3]) {
      await using client = await ClusterClient.connect({
        address: trio.peers[id]!,
        secret: 'known',
      })
      assert.equal(client.member, id)
      const status = (await client.request({ do: 'status' })) as MemberStatus
      assert.deepEqual([status.id, status.cluster], [id, 'tidemark'])
      assert(status.logs.some(({ name }) => name === 'orders'))
    }
    const first = leader()!
    const next = (first % 3) + 1
    const client = await ClusterClient.connect({ address: trio.peers[first]!, secret: 'known' })
    await client.request({ do: 'transfer', log: 'orders', to: next })
    await until(() => leader() === next, 'another leader')
    const wrong = client.request({ do: 'transfer', log: 'nothing', to: next })
    await assert.rejects(wrong, { code: 'NOT_FOUND', message: 'there is no log "nothing"' })
    await client.close()
    await assert.rejects(client.request({ do: 'status' }), { code: 'CLOSED' })
    await client.close()
    await trio.stop()
  })

  it('says why it cannot ask', async () => {
    const trio = await Trio.start({ secret: 'known' }, 1)
    const address = trio.peers[1]!
    const [nobody] = await freePorts(1)
    const at = `127.0.0.1:${nobody}`
    await fails({ address: at }, 'UNAVAILABLE', /^nobody answers at 127.0.0.1:\d+: .*ECONNREFUSED/)
    await fails({ address }, 'INVALID_ARGUMENT', /cannot be asked, it has another secret/)
    const secret = 'known'
    const cluster = 'other'
    await fails(
      { address, secret, cluster },
      'INVALID_ARGUMENT',
      /another cluster: the cluster "other"/,
    )
    await fails({ address: 'nowhere' }, 'INVALID_ARGUMENT', /^the address of a member is not host/)
    await fails({ address: 'a:0' }, 'INVALID_ARGUMENT', /has no port/)
    await fails({ address, timeoutMs: 0 }, 'INVALID_ARGUMENT', /^timeoutMs is not 1 or more/)
    await trio.stop()
  })

  it('does not wait for ever', async () => {
    const sockets: Socket[] = []
    const mute = createServer((socket) => sockets.push(socket.on('error', () => {}).resume()))
    await once(mute.listen(0, '127.0.0.1'), 'listening')
    const { port } = mute.address() as { port: number }
    const address = `127.0.0.1:${port}`
    await fails({ address, timeoutMs: 100 }, 'UNAVAILABLE', /^nobody answers at .* within 100 ms/)
    const rude = createServer((socket) => socket.on('error', () => {}).end('HTTP/1.1 400 no\r\n'))
    await once(rude.listen(0, '127.0.0.1'), 'listening')
    const other = `127.0.0.1:${(rude.address() as { port: number }).port}`
    await fails({ address: other }, 'INVALID_ARGUMENT', /does not speak as a member does/)
    for (const socket of sockets) socket.destroy()
    mute.close()
    rude.close()
  })

  it('says that what it has asked for may be done or not when the member goes', async () => {
    const trio = await Trio.start({}, 1)
    const [host, port] = trio.peers[1]!.split(':')
    const ends: Socket[] = []
    const wire = createServer((near) => {
      const far = connect({ host: host!, port: Number(port) })
      for (const end of [near, far]) ends.push(end.on('error', () => {}))
      near.pipe(far).pipe(near)
    })
    await once(wire.listen(0, '127.0.0.1'), 'listening')
    const address = `127.0.0.1:${(wire.address() as { port: number }).port}`
    const client = await ClusterClient.connect({ address })
    for (const end of ends) end.unpipe().pause()
    const late = client.request({ do: 'remove', id: 1 }, 50)
    await assert.rejects(late, { code: 'UNCERTAIN', message: /within 50 ms: remove may be done/ })
    const transfer = client.request({ do: 'transfer', log: 'orders', to: 1 })
    const status = client.request({ do: 'status' })
    for (const end of ends) end.destroy()
    await assert.rejects(transfer, { code: 'UNCERTAIN', message: /^the connection with .* ended/ })
    await assert.rejects(status, { code: 'UNAVAILABLE', message: /^the connection with .* ended/ })
    await assert.rejects(client.request({ do: 'remove', id: 1 }), { code: 'UNAVAILABLE' })
    await client.close()
    wire.close()
    await trio.stop()
  })

  it('may ask for nothing else, and the member goes on', async () => {
    const trio = await Trio.start({}, 1)
    const address = trio.peers[1]!
    const request = (operation: number) => {
      const head = Buffer.alloc(64)
      head[6] = operation
      return head
    }
    for (const [kind, head] of [
      [16, Buffer.alloc(64)],
      [32, request(1)],
      [32, request(3)],
      [32, Buffer.alloc(3)],
      [33, request(6)],
    ] as const) {
      const operator = dialRaw(address, { cluster: 'tidemark' })
      assert.equal(await operator.welcome, 1)
      operator.say(kind, head)
      const text = 'an operator asks for what only members may'
      assert.deepEqual(await operator.refused, { reason: 'garbage', text })
    }
    await using client = await ClusterClient.connect({ address })
    await client.request({ do: 'status' })
    await trio.stop()
  })

  it('goes through TLS by the authority alone', { skip: whyNoCertificates() }, async () => {
    const ours = makeCertificates({ member: 'DNS:one.example', operator: 'DNS:operator.example' })
    const others = makeCertificates({ operator: 'DNS:operator.example' })
    const { ca } = ours
    const trio = await Trio.start(
      { tls: { ...ours.of.get('member')!, ca, names: { 1: 'one.example' } } },
      1,
    )
    const address = trio.peers[1]!
    const client = await ClusterClient.connect({
      address,
      tls: { ...ours.of.get('operator')!, ca },
    })
    await client.request({ do: 'status' })
    await client.close()
    const wrong = { ...others.of.get('operator')!, ca }
    await fails({ address, tls: wrong }, 'INVALID_ARGUMENT', /the certificates do not fit/)
    const mistrust = { ...ours.of.get('operator')!, ca: others.ca }
    await fails({ address, tls: mistrust }, 'INVALID_ARGUMENT', /the certificates do not fit/)
    await fails({ address }, 'UNAVAILABLE', /^nobody answers/)
    const noKey = { ...ours.of.get('operator')!, ca, key: 'no PEM' }
    await fails({ address, tls: noKey }, 'INVALID_ARGUMENT', /^the certificates and the key cannot/)
    await trio.stop()
    const plain = await Trio.start({}, 1)
    const tls = { ...ours.of.get('operator')!, ca }
    const asked = { address: plain.peers[1]!, tls }
    await fails(asked, 'INVALID_ARGUMENT', /the certificates do not fit/)
    await plain.stop()
  })
})
