// The network between the members: a proxy for each way from one to another, each direction of which is cut or slowed.
import { connect, createServer, type Server, type Socket } from 'node:net'

const LOOPBACK = '127.0.0.1'
/** What may be on its way in one direction of a connection. */
const FLIGHT_BYTES_MAX = 1024 * 1024

/** What holds for all that goes from one member to another, whoever has dialled. */
export interface Flow {
  /** Nothing arrives, and nobody is told, as with a cable: what waits goes on afterwards. */
  isCut: boolean
  delayMs: number
  bytesPerSecond: number
}

const FREE: Readonly<Flow> = { isCut: false, delayMs: 0, bytesPerSecond: Number.POSITIVE_INFINITY }

interface Parcel {
  /** Undefined: the end of the connection. */
  readonly chunk: Buffer | undefined
  readonly dueAt: number
}

/** One direction of one connection. */
class Stream {
  readonly #from: Socket
  readonly #to: Socket
  readonly #flow: Flow
  readonly #queue: Parcel[] = []
  #bytes = 0
  #lastDue = 0
  #timer: NodeJS.Timeout | undefined
  #isBlocked = false

  constructor(from: Socket, to: Socket, flow: Flow) {
    this.#from = from
    this.#to = to
    this.#flow = flow
    from.on('data', (chunk: Buffer) => this.#put(chunk))
    from.on('close', () => this.#put(undefined))
    to.on('drain', () => {
      this.#isBlocked = false
      this.pump()
    })
  }

  /** Sends on what is due. */
  pump(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    while (!this.#flow.isCut && !this.#isBlocked) {
      const parcel = this.#queue[0]
      if (!parcel) return
      const wait = parcel.dueAt - performance.now()
      if (wait > 0) {
        this.#timer = setTimeout(() => this.pump(), wait)
        return
      }
      this.#queue.shift()
      if (parcel.chunk === undefined) {
        this.#to.destroy()
        return
      }
      this.#bytes -= parcel.chunk.length
      if (this.#bytes < FLIGHT_BYTES_MAX && !this.#from.destroyed) this.#from.resume()
      if (!this.#to.destroyed && !this.#to.write(parcel.chunk)) this.#isBlocked = true
    }
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#queue.length = 0
  }

  #put(chunk: Buffer | undefined): void {
    const bytes = chunk?.length ?? 0
    const { delayMs, bytesPerSecond } = this.#flow
    const sentAt = Math.max(performance.now() + delayMs, this.#lastDue)
    this.#lastDue = sentAt + (1000 * bytes) / bytesPerSecond
    this.#queue.push({ chunk, dueAt: this.#lastDue })
    this.#bytes += bytes
    if (this.#bytes >= FLIGHT_BYTES_MAX) this.#from.pause()
    this.pump()
  }
}

/** The way by which one member dials another. */
class Wire {
  readonly #target: number
  readonly #there: Flow
  readonly #back: Flow
  readonly #sockets = new Set<Socket>()
  readonly #streams = new Set<Stream>()
  readonly #server: Server

  constructor(target: number, there: Flow, back: Flow) {
    this.#target = target
    this.#there = there
    this.#back = back
    this.#server = createServer((near) => this.#accept(near))
  }

  listen(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(0, LOOPBACK, resolve)
    })
  }

  get address(): string {
    return `${LOOPBACK}:${(this.#server.address() as { port: number }).port}`
  }

  pump(): void {
    for (const stream of this.#streams) stream.pump()
  }

  /** Ends all connections, with both sides told. */
  reset(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy()
  }

  close(): void {
    this.#server.close()
    this.reset()
  }

  #accept(near: Socket): void {
    const far = connect({ host: LOOPBACK, port: this.#target })
    const streams = [new Stream(near, far, this.#there), new Stream(far, near, this.#back)] as const
    for (const stream of streams) this.#streams.add(stream)
    for (const socket of [near, far]) {
      this.#sockets.add(socket)
      socket.setNoDelay(true)
      socket.on('error', () => {})
      socket.on('close', () => {
        this.#sockets.delete(socket)
        if (this.#sockets.has(near) || this.#sockets.has(far)) return
        for (const stream of streams) {
          stream.stop()
          this.#streams.delete(stream)
        }
      })
    }
  }
}

/** Both directions between each two members, by the ports at which they listen. */
export class Network {
  /** Something is wrong with it already. */
  isTaken = false
  readonly #flows = new Map<string, Flow>()
  readonly #wires = new Map<string, Wire>()
  readonly #ports = new Map<number, number>()

  /** Where `from` finds `to`, which listens at this port of the loopback. */
  async open(from: number, to: number, port: number): Promise<string> {
    this.#ports.set(to, port)
    const key = `${from}>${to}`
    let wire = this.#wires.get(key)
    if (!wire) {
      wire = new Wire(port, this.flow(from, to), this.flow(to, from))
      this.#wires.set(key, wire)
      await wire.listen()
    }
    return wire.address
  }

  flow(from: number, to: number): Flow {
    const key = `${from}>${to}`
    const flow = this.#flows.get(key) ?? { ...FREE }
    this.#flows.set(key, flow)
    return flow
  }

  /** Between all of one side and all of the other, both ways, or only from the first to the second. */
  cut(side: readonly number[], other: readonly number[], isOneWay = false): void {
    for (const a of side) {
      for (const b of other) {
        this.flow(a, b).isCut = true
        if (!isOneWay) this.flow(b, a).isCut = true
      }
    }
  }

  heal(): void {
    for (const flow of this.#flows.values()) Object.assign(flow, FREE)
    for (const wire of this.#wires.values()) wire.pump()
  }

  /** Ends all connections of a member, which both sides see. */
  reset(id: number): void {
    for (const [key, wire] of this.#wires) if (key.split('>').includes(String(id))) wire.reset()
  }

  close(): void {
    for (const wire of this.#wires.values()) wire.close()
  }
}
