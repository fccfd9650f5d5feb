import { createServer } from 'node:net'

/** Ports of this machine that were free a moment ago. */
export async function freePorts(count) {
  const servers = Array.from({ length: count }, () => createServer())
  const listening = servers.map(
    (server) => new Promise((done) => server.listen(0, '127.0.0.1', done)),
  )
  await Promise.all(listening)
  const ports = servers.map((server) => server.address().port)
  await Promise.all(servers.map((server) => new Promise((done) => server.close(done))))
  return ports
}
