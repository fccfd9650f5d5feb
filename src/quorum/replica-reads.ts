import { TidemarkError } from '../base/index.ts'
import type { Clock } from '../io/index.ts'
import type { Entry, Log } from '../log/index.ts'
import { isCorrupt, knownDamage } from './damage-watch.ts'
import type { HostedLog } from './hosted-log.ts'

/** What somebody waits for who could not read on. */
export interface Retry {
  /** The log that was read from; undefined if there was none. */
  readonly log: Log | undefined
  /** The damage that was met; undefined if the log was closed. */
  readonly error: TidemarkError | undefined
  /** When to give up, by the monotonic clock. */
  readonly end: number
}

/**
 * Reading from a replica whose log may be opened again under the reader: where damage is met it is told of, and waited
 * for until other members have given the entries back.
 */
export class ReplicaReads {
  readonly #hosted: HostedLog
  readonly #clock: Clock
  readonly #timeoutMs: number

  constructor(hosted: HostedLog, clock: Clock, timeoutMs: number) {
    this.#hosted = hosted
    this.#clock = clock
    this.#timeoutMs = timeoutMs
  }

  /** The log that is open now. */
  get live(): Log | undefined {
    return this.#hosted.live
  }

  get isClosed(): boolean {
    return this.#hosted.isClosed
  }

  /** When who begins to wait now has waited for long enough. */
  deadline(): number {
    return this.#clock.monotonic() + this.#timeoutMs
  }

  /** As `Log.get`, but rejects with CORRUPT only if nobody gives back what is damaged, and UNAVAILABLE. */
  async get(offset: number): Promise<Entry | undefined> {
    let end: number | undefined
    for (let log = this.live; ; ) {
      let error: TidemarkError | undefined
      try {
        if (log) return await log.get(offset)
      } catch (thrown) {
        if (!isCorrupt(thrown)) throw thrown
        error = thrown
      }
      end ??= this.deadline()
      log = await this.again({ log, error, end })
    }
  }

  /**
   * Resolves with a log to read on from. Rejects with CORRUPT that names the offsets if they are not given back in
   * time, UNAVAILABLE if the log is not open by then, CLOSED.
   */
  async again(retry: Retry): Promise<Log> {
    const { log, error, end } = retry
    if (log && error) this.#hosted.damaged(log, error)
    const shown = error === undefined ? 0 : (log?.highWaterMark ?? 0)
    const isSo = () => {
      const { live } = this
      if (!live || knownDamage(live, error)) return false
      // What a reader was shown once is there again when the leader has said so.
      return live === log || live.highWaterMark >= shown
    }
    const left = end - this.#clock.monotonic()
    try {
      if (left > 0) await this.#hosted.until(isSo, left, 'it can be read again')
      const { live } = this
      if (left > 0 && live) return live
    } catch (thrown) {
      if (!(thrown instanceof TidemarkError && thrown.code === 'UNAVAILABLE')) throw thrown
    }
    throw this.#givenUp(error)
  }

  #givenUp(error: TidemarkError | undefined): TidemarkError {
    const { name, failure } = this.#hosted
    const range = this.live && knownDamage(this.live, error)
    if (range && error) {
      const { offset, endOffset, file, position } = range
      const which =
        endOffset === offset + 1 ? `offset ${offset}` : `offsets ${offset} to ${endOffset - 1}`
      return new TidemarkError(
        'CORRUPT',
        `${which} of the log ${name} cannot be read on this member, and no other has given back what is damaged (${file}) within ${this.#timeoutMs} ms`,
        { file, position, offset },
        error,
      )
    }
    if (error) return error
    return new TidemarkError(
      'UNAVAILABLE',
      `the log ${name} cannot be read on this member now`,
      {},
      failure,
    )
  }
}
