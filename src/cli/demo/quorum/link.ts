import { connect, createServer, type Server, type Socket } from 'node:net'

const LOOPBACK = '127.0.0.1'
/** A port that was given back for a moment can be in use by a connection of somebody else. */
const LISTEN_AGAIN_MS = 50

interface Pair {
  readonly near: Socket
  /** Not there before the connection is passed on. */
  far: Socket | undefined
}

/**
 * The way from one member to another: a proxy that one of them dials instead of the other. When it is cut nothing
 * gets through and nobody is told, as with a cable; when it is healed, what waited goes on.
 */
export class Link {
  readonly #pairs = new Set<Pair>()
  #server: Server | undefined
  #port = 0
  #target: number | undefined
  #isCut = false
  #isClosed = false
  #again: NodeJS.Timeout | undefined

  /** Draws a port; who dials it is refused until the link leads somewhere. */
  static async open(): Promise<Link> {
    const link = new Link()
    await new Promise<void>((resolve, reject) => link.#listen(resolve, reject))
    link.leadNowhere()
    return link
  }

  get address(): string {
    return `${LOOPBACK}:${this.#port}`
  }

  leadTo(port: number): void {
    this.#target = port
    this.#listen()
  }

  /** Who dials it is refused, as by a machine on which nobody listens. */
  leadNowhere(): void {
    this.#target = undefined
    clearTimeout(this.#again)
    this.#server?.close()
    this.#server = undefined
  }

  cut(): void {
    this.#isCut = true
    for (const { near, far } of this.#pairs) {
      near.pause()
      far?.pause()
    }
  }

  heal(): void {
    this.#isCut = false
    for (const pair of this.#pairs) {
      const { near, far } = pair
      // One side has gone meanwhile: now the other learns of it.
      if (near.destroyed || far?.destroyed) this.#end(pair)
      else if (!far) this.#passOn(pair)
      else {
        near.resume()
        far.resume()
      }
    }
  }

  close(): void {
    this.#isClosed = true
    this.leadNowhere()
    for (const pair of this.#pairs) this.#end(pair)
  }

  #listen(done?: () => void, failed?: (error: Error) => void): void {
    if (this.#server || this.#isClosed) return
    const server = createServer((near) => this.#accept(near))
    this.#server = server
    server.on('error', (error) => {
      if (failed) failed(error)
      if (failed || this.#server !== server) return
      this.#server = undefined
      this.#again = setTimeout(() => this.#listen(), LISTEN_AGAIN_MS)
    })
    server.listen(this.#port, LOOPBACK, () => {
      const address = server.address()
      if (address && typeof address === 'object') this.#port = address.port
      done?.()
    })
  }

  #accept(near: Socket): void {
    const pair: Pair = { near, far: undefined }
    this.#pairs.add(pair)
    near.pause()
    near.on('error', () => {})
    near.on('close', () => this.#gone(pair))
    if (!this.#isCut) this.#passOn(pair)
  }

  #passOn(pair: Pair): void {
    const { near } = pair
    if (this.#target === undefined) {
      this.#end(pair)
      return
    }
    const far = connect({ host: LOOPBACK, port: this.#target })
    pair.far = far
    far.setNoDelay(true)
    near.setNoDelay(true)
    far.on('error', () => {})
    far.on('close', () => this.#gone(pair))
    this.#forward(near, far)
    this.#forward(far, near)
    near.resume()
  }

  #forward(from: Socket, to: Socket): void {
    from.on('data', (chunk: Buffer) => {
      if (!to.write(chunk)) from.pause()
    })
    from.on('end', () => to.end())
    to.on('drain', () => {
      if (!this.#isCut) from.resume()
    })
  }

  /** Through a link that is cut even the end of a connection does not get. */
  #gone(pair: Pair): void {
    if (!this.#isCut || this.#isClosed) this.#end(pair)
  }

  #end(pair: Pair): void {
    this.#pairs.delete(pair)
    pair.near.destroy()
    pair.far?.destroy()
  }
}
