// Counters that survive a crash: each change is appended before it is made, and the Map is what the log
// says when it is read from its beginning. Run it several times with one folder and see it count on:
//   node build/examples/crash-safe-counter.js ./counters
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { json, Log } from 'tidemark'

/** A change to a counter: the command that is in the log. */
interface Add {
  readonly name: string
  readonly amount: number
}

const codec = json<Add>()

class Counters {
  readonly #log: Log<Add, Add>
  readonly #values = new Map<string, number>()

  private constructor(log: Log<Add, Add>) {
    this.#log = log
  }

  /** Opens the log and rebuilds the counters from it. */
  static async open(folder: string): Promise<Counters> {
    const counters = new Counters(await Log.open(folder, { codec }))
    for await (const entry of counters.#log.read()) counters.#apply(entry.data)
    return counters
  }

  /** Resolves with the new value when the change can no longer be lost. */
  async add(name: string, amount: number): Promise<number> {
    const command = { name, amount }
    await this.#log.append(command)
    return this.#apply(command)
  }

  /** How many changes there were in all the life of the log. */
  get changes(): number {
    return this.#log.highWaterMark
  }

  get values(): ReadonlyMap<string, number> {
    return this.#values
  }

  close(): Promise<void> {
    return this.#log.close()
  }

  #apply({ name, amount }: Add): number {
    const value = (this.#values.get(name) ?? 0) + amount
    this.#values.set(name, value)
    return value
  }
}

const folder = process.argv[2] ?? mkdtempSync(join(tmpdir(), 'counters-'))
const counters = await Counters.open(folder)
console.log(`rebuilt from ${counters.changes} changes:`, Object.fromEntries(counters.values))

// A hundred at once share a few syncs.
await Promise.all(Array.from({ length: 100 }, () => counters.add('visits', 1)))
console.log(`visits: ${counters.values.get('visits')}`)
console.log(`stock: ${await counters.add('stock', -3)}`)
await counters.close()
