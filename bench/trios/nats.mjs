import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { AskedChild } from '../asked.mjs'
import { loadPeer } from '../peers.mjs'
import { freePorts } from '../ports.mjs'
import { findProgram, insist } from './servers.mjs'

/** Three servers of NATS with JetStream, one stream on all, and a client in a process of its own. */
export class NatsTrio {
  #servers = new AskedChild('servers.mjs')
  #client

  static async start(folder, role) {
    const program = findProgram('nats-server')
    loadPeer('nats')
    const ports = await freePorts(6)
    const argumentsOfEach = [0, 1, 2].map((i) => ['-c', configure(folder, i, ports)])
    const trio = new NatsTrio()
    const address = (i) => `127.0.0.1:${ports[i]}`
    const first = new AskedChild('nats-client.mjs')
    try {
      await trio.#servers.ask('start', { program, argumentsOfEach })
      await insist(() => first.ask('start', { address: address(0) }), 'NATS does not answer')
      const leader = await insist(() => first.ask('make'), 'JetStream makes no stream')
      const place = Number(leader.slice(1))
      trio.#client = new AskedChild('nats-client.mjs')
      const chosen = address(role === 'leader' ? place : (place + 1) % 3)
      await trio.#client.ask('start', { address: chosen })
      return trio
    } catch (error) {
      await trio.close()
      throw error
    } finally {
      await first.end()
    }
  }

  ask(what, options) {
    return this.#client.ask(what, options)
  }

  async close() {
    await this.#client?.end()
    await this.#servers.end()
  }
}

function configure(folder, i, ports) {
  const own = join(folder, `n${i}`)
  mkdirSync(own, { recursive: true })
  const routes = ports.slice(3).map((port) => `"nats://127.0.0.1:${port}"`)
  const path = join(own, 'nats.conf')
  writeFileSync(
    path,
    `server_name: n${i}
listen: "127.0.0.1:${ports[i]}"
jetstream { store_dir: "${join(own, 'store')}" }
cluster { name: bench, listen: "127.0.0.1:${ports[i + 3]}", routes: [${routes.join(', ')}] }
`,
  )
  return path
}
