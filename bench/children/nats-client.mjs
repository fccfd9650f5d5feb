// Writers of a JetStream stream with three replicas.
import { loadPeer } from '../peers.mjs'
import { answering } from './answering.mjs'
import { writing } from './writing.mjs'

let connection
let stream

const functions = {
  async start({ address }) {
    const { connect } = loadPeer('nats')
    connection = await connect({ servers: address })
    stream = connection.jetstream({ timeout: 30_000 })
  },
  /** Resolves with the name of the server that leads the stream. What is asked before the servers have a leader is lost. */
  async make() {
    const { StorageType } = loadPeer('nats')
    const manager = await connection.jetstreamManager({ timeout: 2_000 })
    await manager.streams.add({
      name: 'bench',
      subjects: ['bench'],
      num_replicas: 3,
      storage: StorageType.File,
    })
    const { cluster } = await manager.streams.info('bench')
    if (cluster.leader === undefined) throw new Error('nobody leads the stream yet')
    return cluster.leader
  },
  ...writing((data) => stream.publish('bench', data)),
}

answering(functions, () => connection?.close())
