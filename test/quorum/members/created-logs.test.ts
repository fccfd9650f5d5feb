import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Member } from 'tidemark/quorum'
import { cloneAll, crashImage, Draws, ForgetfulFiles, seededRandom } from 'tidemark/testing'
import { freePorts, until } from './trio.ts'

const ROUNDS = 5

/** Members whose processes and machines end at any moment, on disks that forget what was not synced. */
class MortalMembers {
  readonly #peers: Record<number, string>
  readonly #draws: Draws
  #disks: ForgetfulFiles[]
  members: Member[] = []
  /** What is told from now on may not be on the disks that are left. */
  isEnding = false

  constructor(ports: readonly number[], draws: Draws) {
    this.#peers = Object.fromEntries(ports.map((port, i) => [i + 1, `127.0.0.1:${port}`]))
    this.#draws = draws
    this.#disks = ports.map(() => new ForgetfulFiles())
  }

  async start(): Promise<void> {
    this.isEnding = false
    const options = { peers: this.#peers, heartbeatMs: 10, electionMs: 80, timeoutMs: 20_000 }
    this.members = await Promise.all(
      this.#disks.map((files, i) => {
        const listen = this.#peers[i + 1]!
        return Member.start({ ...options, id: i + 1, dir: `/members/${i + 1}`, listen, files })
      }),
    )
  }

  /** At this moment all are killed, or all lose their power: what is done from now on is done to nothing. */
  async end(how: 'killed' | 'without power'): Promise<void> {
    this.isEnding = true
    const left = this.#disks.map((disk) => {
      return how === 'killed' ? cloneAll(disk) : crashImage(disk, this.#draws).files
    })
    await this.close()
    this.#disks = left
  }

  async close(): Promise<void> {
    const { members } = this
    this.members = []
    await Promise.all(members.map((member) => member.close()))
  }
}

/** Logs that somebody was told of, and what is in them. */
type Known = Map<string, string[]>

/** Makes one log after the other, as fast as it goes, until its member is gone. */
async function makeLogs(
  mortals: MortalMembers,
  member: Member,
  prefix: string,
  known: Known,
): Promise<void> {
  for (let i = 1; ; i++) {
    const name = `${prefix}-${i}`
    const log = await member.log(name)
    if (mortals.isEnding) return
    const texts: string[] = []
    known.set(name, texts)
    await log.append(name)
    if (mortals.isEnding) return
    texts.push(name)
  }
}

async function checkLogs(member: Member, known: Known): Promise<void> {
  const names = () => member.status().placements.map(({ name }) => name)
  const isThere = (name: string) => names().includes(name)
  const missing = () => [...known.keys()].filter((name) => !isThere(name))
  await until(() => missing().length === 0, 'all logs are there').catch(() => {
    assert.deepEqual(missing(), [], 'logs that were forgotten')
  })
  for (const [name, texts] of known) {
    if (texts.length === 0) continue
    const log = await member.log(name)
    await log.barrier()
    const found: string[] = []
    for await (const { data } of log.read()) found.push(data.toString())
    assert.deepEqual(found, texts, name)
  }
}

describe('a log that was made', { concurrency: 2, timeout: 120_000 }, () => {
  for (const count of [1, 3]) {
    it(`is not forgotten when ${count === 1 ? 'the only member' : 'all three members'} ends`, async (t) => {
      const seed = Math.floor(Math.random() * 2 ** 32)
      t.diagnostic(`seed ${seed}`)
      const draws = new Draws(seededRandom(seed))
      const mortals = new MortalMembers(await freePorts(count), draws)
      t.after(() => mortals.close())
      const known: Known = new Map()
      for (let round = 1; round <= ROUNDS; round++) {
        await mortals.start()
        await checkLogs(draws.pick(mortals.members), known)
        const enough = known.size + draws.integer(1, 4)
        const making = Promise.allSettled(
          mortals.members.map((member, i) => makeLogs(mortals, member, `${round}-${i + 1}`, known)),
        )
        await until(() => known.size >= enough, 'some logs are made')
        await mortals.end(round % 3 === 0 ? 'killed' : 'without power')
        for (const made of await making) {
          if (made.status === 'fulfilled') continue
          const { reason } = made
          assert.match(reason.code, /^(CLOSED|UNAVAILABLE|UNCERTAIN)$/, reason.stack)
        }
      }
      await mortals.start()
      await checkLogs(mortals.members[0]!, known)
      t.diagnostic(`${known.size} logs`)
    })
  }
})
