// A member that does nothing but answer operators, as a test likes.
import { nodeClock, nodeRandom } from '#dist/io/index.js'
import { type AdminFace, answerAdmin } from '#dist/quorum/admin.js'
import { OPERATION } from '#dist/quorum/operations.js'
import { Requests } from '#dist/quorum/requests.js'
import { Transport } from '#dist/quorum/transport/index.js'

export async function serveOperators(face: AdminFace): Promise<Transport> {
  const requests = new Requests((...args) => transport.send(...args))
  requests.handle(OPERATION.admin, answerAdmin(face))
  const transport = await Transport.open({
    id: 1,
    cluster: 'tidemark',
    incarnation: Buffer.alloc(16, 1),
    founders: Buffer.alloc(8),
    listen: '127.0.0.1:0',
    peers: new Map(),
    clock: nodeClock,
    random: nodeRandom,
    silenceMs: 2000,
    waitingBytesMax: 2 ** 22,
    onFrame() {},
    onOperatorFrame: (id, frame) => {
      requests.onFrame(id, frame)
    },
    onUp() {},
    onDown() {},
    onUnreachable() {},
    onRefused() {},
  })
  return transport
}
