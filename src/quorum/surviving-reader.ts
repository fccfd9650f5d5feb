import { TidemarkError } from '../base/index.ts'
import type { Entry, EntryReader, Log, ReadOptions } from '../log/index.ts'
import { isCorrupt } from './damage-watch.ts'
import type { ReplicaReads } from './replica-reads.ts'

const DONE = { value: undefined, done: true } as const

type Take<V> = (plain: EntryReader<Buffer>) => Promise<IteratorResult<V, undefined>>

/**
 * Reads a replica's log, and goes on in the next one when it is opened again: after damage, where the entries have been
 * got back, or after a failure.
 *
 * Invariant: what was delivered is never delivered again, and nothing between is left out.
 */
export class SurvivingReader implements EntryReader<Buffer> {
  readonly #reads: ReplicaReads
  #options: ReadOptions
  #log: Log | undefined
  #plain: EntryReader<Buffer> | undefined
  /** Until it is settled, whoever takes something waits. */
  #recovering: Promise<void> | undefined
  /** When the wait for what comes next ends, if somebody waits for it. */
  #end: number | undefined
  #stop: AbortController | undefined
  #isOver = false

  constructor(reads: ReplicaReads, options: ReadOptions) {
    this.#reads = reads
    this.#options = options
    this.#log = reads.live
    this.#plain = this.#log?.read(options)
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  next(): Promise<IteratorResult<Entry, undefined>> {
    return this.#take(
      (plain) => plain.next(),
      (entry) => this.#passed(entry),
    )
  }

  async return(): Promise<IteratorResult<Entry, undefined>> {
    this.#isOver = true
    this.#stop?.abort()
    await this.#plain?.return()
    return DONE
  }

  batches(): AsyncIterableIterator<Entry[]> {
    const iterator: AsyncIterableIterator<Entry[]> = {
      [Symbol.asyncIterator]: () => iterator,
      next: () =>
        this.#take(
          (plain) => plain.batches().next() as Promise<IteratorResult<Entry[], undefined>>,
          (entries) => this.#passed(entries.at(-1)!),
        ),
      return: async () => {
        await this.return()
        return DONE
      },
    }
    return iterator
  }

  #passed({ offset, count }: Entry): void {
    this.#end = undefined
    const { reverse } = this.#options
    const rest = reverse ? { to: offset } : { from: offset + count, fromTimestamp: undefined }
    this.#options = { ...this.#options, ...rest }
  }

  #take<V>(take: Take<V>, passed: (value: V) => void): Promise<IteratorResult<V, undefined>> {
    const again = () => this.#take(take, passed)
    if (this.#recovering !== undefined) return this.#recovering.then(again)
    if (this.#isOver) return Promise.resolve(DONE)
    const plain = this.#plain
    if (!plain) return this.#recover(undefined).then(again)
    return take(plain).then(
      (result) => {
        if (!result.done) {
          passed(result.value)
          return result
        }
        if (this.#plain !== plain || this.#recovering !== undefined) return again()
        return this.#hasEnded() ? result : this.#recover(undefined).then(again)
      },
      (error: unknown) => {
        if (this.#plain !== plain || this.#recovering !== undefined) return again()
        if (isCorrupt(error)) return this.#recover(error).then(again)
        this.#isOver = true
        throw error
      },
    )
  }

  /** A reader that follows ends also because its log was closed, to be opened again. */
  #hasEnded(): boolean {
    const { follow } = this.#options
    return this.#isOver || !follow || this.#reads.isClosed || this.#reads.live === this.#log
  }

  #recover(error: TidemarkError | undefined): Promise<void> {
    this.#recovering = this.#reopen(error)
      .catch((thrown: unknown) => {
        if (this.#isOver || (this.#options.follow && !error && isClosed(thrown))) return
        throw thrown
      })
      .finally(() => {
        this.#recovering = undefined
        if (this.#plain === undefined) this.#isOver = true
      })
    return this.#recovering
  }

  async #reopen(error: TidemarkError | undefined): Promise<void> {
    const log = this.#log
    const before = this.#plain
    this.#plain = undefined
    await before?.return()
    this.#end ??= this.#reads.deadline()
    const next = await this.#unlessStopped(this.#again(log, error, this.#end))
    this.#log = next
    this.#plain = next.read(this.#options)
  }

  /** Who follows, and has met no damage, waits for ever. */
  async #again(log: Log | undefined, error: TidemarkError | undefined, end: number): Promise<Log> {
    for (;;) {
      try {
        return await this.#reads.again({ log, error, end })
      } catch (thrown) {
        const isLate = thrown instanceof TidemarkError && thrown.code === 'UNAVAILABLE'
        if (!isLate || !this.#options.follow || error || this.#isOver) throw thrown
        end = this.#reads.deadline()
      }
    }
  }

  #unlessStopped(log: Promise<Log>): Promise<Log> {
    this.#stop ??= new AbortController()
    const { signal } = this.#options
    const stop = signal ? AbortSignal.any([signal, this.#stop.signal]) : this.#stop.signal
    return new Promise((resolve, reject) => {
      const aborted = () => reject(stop.reason)
      if (stop.aborted) aborted()
      stop.addEventListener('abort', aborted, { once: true })
      log.then(resolve, reject).finally(() => stop.removeEventListener('abort', aborted))
    })
  }
}

function isClosed(error: unknown): boolean {
  return error instanceof TidemarkError && error.code === 'CLOSED'
}
