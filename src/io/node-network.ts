import type { AddressInfo, Server, Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { type Address, formatAddress, parseAddress } from './address.ts'
import type {
  Connection,
  ConnectionEvents,
  ConnectOptions,
  Listener,
  ListenOptions,
  Network,
  TlsCredentials,
  TlsProblem,
} from './network.ts'

// The network on node:net and node:tls. Small writes leave at once (no Nagle), but those of one turn together.

// Both modules are loaded when a network is first used: they would cost every import of the library 14 ms.
const net = () => process.getBuiltinModule('node:net')
const tlsModule = () => process.getBuiltinModule('node:tls')

/** How long the other side may take to get through TLS, and how many may be at it; the oldest makes room. */
const TLS_MS_MAX = 5000
const TLS_UNDER_WAY_MAX = 64

/** Both sides verify each other; whether a certificate is for the right name, the users of the port ask. */
function tlsOptions({ cert, key, ca }: TlsCredentials) {
  return {
    cert,
    key,
    ca,
    requestCert: true,
    rejectUnauthorized: true,
    minVersion: 'TLSv1.2',
  } as const
}

/** Up to so many bytes are copied into one piece. */
const JOINED_BYTES_MAX = 32 * 1024

class NodeConnection implements Connection {
  readonly remote: string
  readonly #socket: Socket
  #error: Error | undefined
  /** What was said in this turn. */
  #parts: Uint8Array[] = []
  #partBytes = 0

  constructor(socket: Socket, remote: string) {
    this.#socket = socket
    this.remote = remote
    socket.setNoDelay(true)
    // Also before anybody has started: an error without a listener ends the process.
    socket.on('error', (error) => {
      this.#error ??= error
    })
  }

  get waitingBytes(): number {
    return this.#socket.writableLength + this.#partBytes
  }

  start(events: ConnectionEvents): void {
    const socket = this.#socket
    if (events.onOpen) {
      const event = isTls(socket) ? 'secureConnect' : 'connect'
      socket.once(event, () => events.onOpen?.())
    }
    socket.on('data', (chunk: Buffer) => events.onData(chunk))
    socket.once('close', () => events.onClose(this.#error))
    // What was gone before the start has had its event.
    if (socket.closed) process.nextTick(() => events.onClose(this.#error))
  }

  write(parts: readonly Uint8Array[]): void {
    if (!this.#socket.writable) return
    // When no microtask is left: then whoever had something to say in this turn has said it.
    if (this.#parts.length === 0) queueMicrotask(() => process.nextTick(() => this.#flush()))
    for (const part of parts) {
      if (part.length === 0) continue
      this.#parts.push(part)
      this.#partBytes += part.length
    }
  }

  isFor(name: string): boolean {
    if (!isTls(this.#socket) || !this.#socket.authorized) return false
    const certificate = this.#socket.getPeerCertificate()
    return tlsModule().checkServerIdentity(name, certificate) === undefined
  }

  end(): void {
    this.#flush()
    this.#socket.end()
  }

  destroy(): void {
    this.#socket.destroy()
  }

  /** Gives what was said to the socket: small parts as one, which costs less than to write each. */
  #flush(): void {
    const parts = this.#parts
    const bytes = this.#partBytes
    this.#parts = []
    this.#partBytes = 0
    const socket = this.#socket
    if (parts.length === 0 || !socket.writable) return
    if (bytes <= JOINED_BYTES_MAX) {
      socket.write(parts.length === 1 ? parts[0]! : Buffer.concat(parts, bytes))
      return
    }
    socket.cork()
    for (const part of parts) socket.write(part)
    socket.uncork()
  }
}

function isTls(socket: Socket): socket is TLSSocket {
  return 'encrypted' in socket
}

function remoteOf({ remoteAddress, remotePort }: Socket): string | undefined {
  if (remoteAddress === undefined || remotePort === undefined) return undefined
  return formatAddress({ host: remoteAddress, port: remotePort })
}

/** Connections that came in and are not through TLS, by the address that they came from, oldest first. */
class Unsecured {
  readonly #sockets = new Map<string, Socket>()

  add(socket: Socket): void {
    const remote = remoteOf(socket)
    if (remote === undefined) return
    this.#sockets.set(remote, socket)
    // Later than the failure is told, which looks for the address here.
    socket.once('close', () => setImmediate(() => this.remove(remote)))
    if (this.#sockets.size > TLS_UNDER_WAY_MAX) this.#sockets.values().next().value?.destroy()
  }

  remove(remote: string | undefined): void {
    if (remote !== undefined) this.#sockets.delete(remote)
  }

  /** Whose connection has just been cut: the socket of TLS itself forgets its address with that. */
  remoteOfCut(): string {
    for (const [remote, socket] of this.#sockets) {
      if (!socket.destroyed) continue
      this.remove(remote)
      return remote
    }
    return 'unknown'
  }

  destroyAll(): void {
    for (const socket of this.#sockets.values()) socket.destroy()
  }
}

function serverOf(
  { tls, onConnection, onTlsFailure }: ListenOptions,
  unsecured: Unsecured,
): Server {
  const accept = (socket: Socket) => {
    const remote = remoteOf(socket)
    unsecured.remove(remote)
    if (remote === undefined) socket.destroy()
    else onConnection(new NodeConnection(socket, remote))
  }
  if (!tls) return net().createServer(accept)
  const server = tlsModule().createServer(
    { ...tlsOptions(tls), handshakeTimeout: TLS_MS_MAX },
    accept,
  )
  server.on('connection', (socket: Socket) => unsecured.add(socket))
  server.on('tlsClientError', (error, socket) => {
    const remote = remoteOf(socket) ?? unsecured.remoteOfCut()
    unsecured.remove(remote)
    socket.destroy()
    const failure = failureOf(error, socket)
    if (failure) onTlsFailure(remote, failure.problem, failure.why)
  })
  return server
}

/** Node only says that the connection was reset where it has cut it for its certificate. */
function failureOf(
  error: Error & { reason?: unknown },
  socket: TLSSocket,
): { problem: TlsProblem; why: string } | undefined {
  if (socket.authorizationError) {
    return { problem: 'certificate', why: String(socket.authorizationError) }
  }
  const why = error.reason
  if (typeof why !== 'string') return undefined
  return { problem: /certificate|unknown ca/i.test(why) ? 'certificate' : 'garbage', why }
}

function listening(server: Server, { host, port }: Address): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host, port }, () => {
      server.off('error', reject)
      // Out of descriptors, say: those that wait to be let in wait on.
      server.on('error', () => {})
      resolve()
    })
  })
}

export const nodeNetwork: Network = {
  async listen(address: string, options: ListenOptions): Promise<Listener> {
    const at = parseAddress(address, 'the address to listen at')
    const unsecured = new Unsecured()
    const server = serverOf(options, unsecured)
    await listening(server, at)
    const { port } = server.address() as AddressInfo
    return {
      address: formatAddress({ host: at.host, port }),
      close: () =>
        new Promise((resolve) => {
          server.close(() => resolve())
          // They have not been handed out, so nobody else can end them.
          unsecured.destroyAll()
        }),
    }
  },

  connect(address: string, { tls, serverName }: ConnectOptions): Connection {
    const { host, port } = parseAddress(address, 'the address to connect to')
    if (!tls) return new NodeConnection(net().connect({ host, port }), address)
    const name = serverName ?? host
    const socket = tlsModule().connect({
      ...tlsOptions(tls),
      host,
      port,
      // An IP address is no name that may be asked for.
      servername: net().isIP(name) ? '' : name,
      // The name is checked by `isFor`, so that the other side can be told what is wrong.
      checkServerIdentity: () => undefined,
    })
    return new NodeConnection(socket, address)
  },
}
