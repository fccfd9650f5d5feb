import { TidemarkError } from '../base/index.ts'
import type { CommitLog } from '../log/index.ts'
import type { MachineCore } from './machine-core.ts'
import { dropOldSnapshots, snapshotChunks } from './machine-snapshot.ts'
import type { MachineSettings } from './options.ts'

/** Takes snapshots of a state machine, one at a time, and lets the log forget what they make unnecessary. */
export class Snapshotter<S, C, R, E> {
  readonly #log: CommitLog<Buffer, Uint8Array | string>
  readonly #settings: MachineSettings<S, C, R, E>
  readonly #core: () => MachineCore<S, C, R, E>
  /** From where the log is needed for a replay that is still to come. */
  readonly #replayFrom: () => number
  /** Offsets of snapshots that could not be read when the machine was opened. */
  readonly #damaged: Set<number>
  #entries = 0
  #bytes = 0
  #last: number | undefined
  #running: Promise<number> | undefined
  #next: Promise<number> | undefined
  /** Who only reads a log takes no snapshots of what is built from it. */
  #isReadOnly = false
  /** Why the last one that nobody had asked for was not taken; undefined if it was. */
  failure: unknown

  constructor(
    log: CommitLog<Buffer, Uint8Array | string>,
    settings: MachineSettings<S, C, R, E>,
    core: () => MachineCore<S, C, R, E>,
    replayFrom: () => number,
    damaged: Set<number>,
  ) {
    this.#log = log
    this.#settings = settings
    this.#core = core
    this.#replayFrom = replayFrom
    this.#damaged = damaged
  }

  /** An entry was applied. A snapshot begins if it is time for one. */
  applied(bytes: number): void {
    this.#entries++
    this.#bytes += bytes
    const { snapshotEntries, snapshotBytes } = this.#settings
    if (this.#entries < snapshotEntries && this.#bytes < snapshotBytes) return
    if (this.#running !== undefined || this.#isReadOnly) return
    this.take().then(
      () => {
        this.failure = undefined
      },
      (error) => {
        // Nothing is lost: the log has it all. The next one is tried after as many entries again.
        this.#isReadOnly = error instanceof TidemarkError && error.code === 'READ_ONLY'
        if (!this.#isReadOnly) this.failure = error
      },
    )
  }

  /** Takes one of the state as it is now or later. Resolves with its offset, when it is on the disk. */
  take(): Promise<number> {
    if (this.#running === undefined) {
      this.#running = this.#take().finally(() => {
        this.#running = undefined
      })
      return this.#running
    }
    // The one under way is of an earlier state.
    this.#next ??= this.#running
      .catch(() => {})
      .then(() => {
        this.#next = undefined
        return this.take()
      })
    return this.#next
  }

  /** Resolves when none is under way. */
  async idle(): Promise<void> {
    while (this.#running !== undefined) await this.#running.catch(() => {})
  }

  async #take(): Promise<number> {
    const core = this.#core()
    const offset = core.next
    this.#entries = 0
    this.#bytes = 0
    if (offset === this.#last) return offset
    await this.#log.snapshots.write(offset, snapshotChunks(core, this.#settings))
    this.#last = offset
    this.#damaged.delete(offset)
    // Only now: invariant: what the log forgets is in a snapshot that is on the disk, and in one before it.
    const needed = await dropOldSnapshots(this.#log, this.#damaged)
    const { trim } = this.#settings
    const allowed = typeof trim === 'function' ? checkTrim(trim()) : Number.POSITIVE_INFINITY
    const before = Math.min(needed, allowed, this.#replayFrom())
    if (trim !== false && before > this.#log.lowWaterMark) await this.#log.trim(before)
    return offset
  }
}

/** What a function says may be trimmed. */
function checkTrim(offset: unknown): number {
  if (Number.isSafeInteger(offset) && (offset as number) >= 0) return offset as number
  Promise.resolve(offset).catch(() => {})
  throw new TidemarkError('INVALID_ARGUMENT', `trim must return an offset, not a ${typeof offset}`)
}
