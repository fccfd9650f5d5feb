import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Asked, ProcessOptions } from './member-process.js'

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

/** A member in a process of its own, which is killed and started again. */
export class MemberHandle {
  readonly id: number
  readonly #build: URL
  readonly #options: ProcessOptions
  readonly #waiting = new Map<number, Waiting>()
  #child: ChildProcess | undefined
  #asked = 0
  #isReady = false
  /** Why a process has ended that nobody has ended; undefined if none has. */
  fault: string | undefined

  constructor(build: URL, options: ProcessOptions) {
    this.id = options.id
    this.#build = build
    this.#options = options
  }

  get isReady(): boolean {
    return this.#isReady
  }

  /** Resolves when the process answers. */
  start(): Promise<void> {
    const path = fileURLToPath(new URL('member-process.js', import.meta.url))
    const child = fork(path, [this.#build.href, JSON.stringify(this.#options)], { execArgv: [] })
    this.#child = child
    child.on('message', (message: { number: number; code?: string }) => this.#settle(message))
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

  ask<K extends keyof Asked>(
    what: K,
    asked: Parameters<Asked[K]>[0],
  ): Promise<Awaited<ReturnType<Asked[K]>>> {
    if (!this.#isReady) return Promise.reject(new MemberError('DOWN', 'was not asked'))
    const number = ++this.#asked
    return new Promise((resolve, reject) => {
      this.#waiting.set(number, { resolve, reject })
      this.#child!.send({ number, what, with: asked }, () => {})
    })
  }

  /** Resolves when the process is gone. */
  async end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const child = this.#child!
    if (child.exitCode !== null || child.signalCode !== null) return
    const ended = new Promise((done) => child.once('exit', done))
    if (signal === 'SIGTERM') this.#isReady = false
    child.kill(signal)
    await ended
  }

  #settle(message: { number: number; code?: string; message?: string; answer?: never }): void {
    const waiting = this.#waiting.get(message.number)
    this.#waiting.delete(message.number)
    if (message.code === undefined) waiting?.resolve(message.answer!)
    else waiting?.reject(new MemberError(message.code, message.message ?? ''))
  }
}
