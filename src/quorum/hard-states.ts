import { invariant, TidemarkError } from '../base/index.ts'
import { Log, type LogOptions } from '../log/index.ts'
import type { HardState, Point } from './core/index.ts'

/** After so many records the latest of each log are written once more, and what is before is forgotten. */
const RECORDS_MAX = 512

/** Who a member is. The incarnation is drawn when its folder is made: a folder that was wiped is another member. */
export interface Identity {
  readonly cluster: string
  readonly id: number
  /** 16 bytes, in hexadecimal digits. */
  readonly incarnation: string
  /** The members that the cluster was made with, in order; nobody, of a member that came later. */
  readonly voters: readonly number[]
}

/** Another member, as it was when it was met first. */
interface KnownPeer {
  readonly id: number
  readonly incarnation: string
}

/** One of five: the state of a log, that there is none any more, who the member is, who another is, or which cluster it is. */
interface HardRecord {
  readonly log?: string
  readonly hard?: HardState | null
  readonly member?: Identity
  readonly peer?: KnownPeer
  readonly founders?: string
}

/**
 * Terms, votes and members of all logs of a member, in one small log of their own, so that an election in
 * many logs at once is few syncs. The last record of a log counts.
 */
export class HardStates {
  #log: Log
  readonly #folder: string
  readonly #options: LogOptions
  #hasFailed = false
  #reviving: Promise<void> | undefined
  readonly #states = new Map<string, HardState>()
  #identity: Identity | undefined
  readonly #peers = new Map<number, string>()
  #founders: string | undefined
  #sinceCompact = 0

  private constructor(log: Log, folder: string, options: LogOptions) {
    this.#log = log
    this.#folder = folder
    this.#options = options
  }

  /**
   * Opens or creates the log of hard states in a folder. Rejects as `Log.open` does, and with CORRUPT if a
   * record is none: without its vote a replica must not take part.
   */
  static async open(folder: string, options: LogOptions = {}): Promise<HardStates> {
    const log = await Log.open(folder, options)
    try {
      const states = new HardStates(log, folder, options)
      await states.#read()
      return states
    } catch (error) {
      await log.close()
      throw error
    }
  }

  async #read(): Promise<void> {
    for await (const { offset, data } of this.#log.read({})) {
      this.#take(parse(data.toString(), offset))
      this.#sinceCompact++
    }
  }

  /** After a failure: opens the log again, and goes by what is on the disk. Rejects as `open` does. */
  revive(): Promise<void> {
    if (!this.#hasFailed) return Promise.resolve()
    this.#reviving ??= this.#revive().finally(() => {
      this.#reviving = undefined
    })
    return this.#reviving
  }

  async #revive(): Promise<void> {
    // One that is poisoned says so once more.
    await this.#log.close().catch(() => {})
    this.#log = await Log.open(this.#folder, this.#options)
    this.#states.clear()
    await this.#read()
    this.#hasFailed = false
  }

  /** Who the member is; undefined in a new folder. */
  get identity(): Identity | undefined {
    return this.#identity
  }

  /** Says who the member is, once and for all. Resolves when it is on the disk. */
  async identify(member: Identity): Promise<void> {
    invariant(this.#identity === undefined, 'a member does not become another')
    await this.#save({ member })
  }

  /** The mark of the cluster that a member has joined: 16 hexadecimal digits. */
  get founders(): string | undefined {
    return this.#founders
  }

  /** Remembers which cluster this is. Resolves when it is on the disk. */
  async join(founders: string): Promise<void> {
    await this.#save({ founders })
  }

  /** Of which there is a state. */
  get logs(): string[] {
    return [...this.#states.keys()]
  }

  get(log: string): HardState | undefined {
    return this.#states.get(log)
  }

  /** Resolves when the state is on the disk. */
  async save(log: string, hard: HardState): Promise<void> {
    await this.#save({ log, hard })
  }

  /** Forgets a log that was deleted. Resolves when that is on the disk. */
  async remove(log: string): Promise<void> {
    if (this.#states.has(log)) await this.#save({ log, hard: null })
  }

  /** The incarnation of another member when it was met first; undefined if it never was. */
  peer(id: number): string | undefined {
    return this.#peers.get(id)
  }

  /** Remembers who another member is. Resolves when it is on the disk. */
  async meet(id: number, incarnation: string): Promise<void> {
    await this.#save({ peer: { id, incarnation } })
  }

  #take({ log, hard, member, peer, founders }: HardRecord): void {
    if (member) this.#identity = member
    if (founders !== undefined) this.#founders = founders
    if (peer) this.#peers.set(peer.id, peer.incarnation)
    if (log === undefined) return
    if (hard) this.#states.set(log, hard)
    else this.#states.delete(log)
  }

  async #save(record: HardRecord): Promise<void> {
    this.#take(record)
    try {
      await this.#log.append(JSON.stringify(record))
    } catch (error) {
      this.#hasFailed = true
      throw error
    }
    if (++this.#sinceCompact >= RECORDS_MAX + this.#states.size) await this.#compact()
  }

  async #compact(): Promise<void> {
    this.#sinceCompact = this.#states.size
    const records: HardRecord[] = [...this.#states].map(([log, hard]) => ({ log, hard }))
    if (this.#identity) records.push({ member: this.#identity })
    if (this.#founders !== undefined) records.push({ founders: this.#founders })
    for (const [id, incarnation] of this.#peers) records.push({ peer: { id, incarnation } })
    const { first } = await this.#log.appendBatch(records.map((record) => JSON.stringify(record)))
    await this.#log.trim(first)
  }

  close(): Promise<void> {
    return this.#log.close()
  }
}

function parse(text: string, offset: number): HardRecord {
  try {
    const record = JSON.parse(text) as HardRecord
    if (typeof record.log === 'string' && record.hard === null) return record
    if (typeof record.log === 'string' && isHardState(record.hard!)) return record
    if (record.peer && isPeer(record.peer)) return record
    if (record.founders !== undefined && isFounders(record.founders)) return record
    if (record.log === undefined && isIdentity(record.member!)) return record
  } catch {
    // Said below.
  }
  throw new TidemarkError('CORRUPT', `the hard state at offset ${offset} cannot be read`, {
    offset,
  })
}

function isIdentity({ cluster, id, incarnation, voters }: Identity): boolean {
  return typeof cluster === 'string' && isPeer({ id, incarnation }) && voters.every(isNumber)
}

function isPeer({ id, incarnation }: KnownPeer): boolean {
  return isNumber(id) && typeof incarnation === 'string' && /^[0-9a-f]{32}$/.test(incarnation)
}

function isFounders(founders: unknown): boolean {
  return typeof founders === 'string' && /^[0-9a-f]{16}$/.test(founders)
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
