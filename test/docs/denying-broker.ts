// A server that speaks as much of Kafka's protocol as it takes to refuse a password.
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'

const HANDSHAKE = 17
const AUTHENTICATION_FAILED = 58

export interface DenyingBroker {
  readonly address: string
  close(): void
}

export async function denyingBroker(): Promise<DenyingBroker> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    // Each request is small, and comes in one piece: the client waits for the answer before the next.
    socket.on('data', (request) => socket.write(answerTo(request)))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    address: `127.0.0.1:${port}`,
    close: () => {
      for (const socket of sockets) socket.destroy()
      server.close()
    },
  }
}

function answerTo(request: Buffer): Buffer {
  const id = request.subarray(8, 12)
  const body = request.readInt16BE(4) === HANDSHAKE ? handshakeAnswer() : refusal()
  const answer = Buffer.concat([Buffer.alloc(4), id, body])
  answer.writeInt32BE(answer.length - 4)
  return answer
}

/** No error, and one mechanism. */
function handshakeAnswer(): Buffer {
  const name = Buffer.from('PLAIN')
  const head = Buffer.alloc(8)
  head.writeInt32BE(1, 2)
  head.writeInt16BE(name.length, 6)
  return Buffer.concat([head, name])
}

/** No tags, the error, no message, no bytes, no lifetime, no tags. */
function refusal(): Buffer {
  const body = Buffer.alloc(14)
  body.writeInt16BE(AUTHENTICATION_FAILED, 1)
  body[4] = 1
  return body
}
