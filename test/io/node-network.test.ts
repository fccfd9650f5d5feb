import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { describe, it } from 'node:test'
import { type Connection, nodeNetwork, parseAddress } from '#dist/io/index.js'

const NO_TLS = { onTlsFailure: () => assert.fail('there is no TLS') }

describe('an address', () => {
  it('is host:port', () => {
    assert.deepEqual(parseAddress('db-1.example:4101', 'x'), { host: 'db-1.example', port: 4101 })
    assert.deepEqual(parseAddress('[::1]:0', 'x'), { host: '::1', port: 0 })
    for (const bad of ['', 'a', ':1', 'a:', 'a:65536', '::1:4101', 'a b:1', 'a:1:2', 'a:-1']) {
      const message = `the peer is not host:port or [IPv6]:port: ${JSON.stringify(bad)}`
      assert.throws(() => parseAddress(bad, 'the peer'), { code: 'INVALID_ARGUMENT', message })
    }
  })
})

describe('the network', () => {
  it('carries bytes both ways, and says who ended', async () => {
    const told: string[] = []
    const listener = await nodeNetwork.listen('127.0.0.1:0', {
      ...NO_TLS,
      onConnection: (connection) =>
        connection.start({
          onData: (chunk) => connection.write([chunk]),
          onClose: (error) => told.push(`in: ${error?.message ?? 'in order'}`),
        }),
    })
    assert.match(listener.address, /^127\.0\.0\.1:\d+$/)
    const connection = nodeNetwork.connect(listener.address, {})
    await new Promise<void>((resolve) => {
      connection.start({
        onOpen: () => connection.write([Buffer.from('to '), Buffer.from('and fro')]),
        onData: (chunk) => {
          told.push(chunk.toString())
          connection.end()
        },
        onClose: (error) => {
          told.push(`out: ${error?.message ?? 'in order'}`)
          resolve()
        },
      })
    })
    await listener.close()
    assert.deepEqual(told.sort(), ['in: in order', 'out: in order', 'to and fro'])
    assert.equal(connection.isFor('127.0.0.1'), false, 'without TLS nobody is anybody')
  })

  it('sends what is written in one turn together, across microtasks', async () => {
    const chunks: number[] = []
    const server = createServer((socket: Socket) =>
      socket.on('data', (chunk: Buffer) => chunks.push(chunk.length)),
    )
    await once(server.listen(0, '127.0.0.1'), 'listening')
    const { port } = server.address() as { port: number }
    const connection: Connection = nodeNetwork.connect(`127.0.0.1:${port}`, {})
    const write = async () => {
      for (let i = 0; i < 50; i++) {
        connection.write([Buffer.alloc(4), Buffer.alloc(4)])
        await undefined
      }
      connection.end()
    }
    await new Promise<void>((resolve) => {
      connection.start({ onOpen: () => void write(), onData() {}, onClose: () => resolve() })
    })
    server.close()
    assert.deepEqual(chunks, [400])
  })

  it('tells errors of the system', async () => {
    const options = { ...NO_TLS, onConnection() {} }
    const listener = await nodeNetwork.listen('127.0.0.1:0', options)
    await assert.rejects(nodeNetwork.listen(listener.address, options), { code: 'EADDRINUSE' })
    await listener.close()
    const error = await new Promise<Error | undefined>((resolve) => {
      nodeNetwork.connect(listener.address, {}).start({ onData() {}, onClose: resolve })
    })
    assert.equal((error as { code?: string } | undefined)?.code, 'ECONNREFUSED')
  })
})
