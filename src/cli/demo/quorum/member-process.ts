import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { type ErrorCode, TidemarkError } from '../../../base/index.ts'
import type { LogStatus } from '../../../quorum/index.ts'
import type { Answer, MemberStart, Notice, Order } from './member-main.ts'

const MAIN = fileURLToPath(new URL('./member-main.js', import.meta.url))
const ERRORS_MAX = 4096

type Question = Order extends infer One ? (One extends Order ? Omit<One, 'number'> : never) : never

interface Asked {
  readonly resolve: (result: unknown) => void
  readonly reject: (error: unknown) => void
}

/** The process has ended without an answer: what was asked of it may be done or not. */
export class Gone extends Error {
  constructor(id: number) {
    super(`member ${id} has ended`)
  }
}

/** One life of a member, as its parent sees it. */
export class MemberProcess {
  readonly id: number
  readonly #process: ChildProcess
  readonly #exited: Promise<unknown>
  readonly #asked = new Map<number, Asked>()
  readonly #onNotice: (notice: Notice) => void
  #isExpectedToEnd = false
  #numbers = 0
  #errors = ''
  isReady = false
  isOver = false

  /** `onDeath` is called, with what it said last, if it ends and nobody has asked it to. */
  constructor(
    start: MemberStart,
    onNotice: (notice: Notice) => void,
    onDeath: (errors: string) => void,
  ) {
    this.id = start.id
    this.#onNotice = onNotice
    this.#process = fork(MAIN, [JSON.stringify(start)], {
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    })
    this.#process.stderr!.on('data', (text: Buffer) => {
      this.#errors = (this.#errors + text).slice(-ERRORS_MAX)
    })
    this.#process.on('message', (message: Answer | Notice) => this.#take(message))
    // What cannot be sent to the dead is told by its end.
    this.#process.on('error', () => {})
    this.#exited = once(this.#process, 'close').then(([code, signal]) => {
      this.isOver = true
      for (const { reject } of this.#asked.values()) reject(new Gone(this.id))
      this.#asked.clear()
      if (!this.#isExpectedToEnd) onDeath(this.#errors.trim() || `it ended with ${signal ?? code}`)
    })
  }

  get pid(): number | undefined {
    return this.#process.pid
  }

  /** Rejects with {@link Gone}, or as the member does. */
  ask(question: Question): Promise<unknown> {
    if (this.isOver) return Promise.reject(new Gone(this.id))
    const number = this.#numbers++
    return new Promise((resolve, reject) => {
      this.#asked.set(number, { resolve, reject })
      this.#process.send({ ...question, number }, () => {})
    })
  }

  async append(data: Buffer): Promise<number> {
    return (await this.ask({ order: 'append', text: data.toString('latin1') })) as number
  }

  async status(): Promise<LogStatus> {
    return (await this.ask({ order: 'status' })) as LogStatus
  }

  /** Resolves when the process has ended. */
  async kill(): Promise<void> {
    this.#isExpectedToEnd = true
    this.#process.kill('SIGKILL')
    await this.#exited
  }

  /** Has it end in good order. It hangs up by itself: a parent that does is never told of the end. */
  async stop(): Promise<void> {
    this.#isExpectedToEnd = true
    await this.ask({ order: 'stop' })
    await this.#exited
  }

  #take(message: Answer | Notice): void {
    if ('notice' in message) {
      if (message.notice === 'ready') this.isReady = true
      this.#onNotice(message)
      return
    }
    const asked = this.#asked.get(message.number)
    this.#asked.delete(message.number)
    if ('code' in message) {
      asked?.reject(new TidemarkError(message.code as ErrorCode, message.message))
    } else asked?.resolve(message.result)
  }
}
