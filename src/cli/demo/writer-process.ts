import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Readable, Writable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { TidemarkError } from '../../base/index.ts'
import type { LineStream } from './stream.ts'

/** Lines that are handed to the pipe at a time. */
const CHUNK_LINES = 200
const STARTING_MS_MAX = 20_000

const MAIN = fileURLToPath(new URL('../main.js', import.meta.url))

/** `tidemark append --ack` in a process of its own, fed with lines until it is killed. */
export class WriterProcess {
  readonly #process: ChildProcessByStdio<Writable, Readable, Readable>
  readonly #exited: Promise<unknown>
  #isOver = false
  #errors = ''
  /** The beginning of an offset whose newline has not come. */
  #partial = ''
  /** Every offset that the writer has called safe, in the order in which it did. */
  readonly acknowledged: number[] = []
  /** Lines that were handed to it, from the first on. */
  sent = 0

  constructor(folder: string) {
    const words = [MAIN, 'append', folder, '--ack', '--quiet']
    this.#process = spawn(process.execPath, words, { stdio: ['pipe', 'pipe', 'pipe'] })
    this.#exited = once(this.#process, 'close').then(() => {
      this.#isOver = true
    })
    // Writing to the dead fails, and that is the point.
    this.#process.stdin.on('error', () => {})
    this.#process.stdout.setEncoding('latin1').on('data', (text: string) => this.#take(text))
    this.#process.stderr.on('data', (text: Buffer) => {
      this.#errors += text
    })
  }

  /** Feeds it with `lines` from number `first` on; resolves when it is dead. */
  async feed(lines: LineStream, first: number): Promise<void> {
    const { stdin } = this.#process
    while (!this.#isOver) {
      const hasRoom = stdin.write(lines.chunk(first + this.sent, CHUNK_LINES))
      this.sent += CHUNK_LINES
      if (!hasRoom) await Promise.race([once(stdin, 'drain').catch(() => {}), this.#exited])
    }
  }

  /** Resolves when it has acknowledged something. Throws IO if it ended instead. */
  async firstAcknowledged(): Promise<void> {
    const deadline = performance.now() + STARTING_MS_MAX
    while (this.acknowledged.length === 0 && !this.#isOver && performance.now() < deadline) {
      await delay(1)
    }
    if (this.acknowledged.length > 0) return
    const why = this.#errors.trim() || 'it appended nothing'
    throw new TidemarkError('IO', `the writer process cannot be used: ${why}`)
  }

  /** Kills it with SIGKILL; resolves when it is dead and all that it had said is read. */
  async kill(): Promise<void> {
    this.#process.kill('SIGKILL')
    await this.#exited
  }

  #take(text: string): void {
    const lines = (this.#partial + text).split('\n')
    this.#partial = lines.pop() ?? ''
    for (const line of lines) this.acknowledged.push(Number(line))
  }
}
