import type { Cancel } from '../io/index.ts'
import type { HostedLog } from './hosted-log.ts'
import type { MemberContext } from './member-context.ts'

/** Looks now and then, and while this member leads a log trims for all what its retention gives up. */
export class RetentionWatch {
  readonly #context: MemberContext
  readonly #hosted: HostedLog
  #cancel: Cancel | undefined
  #isClosed = false

  constructor(context: MemberContext, hosted: HostedLog) {
    this.#context = context
    this.#hosted = hosted
  }

  start(): void {
    if (!this.#hosted.definition.retention || this.#isClosed) return
    this.#cancel = this.#context.clock.after(this.#context.settings.retentionMs, () => {
      void this.#look().finally(() => this.start())
    })
  }

  close(): void {
    this.#isClosed = true
    this.#cancel?.()
  }

  async #look(): Promise<void> {
    const { host, live, definition } = this.#hosted
    if (!definition.retention || !live || !host?.isLeader) return
    // What cannot be looked at now is looked at the next time.
    const mark = await live.replica.retentionMark(definition.retention).catch(() => 0)
    if (mark > live.lowWaterMark) host.step({ kind: 'trim', mark })
  }
}
