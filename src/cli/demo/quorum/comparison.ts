import { Log, type StoredEntry } from '../../../log/index.ts'
import type { LineStream } from '../stream.ts'
import { type Ledger, REFUSED } from './ledger.ts'

/** What was found in the folders of all members. */
export interface Comparison {
  /** Entries that are the same on all of them, byte for byte; those that the quorum put there itself included. */
  readonly same: number
  /** Places at which two of them are not the same. */
  readonly different: number
  /** Acknowledged lines that are at the offset that was given for them, and those that are not. */
  readonly found: number
  readonly lost: number
  readonly twice: number
  /** Lines that stand before one that was sent earlier through the same member. */
  readonly disordered: number
  /** Lines that were never sent, are not as they were sent, or were said to be refused. */
  readonly wrong: number
  /** Lines that are there though nobody was told so. */
  readonly extra: number
}

/** Type of the entries of programs: all others are the quorum's own. */
const TYPE_PLAIN = 1

/** Compares the entries that lie in these folders, each a replica's, below `end`; and with what was acknowledged. */
export async function compareReplicas(
  folders: readonly string[],
  end: number,
  ledger: Ledger,
  lines: LineStream,
): Promise<Comparison> {
  const logs = await Promise.all(folders.map((folder) => Log.open(folder, { replica: true })))
  try {
    const readings = logs.map(({ replica }) => replica.read(0, end)[Symbol.asyncIterator]())
    const audit = new Audit(ledger, lines)
    let same = 0
    let different = 0
    for (;;) {
      const results = await Promise.all(readings.map((reading) => reading.next()))
      const [first, ...others] = results.map(({ done, value }) => (done ? undefined : value))
      if (!first && others.every((other) => !other)) break
      if (first && others.every((other) => other && isSame(first, other))) same++
      else different++
      if (first?.type === TYPE_PLAIN) audit.see(first.offset, first.data)
    }
    return { same, different, ...audit.result() }
  } finally {
    await Promise.all(logs.map((log) => log.close()))
  }
}

function isSame(one: StoredEntry, other: StoredEntry): boolean {
  return (
    one.offset === other.offset &&
    one.type === other.type &&
    one.term === other.term &&
    one.timestamp === other.timestamp &&
    one.count === other.count &&
    Buffer.compare(one.data, other.data) === 0
  )
}

/** Goes along one log, and says of every line whether it may be where it is. */
class Audit {
  readonly #ledger: Ledger
  readonly #lines: LineStream
  readonly #seen: Uint8Array
  /** The highest line so far of each life of a member. */
  readonly #newest = new Map<number, number>()
  #found = 0
  #twice = 0
  #disordered = 0
  #wrong = 0
  #extra = 0

  constructor(ledger: Ledger, lines: LineStream) {
    this.#ledger = ledger
    this.#lines = lines
    this.#seen = new Uint8Array(ledger.sent)
  }

  see(offset: number, data: Buffer): void {
    const number = Number.parseInt(data.toString('latin1', 0, 16), 10)
    const outcome = this.#ledger.outcome(number)
    if (outcome === undefined || outcome === REFUSED || !data.equals(this.#lines.line(number))) {
      this.#wrong++
      return
    }
    if (this.#seen[number] === 1) {
      this.#twice++
      return
    }
    this.#seen[number] = 1
    if (outcome === offset) this.#found++
    else if (outcome < 0) this.#extra++
    const life = this.#ledger.life(number)
    if (number < (this.#newest.get(life) ?? -1)) this.#disordered++
    else this.#newest.set(life, number)
  }

  result(): Omit<Comparison, 'same' | 'different'> {
    return {
      found: this.#found,
      lost: this.#ledger.acknowledged - this.#found,
      twice: this.#twice,
      disordered: this.#disordered,
      wrong: this.#wrong,
      extra: this.#extra,
    }
  }
}
