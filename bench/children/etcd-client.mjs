// Writers of etcd, over one connection with gRPC.
import { randomUUID } from 'node:crypto'
import { loadPeer } from '../peers.mjs'
import { answering } from './answering.mjs'
import { writing } from './writing.mjs'

let client
let written = 0
const prefix = randomUUID().slice(0, 8)

const functions = {
  async start({ address }) {
    const { Etcd3 } = loadPeer('etcd3')
    client = new Etcd3({ hosts: address })
    await client.put('first').value('1')
  },
  ...writing((data) => client.kv.put({ key: Buffer.from(`${prefix}-${written++}`), value: data })),
}

answering(functions, () => client?.close())
