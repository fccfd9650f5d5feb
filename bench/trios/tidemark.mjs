import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { AskedChild } from '../asked.mjs'
import { freePorts } from '../ports.mjs'

/** Three members in three processes. */
export class TidemarkTrio {
  members = []

  static async start(folder, execArgv = []) {
    const trio = new TidemarkTrio()
    const ports = await freePorts(3)
    const peers = Object.fromEntries(ports.map((port, i) => [i + 1, `127.0.0.1:${port}`]))
    try {
      for (const id of [1, 2, 3]) {
        const member = new AskedChild('member.mjs', execArgv)
        trio.members.push(member)
        await member.ask('start', { id, dir: join(folder, String(id)), listen: peers[id], peers })
      }
      return trio
    } catch (error) {
      await trio.close()
      throw error
    }
  }

  /** Opens one log on all members; then one of them can be asked to write to it. */
  async open(name) {
    await Promise.all(this.members.map((member) => member.ask('open', { name })))
  }

  /** The member that leads the log, or one that follows. */
  async member(role) {
    for (;;) {
      const leader = await this.members[0].ask('leader')
      if (leader !== undefined) return this.members[role === 'leader' ? leader - 1 : leader % 3]
      await delay(50)
    }
  }

  close() {
    return Promise.all(this.members.map((member) => member.end()))
  }
}
