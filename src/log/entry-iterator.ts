import { ioError } from './io-error.ts'

/** Where an iterator gets its entries from. */
export interface BatchSource<E> {
  /** The next entries, at least one; undefined at the end. Not called again before it has resolved. */
  nextBatch(): Promise<E[] | undefined>
  /** Lets go of files and timers. */
  release(): void
}

const DONE = { value: undefined, done: true } as const
type Result<E> = IteratorResult<E, undefined>

/**
 * The iterator over a log's entries. It is written by hand: what is in memory is handed out without the two
 * extra turns of the microtask queue that an async generator takes for each entry.
 */
export class EntryIterator<E> implements AsyncIterableIterator<E> {
  readonly #source: BatchSource<E>
  readonly #folder: string
  readonly #failed: (error: unknown) => void
  #batch: readonly E[] = []
  #at = 0
  #isDone = false
  /** The last call of `next` that had to wait; later calls wait for it. */
  #turn: Promise<unknown> | undefined

  /** @internal `folder` is for messages; `failed` is told of what ends the reading. */
  constructor(source: BatchSource<E>, folder: string, failed: (error: unknown) => void = () => {}) {
    this.#source = source
    this.#folder = folder
    this.#failed = failed
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  next(): Promise<Result<E>> {
    if (this.#at < this.#batch.length && this.#turn === undefined) {
      return Promise.resolve({ value: this.#batch[this.#at++]!, done: false })
    }
    const turn: Promise<Result<E>> = this.#queue(() => this.#advance())
    return turn
  }

  async return(): Promise<Result<E>> {
    this.#finish()
    return DONE
  }

  batches(): AsyncIterableIterator<E[]> {
    const iterator = {
      [Symbol.asyncIterator]: () => iterator,
      next: () => this.#queue(() => this.#nextBatch()),
      return: async () => {
        this.#finish()
        return DONE
      },
    }
    return iterator
  }

  /** Runs `take` after the calls that came before it. */
  #queue<R>(take: () => Promise<R>): Promise<R> {
    const turn = this.#turn !== undefined ? this.#turn.then(take, take) : take()
    const ended = () => {
      if (this.#turn === turn) this.#turn = undefined
    }
    this.#turn = turn
    turn.then(ended, ended)
    return turn
  }

  async #advance(): Promise<Result<E>> {
    if (this.#at >= this.#batch.length) {
      const batch = await this.#take()
      if (!batch) return DONE
      this.#batch = batch
      this.#at = 0
    }
    return { value: this.#batch[this.#at++]!, done: false }
  }

  async #nextBatch(): Promise<IteratorResult<E[], undefined>> {
    const batch = await this.#take()
    return batch ? { value: batch, done: false } : DONE
  }

  async #take(): Promise<E[] | undefined> {
    if (this.#isDone) return undefined
    try {
      const batch = await this.#source.nextBatch()
      if (batch && !this.#isDone) return batch
    } catch (error) {
      this.#finish()
      this.#failed(error)
      throw ioError(`read the log ${this.#folder}`, error)
    }
    this.#finish()
    return undefined
  }

  #finish(): void {
    if (this.#isDone) return
    this.#isDone = true
    this.#batch = []
    this.#source.release()
  }
}
