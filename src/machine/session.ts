import type { ExecuteOptions } from './state-machine.ts'

/** Numbers the requests of one session. */
export class Session<C, R> {
  /** To be kept by a client that will ask again after a crash of its own, with the number of its request. */
  readonly id: string
  readonly #execute: (command: C, options: ExecuteOptions) => Promise<R>
  #request = 0

  /** @internal */
  constructor(id: string, execute: (command: C, options: ExecuteOptions) => Promise<R>) {
    this.id = id
    this.#execute = execute
  }

  /** The number of the last request. */
  get request(): number {
    return this.#request
  }

  /**
   * Executes a command as the next request, or as the given one if it is asked again. Rejects like
   * `StateMachine.execute`.
   */
  execute(command: C, request = this.#request + 1): Promise<R> {
    this.#request = Math.max(this.#request, request)
    return this.#execute(command, { session: this.id, request })
  }
}
