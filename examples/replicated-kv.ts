// A replicated key-value service: a map on a log that three members keep. In three terminals, with id 1, 2 and 3:
//   node build/examples/replicated-kv.js ./kv 1
//   curl -X PUT -d 'tea' localhost:8001/drink; curl localhost:8002/drink?linearizable
// Kill any of them with -9: the others go on, and it catches up when it is started again. Without an id all
// three run in this process, and are tried out.
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { TidemarkError } from 'tidemark'
import { DurableMap } from 'tidemark/machine'
import { Member } from 'tidemark/quorum'

const PORTS = { member: 4100, http: 8000 }

type Answer = readonly [status: number, body: string]

async function answer(map: DurableMap<string, string>, request: IncomingMessage): Promise<Answer> {
  const url = new URL(request.url ?? '/', 'http://localhost')
  const key = url.pathname.slice(1)
  if (request.method === 'PUT') {
    await map.set(key, await text(request)) // on the disks of two of three
    return [200, 'set\n']
  }
  if (request.method === 'DELETE') return (await map.delete(key)) ? [200, 'gone\n'] : [404, '']
  if (request.method !== 'GET') return [405, '']
  // What has come to this member; or, asking the others, everything that anyone was told of.
  const isLinearizable = url.searchParams.has('linearizable')
  const value = isLinearizable ? await map.read(key) : map.get(key)
  return value === undefined ? [404, ''] : [200, value]
}

async function serve(folder: string, id: number, ports = PORTS) {
  const peers = Object.fromEntries(
    [1, 2, 3].map((peer) => [peer, `127.0.0.1:${ports.member + peer}`]),
  )
  const member = await Member.start({ id, dir: join(folder, `${id}`), listen: peers[id]!, peers })
  const log = await member.log('map') // waits for a quorum the first time
  const map = await DurableMap.open<string, string>(log)
  const server = createServer((request, response) => {
    void answer(map, request)
      .catch((error: unknown): Answer => {
        // No quorum: certainly not done. UNCERTAIN: it may be done, ask again.
        const code = error instanceof TidemarkError ? error.code : 'BUG'
        return [code === 'INVALID_ARGUMENT' ? 400 : 503, `${code}\n`]
      })
      .then(([status, body]) => response.writeHead(status).end(body))
  })
  const port = ports.http === 0 ? 0 : ports.http + id
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  const close = async () => {
    server.closeAllConnections()
    server.close()
    await map.close() // first the map, then the log, then the member
    await log.close()
    await member.close()
  }
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close }
}

/** Three in one process. */
async function tryOut(folder: string): Promise<void> {
  const ports = { member: 20_000 + (process.pid % 10_000), http: 0 }
  const start = (id: number) => serve(folder, id, ports)
  const [one, two, three] = await Promise.all([start(1), start(2), start(3)])
  const put = (url: string, value: string) => fetch(`${url}/drink`, { method: 'PUT', body: value })
  const get = async (url: string) => (await fetch(`${url}/drink?linearizable`)).text()
  await put(one.url, 'tea')
  console.log(`written on 1, read on 2: ${await get(two.url)}`)
  await three.close()
  await put(two.url, 'coffee')
  console.log(`3 is away, written on 2, read on 1: ${await get(one.url)}`)
  const again = await start(3)
  console.log(`3 is back, and has: ${await get(again.url)}`)
  const { status } = await fetch(`${again.url}/drink`, { method: 'DELETE' })
  const left = await fetch(`${one.url}/drink?linearizable`)
  console.log(`deleted on 3: ${status}, read on 1: ${left.status}`)
  await Promise.all([one.close(), two.close(), again.close()])
}

const [folder = './kv', id] = process.argv.slice(2)
if (id === undefined) await tryOut(folder)
else {
  const { url, close } = await serve(folder, Number(id))
  console.log(`member ${id} serves at ${url}`)
  process.once('SIGINT', close).once('SIGTERM', close)
}
