// Runs the real command line in processes of its own.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { after, type TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const MAIN = fileURLToPath(import.meta.resolve('#dist/cli/main.js'))
const WAITING_MS_MAX = 30_000

export interface Result {
  /** The exit code; null if a signal ended it. */
  readonly code: number | null
  readonly stdout: Buffer
  readonly stderr: string
}

export interface StartOptions {
  /** A file descriptor for standard output instead of a pipe to here. */
  readonly stdout?: number
  readonly env?: NodeJS.ProcessEnv
  readonly cwd?: string
  /** Another program than the command line. */
  readonly main?: string
  /** False if the test reads standard output itself. */
  readonly collect?: boolean
}

/** A test that fails must not leave a process behind, for which the runner would wait for ever. */
const running = new Set<ChildProcess>()
after(() => {
  for (const child of running) child.kill('SIGKILL')
})

/** A running `tidemark`. */
export class Tidemark {
  readonly process: ChildProcess
  readonly stdin: Writable
  readonly #chunks: Buffer[] = []
  #stderr = ''
  readonly #closed: Promise<unknown>
  isOver = false

  constructor(args: readonly string[], options: StartOptions = {}) {
    this.process = spawn(process.execPath, [options.main ?? MAIN, ...args], {
      stdio: ['pipe', options.stdout ?? 'pipe', 'pipe'],
      env: options.env ?? process.env,
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    })
    running.add(this.process)
    this.process.once('exit', () => running.delete(this.process))
    this.stdin = this.process.stdin!
    // It may stop reading, or be killed.
    this.stdin.on('error', () => {})
    if (options.collect !== false) {
      this.process.stdout?.on('data', (chunk: Buffer) => this.#chunks.push(chunk))
    }
    this.process.stderr!.on('data', (chunk: Buffer) => {
      this.#stderr += chunk
    })
    this.#closed = once(this.process, 'close').then(() => {
      this.isOver = true
    })
  }

  get pid(): number {
    return this.process.pid!
  }

  get stdoutStream(): Readable {
    return this.process.stdout!
  }

  /** What it has printed so far. */
  get stdout(): Buffer {
    return Buffer.concat(this.#chunks)
  }

  get stderr(): string {
    return this.#stderr
  }

  /** The whole lines that it has printed so far. */
  lines(): string[] {
    return this.stdout.toString('utf8').split('\n').slice(0, -1)
  }

  /** Resolves when it has printed so many lines; throws if that takes too long or it ends before. */
  async printed(count: number): Promise<void> {
    await until(() => this.isOver || this.lines().length >= count)
    if (this.lines().length >= count) return
    throw new Error(`it ended after ${this.lines().length} lines, not ${count}: ${this.#stderr}`)
  }

  kill(signal: NodeJS.Signals): void {
    this.process.kill(signal)
  }

  async result(): Promise<Result> {
    await this.#closed
    return { code: this.process.exitCode, stdout: this.stdout, stderr: this.#stderr }
  }
}

/** Runs it to its end, with `input` on standard input. */
export function tidemark(
  args: readonly string[],
  input: string | Uint8Array = '',
): Promise<Result> {
  const running = new Tidemark(args)
  running.stdin.end(input)
  return running.result()
}

/** The objects that a command prints with --json. */
export async function jsonLines(args: readonly string[]): Promise<Record<string, unknown>[]> {
  const { code, stdout, stderr } = await tidemark([...args, '--json'])
  if (code !== 0) throw new Error(`exit ${code}: ${stderr}`)
  return parseLines(stdout)
}

export function parseLines(stdout: Buffer): Record<string, unknown>[] {
  const lines = stdout.toString('utf8').split('\n').slice(0, -1)
  return lines.map((line) => JSON.parse(line))
}

/** Waits for something to become true; throws when that takes too long. */
export async function until(check: () => boolean): Promise<void> {
  const deadline = performance.now() + WAITING_MS_MAX
  while (!check()) {
    if (performance.now() > deadline) throw new Error(`waited in vain for ${check}`)
    await delay(5)
  }
}

/** A path where there is no log yet, in a folder that is removed after the test. */
export function freshLog(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-cli-'))
  t.after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }))
  return join(folder, 'log')
}

/** Names of the log's stores, in order. */
export function stores(log: string): string[] {
  return readdirSync(log)
    .filter((name) => name.endsWith('.store'))
    .sort()
}
