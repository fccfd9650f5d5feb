import { TidemarkError } from '../base/index.ts'
import type { CommitLog } from '../log/index.ts'
import type { Generation, Outcomes, Waiter } from './outcomes.ts'

/** So many bytes go into one batch at most, unless one command alone is larger. */
const BATCH_BYTES_MAX = 1024 * 1024

/**
 * Appends commands, those of the same moment together: who submits one waits for a single append then, and not
 * each for its own.
 */
export class Submissions<R> {
  readonly #log: CommitLog<Buffer, Uint8Array | string>
  readonly #outcomes: Outcomes<R>
  /** Offset of the first entry that was not applied; throws what the machine has failed with, if it has. */
  readonly #next: (appended: number) => number
  #commands: Buffer[] = []
  #waiters: Waiter<R>[] = []
  #bytes = 0
  /** Of the batch that is gathered. */
  #generation: Generation | undefined

  constructor(
    log: CommitLog<Buffer, Uint8Array | string>,
    outcomes: Outcomes<R>,
    next: (appended: number) => number,
  ) {
    this.#log = log
    this.#outcomes = outcomes
    this.#next = next
  }

  submit(command: Buffer, waiter: Waiter<R>): void {
    if (this.#bytes + command.length > BATCH_BYTES_MAX) this.flush()
    // When no promise is left to run: those who were answered together ask again together.
    if (this.#commands.length === 0) {
      this.#generation = this.#outcomes.begin()
      queueMicrotask(() => process.nextTick(() => this.flush()))
    }
    this.#commands.push(command)
    this.#waiters.push(waiter)
    this.#bytes += command.length
  }

  /** Appends what was gathered: whatever is appended now comes behind it. */
  flush(): void {
    const commands = this.#commands
    const waiters = this.#waiters
    const generation = this.#generation
    if (commands.length === 0 || !generation) return
    this.#commands = []
    this.#waiters = []
    this.#bytes = 0
    if (commands.length === 1) this.#append(generation, commands[0]!, waiters)
    else this.#appendBatch(generation, commands, waiters)
  }

  #append(generation: Generation, command: Buffer, waiters: readonly Waiter<R>[]): void {
    this.#log.append(command).then(
      (offset) => this.#appended(generation, offset, waiters),
      (error) => this.#failed(generation, error, waiters),
    )
  }

  #appendBatch(
    generation: Generation,
    commands: readonly Buffer[],
    waiters: readonly Waiter<R>[],
  ): void {
    this.#log.appendBatch(commands).then(
      ({ first }) => this.#appended(generation, first, waiters),
      (error) => {
        if (!isRefusal(error)) {
          this.#failed(generation, error, waiters)
          return
        }
        // One of them cannot be appended, or all together are too much: nothing was. The others are not to blame.
        for (const [i, command] of commands.entries()) {
          this.#append(this.#outcomes.begin(), command, [waiters[i]!])
        }
        this.#outcomes.ended(generation)
      },
    )
  }

  #appended(generation: Generation, first: number, waiters: readonly Waiter<R>[]): void {
    let next: number
    try {
      next = this.#next(first + waiters.length)
    } catch (error) {
      this.#failed(generation, error, waiters)
      return
    }
    this.#outcomes.appended(generation, first, next, waiters)
  }

  #failed(generation: Generation, error: unknown, waiters: readonly Waiter<R>[]): void {
    for (const { reject } of waiters) reject(error)
    this.#outcomes.ended(generation)
  }
}

function isRefusal(error: unknown): boolean {
  const { code } = error as TidemarkError
  return error instanceof TidemarkError && (code === 'TOO_LARGE' || code === 'INVALID_ARGUMENT')
}
