// Not SIGHUP: to listen to it would undo what nohup has set.
const SIGNALS = { SIGINT: 130, SIGTERM: 143 } as const

/** A terminal and npm both pass the same Ctrl-C on; only one that comes later is meant as a second. */
const SECOND_AFTER_MS = 500
/** How long output may still wait for its reader after the first signal. */
const PATIENCE_MS = 1000

/** Settles when `work` does, or rejects with the signal's reason: what is under way is left to itself. */
export async function unlessInterrupted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  let stop = () => {}
  const stopped = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason)
    if (signal.aborted) stop()
    else signal.addEventListener('abort', stop)
  })
  try {
    return await Promise.race([work, stopped])
  } finally {
    signal.removeEventListener('abort', stop)
  }
}

/**
 * Turns the first Ctrl-C (or SIGTERM) into an abort, so that a command can end in good
 * order. A second one ends the process at once, which no log minds.
 */
export class Interrupt {
  readonly #controller = new AbortController()
  #exitCode: number | undefined
  #at = 0

  constructor() {
    for (const [name, exitCode] of Object.entries(SIGNALS)) {
      process.on(name, () => this.#strike(exitCode))
    }
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** Settles when `work` does, or a moment after an interruption: a reader that is stuck must not hold it up. */
  async patiently(work: Promise<void>): Promise<void> {
    const { signal } = this
    await new Promise<void>((resolve, reject) => {
      const wait = () => setTimeout(resolve, PATIENCE_MS)
      if (signal.aborted) wait()
      else signal.addEventListener('abort', wait)
      work.then(resolve, reject)
    })
  }

  /** What the process should exit with once it was interrupted; undefined if it was not. */
  get exitCode(): number | undefined {
    return this.#exitCode
  }

  #strike(exitCode: number): void {
    if (this.#exitCode === undefined) {
      this.#exitCode = exitCode
      this.#at = performance.now()
      this.#controller.abort()
    } else if (performance.now() - this.#at > SECOND_AFTER_MS) {
      process.exit(exitCode)
    }
  }
}
