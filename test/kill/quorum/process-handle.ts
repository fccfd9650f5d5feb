import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** What a process can be asked for, by name. */
export type Asking<A> = { readonly [K in keyof A]: (asked: never) => unknown }

/** What a process says without being asked. */
export interface Notice {
  readonly notice: string
}

interface Answer {
  readonly number: number
  readonly code?: string
  readonly message?: string
  readonly answer?: unknown
}

interface Waiting {
  readonly resolve: (answer: never) => void
  readonly reject: (error: Error) => void
}

/** What a member has answered with a code, or GONE if it has not answered. */
export class MemberError extends Error {
  readonly code: string

  constructor(code: string, message: string) {
    super(message)
    this.code = code
  }
}

/** A member in a process of its own, which is killed and started again. Its answer to the question 0 is that it is ready. */
export class ProcessHandle<A extends Asking<A>> {
  readonly id: number
  readonly #program: URL
  readonly #onNotice: (notice: Notice) => void
  readonly #waiting = new Map<number, Waiting>()
  #child: ChildProcess | undefined
  #asked = 0
  #isReady = false
  /** Why a process has ended that nobody has ended; undefined if none has. */
  fault: string | undefined

  constructor(id: number, program: URL, onNotice: (notice: Notice) => void = () => {}) {
    this.id = id
    this.#program = program
    this.#onNotice = onNotice
  }

  get isReady(): boolean {
    return this.#isReady
  }

  /** Whether there is a process, be it ready or not. */
  get isAlive(): boolean {
    const child = this.#child
    return child !== undefined && child.exitCode === null && child.signalCode === null
  }

  /** Resolves when the process answers. */
  run(words: readonly string[]): Promise<void> {
    const child = fork(fileURLToPath(this.#program), words, { execArgv: [] })
    this.#child = child
    // What cannot be sent to the dead is told by its end.
    child.on('error', () => {})
    child.on('message', (message: Answer | Notice) => {
      if (child !== this.#child) return
      if ('notice' in message) this.#onNotice(message)
      else this.#settle(message)
    })
    child.on('exit', (code, signal) => {
      if (code !== 0 && signal !== 'SIGKILL') {
        this.fault = `member ${this.id} has ended with ${signal ?? code}`
      }
      this.#isReady = false
      const gone = new MemberError('GONE', `member ${this.id} is gone`)
      for (const { reject } of this.#waiting.values()) reject(gone)
      this.#waiting.clear()
    })
    return new Promise((resolve, reject) => {
      const ready = () => {
        this.#isReady = true
        resolve()
      }
      this.#waiting.set(0, { resolve: ready, reject })
    })
  }

  ask<K extends keyof A>(what: K, asked: Parameters<A[K]>[0]): Promise<Awaited<ReturnType<A[K]>>> {
    if (!this.#isReady) return Promise.reject(new MemberError('DOWN', 'was not asked'))
    const number = ++this.#asked
    return new Promise((resolve, reject) => {
      this.#waiting.set(number, { resolve, reject })
      this.#child!.send({ number, what, with: asked } as never, () => {})
    })
  }

  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    if (this.isAlive) this.#child!.kill(signal)
  }

  /** Resolves when the process is gone. */
  async end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    if (!this.isAlive) return
    const child = this.#child!
    const ended = new Promise((done) => child.once('exit', done))
    if (signal === 'SIGTERM') this.#isReady = false
    child.kill(signal)
    await ended
  }

  #settle({ number, code, message, answer }: Answer): void {
    const waiting = this.#waiting.get(number)
    this.#waiting.delete(number)
    if (code === undefined) waiting?.resolve(answer as never)
    else waiting?.reject(new MemberError(code, message ?? ''))
  }
}
