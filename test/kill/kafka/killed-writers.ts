// Writers in processes of their own, one after the other, each killed after some seconds.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { type Random, seededRandom } from '#dist/io/index.js'
import type { Append, Sent } from './writers.ts'
import { valueFor } from './writers.ts'

const PROGRAM = fileURLToPath(new URL('./writer-process.js', import.meta.url))
const LIFE_MS = { min: 2_000, max: 6_000 }

export class KilledWriters {
  readonly all: Sent[] = []
  readonly faults: string[] = []
  readonly #words: readonly string[]
  readonly #random: Random
  readonly #stop = new AbortController()
  readonly #running: Promise<void>

  constructor(brokers: readonly string[], topic: string, seed: number) {
    this.#words = [brokers.join(','), topic]
    this.#random = seededRandom(seed)
    this.#running = this.#run()
  }

  async stop(): Promise<void> {
    this.#stop.abort()
    await this.#running
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) await this.#live(`killed${this.all.length}`)
  }

  async #live(name: string): Promise<void> {
    const appends: Append[] = []
    this.all.push({ name, appends })
    const words = [PROGRAM, ...this.#words, name]
    const child = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'inherit'] })
    const lines = createInterface(child.stdout)
    lines.on('line', (line) => {
      const [sign, number, offset] = line.split(' ')
      const values = [valueFor(name, Number(number))]
      if (sign === '+') appends.push({ values, outcome: 'unknown', first: -1 })
      else Object.assign(appends[Number(number)]!, { outcome: 'ok', first: Number(offset) })
    })
    const ended = once(child, 'close')
    const { min, max } = LIFE_MS
    const life = min + (this.#random.uint32() % (max - min))
    const wait = delay(life, undefined, { signal: this.#stop.signal }).catch(() => {})
    await Promise.race([wait, ended])
    child.kill('SIGKILL')
    const [code, signal] = await ended
    // UNAVAILABLE is what it may end with, while the brokers change their leader for longer than it waits.
    if (signal !== 'SIGKILL') this.faults.push(`the writer ${name} has ended with ${code}`)
  }
}
