import { join } from 'node:path'
import type { Random } from '#dist/io/index.js'
import { freePorts } from '../../quorum/members/trio.js'
import { MemberHandle } from './member-handle.js'

/** Three members in three processes. */
export class Members {
  readonly all: readonly MemberHandle[]

  private constructor(all: readonly MemberHandle[]) {
    this.all = all
  }

  static async start(
    build: URL,
    folder: string,
    machines: number,
    snapshotEntries: number,
  ): Promise<Members> {
    const ports = await freePorts(3)
    const peers = Object.fromEntries(ports.map((port, i) => [i + 1, `127.0.0.1:${port}`]))
    const members = ports.map((_, i) => {
      const id = i + 1
      const own = { id, dir: join(folder, String(id)), listen: peers[id]!, peers }
      return new MemberHandle(build, { ...own, timeoutMs: 10_000, machines, snapshotEntries })
    })
    const all = new Members(members)
    try {
      await Promise.all(members.map((member) => member.start()))
    } catch (error) {
      await all.stop()
      throw error
    }
    return all
  }

  /** One that answers, or undefined. */
  someone(random: Random): MemberHandle | undefined {
    const ready = this.all.filter(({ isReady }) => isReady)
    return ready[random.uint32() % Math.max(1, ready.length)]
  }

  /** Whoever leads the log, as far as those say who answer. */
  async leader(): Promise<MemberHandle | undefined> {
    let found: MemberHandle | undefined
    let highest = 0
    for (const member of this.all) {
      const { role, term } = await member.ask('leads', {}).catch(() => ({ role: '', term: 0 }))
      if (role !== 'leader' || term <= highest) continue
      highest = term
      found = member
    }
    return found
  }

  async stop(): Promise<void> {
    await Promise.all(this.all.map((member) => member.end('SIGKILL')))
  }
}
