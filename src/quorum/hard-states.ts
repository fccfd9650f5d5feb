import { TidemarkError } from '../base/index.ts'
import { Log, type LogOptions } from '../log/index.ts'
import type { HardState, Point } from './core/index.ts'

/** After so many records the latest of each log are written once more, and what is before is forgotten. */
const RECORDS_MAX = 512

interface HardRecord {
  readonly log: string
  readonly hard: HardState
}

/**
 * Terms, votes and members of all logs of a member, in one small log of their own, so that an election in
 * many logs at once is few syncs. The last record of a log counts.
 */
export class HardStates {
  readonly #log: Log
  readonly #states = new Map<string, HardState>()
  #sinceCompact = 0

  private constructor(log: Log) {
    this.#log = log
  }

  /**
   * Opens or creates the log of hard states in a folder. Rejects as `Log.open` does, and with CORRUPT if a
   * record is none: without its vote a replica must not take part.
   */
  static async open(folder: string, options: LogOptions = {}): Promise<HardStates> {
    const states = new HardStates(await Log.open(folder, options))
    for await (const { offset, data } of states.#log.read({})) {
      const { log, hard } = parse(data.toString(), offset)
      states.#states.set(log, hard)
      states.#sinceCompact++
    }
    return states
  }

  get(log: string): HardState | undefined {
    return this.#states.get(log)
  }

  /** Resolves when the state is on the disk. */
  async save(log: string, hard: HardState): Promise<void> {
    this.#states.set(log, hard)
    await this.#log.append(JSON.stringify({ log, hard } satisfies HardRecord))
    if (++this.#sinceCompact >= RECORDS_MAX + this.#states.size) await this.#compact()
  }

  async #compact(): Promise<void> {
    this.#sinceCompact = this.#states.size
    const records = [...this.#states].map(([log, hard]) => JSON.stringify({ log, hard }))
    const { first } = await this.#log.appendBatch(records)
    await this.#log.trim(first)
  }

  close(): Promise<void> {
    return this.#log.close()
  }
}

function parse(text: string, offset: number): HardRecord {
  try {
    const record = JSON.parse(text) as HardRecord
    if (typeof record.log === 'string' && isHardState(record.hard)) return record
  } catch {
    // Said below.
  }
  throw new TidemarkError('CORRUPT', `the hard state at offset ${offset} cannot be read`, {
    offset,
  })
}

function isHardState({ term, vote, promised, configurations }: HardState): boolean {
  const isKept = configurations.every(({ point, members: { voters, outgoing, learners } }) => {
    return isPoint(point) && [...voters, ...outgoing, ...learners].every(isNumber)
  })
  return isKept && isNumber(term) && isNumber(vote) && (promised === undefined || isPoint(promised))
}

function isPoint({ term, mark }: Point): boolean {
  return isNumber(term) && isNumber(mark)
}

function isNumber(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0
}
