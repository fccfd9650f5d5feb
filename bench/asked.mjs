import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** A process that runs children/<script> and answers what it is asked, until it is told to end. */
export class AskedChild {
  #child
  #waiting = new Map()
  #asked = 0
  #ended

  constructor(script, execArgv = []) {
    const path = fileURLToPath(new URL(`children/${script}`, import.meta.url))
    this.#child = fork(path, [], { execArgv })
    this.#child.on('message', ({ number, answer, error }) => {
      const { resolve, reject } = this.#waiting.get(number)
      this.#waiting.delete(number)
      if (error === undefined) resolve(answer)
      else reject(new Error(`${script}: ${error}`))
    })
    this.#ended = new Promise((done) => {
      this.#child.on('exit', (code, signal) => {
        for (const { reject } of this.#waiting.values()) {
          reject(new Error(`${script} ended with ${signal ?? code} and no answer`))
        }
        this.#waiting.clear()
        done()
      })
    })
  }

  get pid() {
    return this.#child.pid
  }

  ask(what, options = {}) {
    const number = this.#asked++
    return new Promise((resolve, reject) => {
      this.#waiting.set(number, { resolve, reject })
      this.#child.send({ number, what, options })
    })
  }

  /** It has a while to close what it has open. */
  async end() {
    if (this.#child.connected) this.#child.disconnect()
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 10_000)
    await this.#ended
    clearTimeout(timer)
  }
}
