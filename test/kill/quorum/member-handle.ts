import type { Asked, ProcessOptions } from './member-process.js'
import { ProcessHandle } from './process-handle.js'

/** A member of the kill ring. */
export class MemberHandle extends ProcessHandle<Asked> {
  readonly #words: readonly string[]

  constructor(build: URL, options: ProcessOptions) {
    super(options.id, new URL('member-process.js', import.meta.url))
    this.#words = [build.href, JSON.stringify(options)]
  }

  start(): Promise<void> {
    return this.run(this.#words)
  }
}
