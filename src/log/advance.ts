/** Wakes whoever waits for the log to move on: readers that follow, at the high-water mark. */
export class Advance {
  readonly #waiting = new Set<() => void>()

  /** Resolves at the next {@link fire}, or when `signal` is aborted. */
  wait(signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) return Promise.resolve()
    return new Promise((resolve) => {
      const wake = () => {
        signal?.removeEventListener('abort', wake)
        this.#waiting.delete(wake)
        resolve()
      }
      signal?.addEventListener('abort', wake, { once: true })
      this.#waiting.add(wake)
    })
  }

  get isAwaited(): boolean {
    return this.#waiting.size > 0
  }

  fire(): void {
    if (this.#waiting.size === 0) return
    for (const wake of [...this.#waiting]) wake()
  }
}
