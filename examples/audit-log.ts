// An audit log: entries are only added, and each holds the hash of the one before it, so that nobody can
// change, remove or insert one without all that follow telling. Opening it replays it and checks the chain.
//   node build/examples/audit-log.js ./audit ada 'opened the vault'
// The checksums of a log find accidents; this finds intent. What it cannot find by itself is an end that was
// cut off, or a chain that was made anew from some entry on: keep the last hash in another place and compare.
import { createHash } from 'node:crypto'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Log, text } from 'tidemark'

interface Entry {
  readonly who: string
  readonly what: string
  /** Hash of the entry before, as it stands in the log. */
  readonly previous: string
}

/** What the first entry has in the place of a hash. */
const BEGINNING = '0'.repeat(64)

/** Of the very text in the log, so that no reading and writing again can change it. */
function hashOf(entry: string): string {
  return createHash('sha256').update(entry).digest('hex')
}

class AuditLog {
  readonly #log: Log<string, string>
  #last: string
  #turn: Promise<unknown> = Promise.resolve()

  private constructor(log: Log<string, string>, last: string) {
    this.#log = log
    this.#last = last
  }

  /** Throws if the chain is broken. */
  static async open(folder: string): Promise<AuditLog> {
    // 'always' is the default: what is acknowledged is on the disk. There is no trim and no retention.
    const log = await Log.open(folder, { codec: text })
    let last = BEGINNING
    try {
      for await (const { offset, data } of log.read({ from: 0 })) {
        const { previous } = JSON.parse(data) as Entry
        if (previous !== last) throw new Error(`the chain is broken before entry ${offset}`)
        last = hashOf(data)
      }
    } catch (error) {
      await log.close()
      throw error
    }
    return new AuditLog(log, last)
  }

  /** Hash of the last entry: it stands for all of them. */
  get last(): string {
    return this.#last
  }

  get count(): number {
    return this.#log.highWaterMark
  }

  /** Resolves with the entry's offset when it can no longer be lost. */
  record(who: string, what: string): Promise<number> {
    // One after the other: each needs the hash of the one before, and that only counts once it is kept.
    const turn = this.#turn.then(async () => {
      const entry = JSON.stringify({ who, what, previous: this.#last } satisfies Entry)
      const offset = await this.#log.append(entry)
      this.#last = hashOf(entry)
      return offset
    })
    this.#turn = turn.catch(() => {})
    return turn
  }

  close(): Promise<void> {
    return this.#log.close()
  }
}

const folder = process.argv[2] ?? mkdtempSync(join(tmpdir(), 'audit-'))
const [who = 'ada', what = 'looked'] = process.argv.slice(3)
try {
  const audit = await AuditLog.open(folder)
  console.log(`${audit.count} entries are sound`)
  console.log(`entry ${await audit.record(who, what)}: ${who} ${what}`)
  console.log(`keep this elsewhere: ${audit.last}`)
  await audit.close()
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
}
