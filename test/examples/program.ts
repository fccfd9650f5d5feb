// An example that runs while a test talks to it: what it prints, line by line, its standard input, its end.
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'

const TIMEOUT_MS = 60_000

export class Program {
  /** What it has printed so far. */
  readonly lines: string[] = []
  #errors = ''
  readonly #child: ChildProcessWithoutNullStreams
  readonly #closed: Promise<unknown>
  #rest = ''
  #printed: () => void = () => {}

  constructor(path: string, ...args: string[]) {
    this.#child = spawn(process.execPath, [path, ...args])
    this.#closed = once(this.#child, 'close')
    this.#child.stdout.on('data', (chunk: Buffer) => {
      const lines = (this.#rest + chunk.toString()).split('\n')
      this.#rest = lines.pop()!
      this.lines.push(...lines)
      this.#printed()
    })
    this.#child.stderr.on('data', (chunk: Buffer) => {
      this.#errors += chunk.toString()
    })
    this.#child.once('close', () => this.#printed())
    // What a killed program was sent and did not read is no error.
    this.#child.stdin.on('error', () => {})
  }

  get errors(): string {
    return this.#errors
  }

  /** Resolves when it has printed this line. */
  async printed(line: string): Promise<void> {
    const deadline = Date.now() + TIMEOUT_MS
    while (!this.lines.includes(line)) {
      const { exitCode, signalCode } = this.#child
      const ended = exitCode !== null || signalCode !== null
      if (ended || Date.now() > deadline) {
        const told = [...this.lines, this.errors].join('\n')
        throw new Error(`"${line}" was not printed, but:\n${told}`)
      }
      await new Promise<void>((resolve) => {
        this.#printed = resolve
        setTimeout(resolve, 1000).unref()
      })
    }
  }

  /** Writes a line to its standard input. */
  type(line: string): void {
    this.#child.stdin.write(`${line}\n`)
  }

  /** Ends its standard input. */
  endInput(): void {
    this.#child.stdin.end()
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** Resolves with its exit code, or the signal that ended it, when all that it printed is there. */
  async ended(): Promise<number | NodeJS.Signals> {
    await this.#closed
    return this.#child.exitCode ?? this.#child.signalCode!
  }
}
