import { join } from 'node:path'
import { AskedChild } from '../asked.mjs'
import { loadPeer } from '../peers.mjs'
import { freePorts } from '../ports.mjs'
import { findProgram, insist } from './servers.mjs'

/** Three servers of etcd as they are by default, and a client in a process of its own. */
export class EtcdTrio {
  #servers = new AskedChild('servers.mjs')
  #client

  /** The client is connected to the server that leads, or to one that follows. */
  static async start(folder, role) {
    const program = findProgram('etcd')
    const { Etcd3 } = loadPeer('etcd3')
    const ports = await freePorts(6)
    const url = (i) => `http://127.0.0.1:${ports[i]}`
    const cluster = [0, 1, 2].map((i) => `s${i}=${url(i + 3)}`).join(',')
    const argumentsOfEach = [0, 1, 2].map((i) => [
      ...['--name', `s${i}`, '--data-dir', join(folder, `s${i}`), '--logger', 'zap'],
      ...['--listen-client-urls', url(i), '--advertise-client-urls', url(i)],
      ...['--listen-peer-urls', url(i + 3), '--initial-advertise-peer-urls', url(i + 3)],
      ...['--initial-cluster', cluster, '--initial-cluster-state', 'new'],
    ])
    const trio = new EtcdTrio()
    try {
      await trio.#servers.ask('start', { program, argumentsOfEach })
      const hosts = [0, 1, 2].map(url)
      const leads = await insist(() => leadersAmong(Etcd3, hosts), 'etcd has no leader')
      const address = hosts[leads.indexOf(role === 'leader')]
      trio.#client = new AskedChild('etcd-client.mjs')
      await insist(() => trio.#client.ask('start', { address }), 'etcd does not answer')
      return trio
    } catch (error) {
      await trio.close()
      throw error
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

/** For each host, whether it leads. */
async function leadersAmong(Etcd3, hosts) {
  const leads = []
  for (const host of hosts) {
    const client = new Etcd3({ hosts: host })
    try {
      const { leader, header } = await client.maintenance.status()
      leads.push(leader === header.member_id)
    } finally {
      client.close()
    }
  }
  if (!leads.includes(true)) throw new Error('nobody leads')
  return leads
}
