import type { Codec } from './codec.ts'
import type { Entry, EntryReader } from './commit-log.ts'

type Result<T> = IteratorResult<Entry<T>, undefined>

/** The entries of another reader, their data decoded. */
export class DecodedReader<T> implements EntryReader<T> {
  readonly #plain: EntryReader<Buffer>
  readonly #codec: Codec<T, never> | undefined
  readonly #onEnd: () => void

  /** `onEnd` is called, perhaps more than once, when nothing more comes. */
  constructor(plain: EntryReader<Buffer>, codec: Codec<T, never> | undefined, onEnd: () => void) {
    this.#plain = plain
    this.#codec = codec
    this.#onEnd = onEnd
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  next(): Promise<Result<T>> {
    return this.#ended(this.#plain.next()).then((result) => {
      return result.done ? result : { value: this.#decode(result.value), done: false }
    })
  }

  return(): Promise<Result<T>> {
    this.#onEnd()
    return this.#plain.return() as Promise<Result<T>>
  }

  batches(): AsyncIterableIterator<Entry<T>[]> {
    const plain = this.#plain.batches()
    const iterator: AsyncIterableIterator<Entry<T>[]> = {
      [Symbol.asyncIterator]: () => iterator,
      next: async () => {
        const result = await this.#ended(plain.next())
        if (result.done) return result
        const entries = this.#codec
          ? result.value.map((entry) => this.#decode(entry))
          : (result.value as unknown as Entry<T>[])
        return { value: entries, done: false }
      },
      return: () => {
        this.#onEnd()
        return plain.return!() as Promise<IteratorResult<Entry<T>[]>>
      },
    }
    return iterator
  }

  #decode(entry: Entry): Entry<T> {
    if (!this.#codec) return entry as unknown as Entry<T>
    return { ...entry, data: this.#codec.decode(entry.data) }
  }

  async #ended<R extends IteratorResult<unknown, unknown>>(next: Promise<R>): Promise<R> {
    try {
      const result = await next
      if (result.done) this.#onEnd()
      return result
    } catch (error) {
      this.#onEnd()
      throw error
    }
  }
}
