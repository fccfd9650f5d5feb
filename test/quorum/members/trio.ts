// Three members in one process, over real sockets and real files.
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Member, type MemberOptions } from 'tidemark/quorum'

/** Below those that systems give to connections: a port of a member that is down would be taken by one now and then. */
const PORT_MIN = 10_000
const PORT_MAX = 32_000

/** Ports that were free a moment ago. */
export async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>()
  while (ports.size < count) {
    const port = PORT_MIN + Math.floor(Math.random() * (PORT_MAX - PORT_MIN))
    if (await isFree(port)) ports.add(port)
  }
  return [...ports]
}

function isFree(port: number): Promise<boolean> {
  const server = createServer()
  return new Promise((resolve) => {
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}

/** How often other ports are tried. */
const TRIES = 3

export class Trio {
  readonly dir = mkdtempSync(join(tmpdir(), 'tidemark-trio-'))
  readonly members = new Map<number, Member>()
  readonly peers: Record<number, string>
  readonly #options: Partial<MemberOptions>

  private constructor(peers: Record<number, string>, options: Partial<MemberOptions>) {
    this.peers = peers
    this.#options = options
  }

  static async start(options: Partial<MemberOptions> = {}, count = 3): Promise<Trio> {
    for (let left = TRIES; ; left--) {
      const ports = await freePorts(count)
      const peers = Object.fromEntries(ports.map((port, i) => [i + 1, `127.0.0.1:${port}`]))
      const short = { heartbeatMs: 20, electionMs: 200, timeoutMs: 20_000 }
      const trio = new Trio(peers, { ...short, ...options })
      const starts = await Promise.allSettled(ports.map((_, i) => trio.startMember(i + 1)))
      const failed = starts.find(({ status }) => status === 'rejected') as PromiseRejectedResult
      if (!failed) return trio
      await trio.stop()
      // Another test has been given one of the ports at the same moment.
      if (left === 0 || !/EADDRINUSE/.test(String(failed.reason))) throw failed.reason
    }
  }

  async startMember(id: number, own: Partial<MemberOptions> = {}): Promise<Member> {
    const dir = join(this.dir, String(id))
    const options = {
      id,
      dir,
      listen: this.peers[id]!,
      peers: { ...this.peers },
      ...this.#options,
      ...own,
    }
    const member = await Member.start(options)
    this.members.set(id, member)
    return member
  }

  /** Starts a member that none of the others knows yet. */
  async startJoiner(id: number, own: Partial<MemberOptions> = {}): Promise<Member> {
    await this.portFor(id)
    return this.startMember(id, { join: true, ...own })
  }

  async portFor(id: number): Promise<number> {
    const [port] = await freePorts(1)
    this.peers[id] = `127.0.0.1:${port}`
    return port!
  }

  async stopMember(id: number): Promise<void> {
    const member = this.members.get(id)
    this.members.delete(id)
    await member?.close()
  }

  member(id: number): Member {
    const member = this.members.get(id)
    if (!member) throw new Error(`member ${id} is not running`)
    return member
  }

  async stop(): Promise<void> {
    await Promise.all([...this.members.keys()].map((id) => this.stopMember(id)))
    rmSync(this.dir, { recursive: true })
  }
}

/** Resolves when `isSo`, or throws after a while. */
export async function until(isSo: () => boolean, what: string, ms = 15_000): Promise<void> {
  const end = performance.now() + ms
  while (!isSo()) {
    if (performance.now() > end) throw new Error(`${what}: not within ${ms} ms`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
