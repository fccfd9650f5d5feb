import type { Writable } from 'node:stream'
import { errnoOf, TidemarkError } from '../base/index.ts'

/**
 * Standard output or standard error. It knows when the other side is gone, which is no failure
 * (`| head` has seen enough), and tells a real failure at the next flush.
 */
export class Output {
  readonly #stream: Writable & { readonly isTTY?: boolean }
  readonly #name: string
  readonly #ended = new AbortController()
  #failure: Error | undefined
  #room: Promise<void> | undefined
  #isUsed = false

  /** `name` is what an error message calls it. */
  constructor(stream: Writable & { readonly isTTY?: boolean }, name: string) {
    this.#stream = stream
    this.#name = name
    stream.on('error', (error) => this.#end(error))
  }

  get isTerminal(): boolean {
    return this.#stream.isTTY === true
  }

  /** Aborted when nothing can be written any more: the reader has gone, or writing has failed. */
  get ended(): AbortSignal {
    return this.#ended.signal
  }

  /** False while the other side is slower than what is written; wait for {@link room} then. */
  get hasRoom(): boolean {
    return this.#room === undefined
  }

  /** Resolves when more should be written, or nothing can be any more, or `stop` is aborted. */
  async room(stop: AbortSignal): Promise<void> {
    if (stop.aborted) return
    await new Promise<void>((resolve) => {
      const done = () => {
        stop.removeEventListener('abort', done)
        resolve()
      }
      stop.addEventListener('abort', done)
      Promise.resolve(this.#room).then(done, done)
    })
  }

  /** Writes, or does nothing when the other side is gone. */
  write(chunk: string | Uint8Array): void {
    if (this.#ended.signal.aborted) return
    this.#isUsed = true
    if (!this.#stream.write(chunk)) this.#room ??= this.#drained()
  }

  line(text: string): void {
    this.write(`${text}\n`)
  }

  /** Resolves when everything is written. Throws IO if writing failed for another reason than EPIPE. */
  async flush(): Promise<void> {
    // What cannot be written to is no failure of a command that has nothing to say there.
    if (this.#isUsed && !this.#ended.signal.aborted) {
      await new Promise<void>((resolve) => this.#stream.write('', () => resolve()))
      // The stream calls back with an error before it emits it.
      await new Promise<void>((resolve) => setImmediate(resolve))
    }
    if (!this.#failure) return
    throw new TidemarkError(
      'IO',
      `cannot write to ${this.#name}: ${this.#failure.message}`,
      {},
      this.#failure,
    )
  }

  #drained(): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        this.#room = undefined
        this.#stream.off('drain', done)
        this.ended.removeEventListener('abort', done)
        resolve()
      }
      this.#stream.on('drain', done)
      this.ended.addEventListener('abort', done)
    })
  }

  #end(error: Error): void {
    const isGone = ['EPIPE', 'ECONNRESET', 'ERR_STREAM_DESTROYED'].includes(errnoOf(error) ?? '')
    if (!isGone) this.#failure ??= error
    this.#ended.abort()
  }
}
