import { TidemarkError } from '../base/index.ts'
import type { CommitLog } from '../log/index.ts'
import type { MachineCore } from './machine-core.ts'
import { snapshotChunks } from './machine-snapshot.ts'
import type { MachineSettings } from './options.ts'
import { type Applied, storeOutcome } from './outcome.ts'

/** After so many commands the two states are compared. */
const COMPARE_EVERY = 1000

/**
 * Replays the commands into a second state, later than they were executed, and compares: an `apply` that looks
 * at a clock, at chance, or at anything else outside gives itself away.
 */
export class ReplayCheck<S, C, R, E> {
  readonly #log: CommitLog<Buffer, Uint8Array | string>
  readonly #settings: MachineSettings<S, C, R, E>
  readonly #second: MachineCore<S, C, R, E>
  /** What came of each command when it was executed. */
  readonly #outcomes = new Map<number, string>()

  constructor(
    log: CommitLog<Buffer, Uint8Array | string>,
    settings: MachineSettings<S, C, R, E>,
    second: MachineCore<S, C, R, E>,
  ) {
    this.#log = log
    this.#settings = settings
    this.#second = second
  }

  /** From where the second state needs the log. */
  get next(): number {
    return this.#second.next
  }

  /** Notes what came of a command. Returns true when it is time to compare. */
  note(offset: number, outcome: Applied<R> | undefined): boolean {
    if (outcome) this.#outcomes.set(offset, this.#digest(outcome))
    return this.#outcomes.size >= COMPARE_EVERY
  }

  /** Replays up to where the first state stands, and throws DIVERGED if the two differ. */
  async compare(first: MachineCore<S, C, R, E>): Promise<void> {
    const to = first.next
    // Encoded now: commands go on while the log is read.
    const expected = await this.#encode(first)
    for await (const entry of this.#log.read({ from: this.#second.next, to })) {
      const outcome = this.#second.apply(entry)
      const noted = this.#outcomes.get(entry.offset)
      this.#outcomes.delete(entry.offset)
      if (noted === undefined || !outcome || this.#digest(outcome) === noted) continue
      throw diverged(entry.offset, `it gave ${noted} at first, and ${this.#digest(outcome)} now`)
    }
    if (to !== this.#second.next) return
    if (!(await this.#encode(this.#second)).equals(expected)) {
      throw diverged(to, 'the states before it differ')
    }
  }

  #digest(outcome: Applied<R>): string {
    if (outcome.ok === undefined) return `the session ${outcome.opened}`
    const { ok, bytes } = storeOutcome(outcome, this.#settings.results)
    return `${ok ? 'the result' : 'the error'} ${Buffer.from(bytes ?? '').toString()}`
  }

  async #encode(core: MachineCore<S, C, R, E>): Promise<Buffer> {
    const chunks: Uint8Array[] = []
    for await (const chunk of snapshotChunks(core, this.#settings)) chunks.push(chunk)
    return Buffer.concat(chunks)
  }
}

function diverged(offset: number, how: string): TidemarkError {
  return new TidemarkError(
    'DIVERGED',
    `apply is not deterministic: replayed, the command at offset ${offset} is another: ${how}`,
    { offset },
  )
}
