import { runJob } from './jobs.ts'
import { openWriter } from './open-writer.ts'
import type { LogSettings } from './options.ts'
import { Replica } from './replica.ts'
import { slowestCursor } from './slowest-cursor.ts'
import { raiseLowWaterMark } from './trim.ts'
import { TrimPolicy } from './trim-policy.ts'
import { Writer } from './writer.ts'
import type { WriterState } from './writer-state.ts'

/** All that a log has only where it is written: a reader does not even load the code of it. */
export class WritingSide {
  readonly state: WriterState
  readonly writer: Writer
  readonly policy: TrimPolicy | undefined
  readonly replica: Replica | undefined

  private constructor(state: WriterState) {
    this.state = state
    this.writer = new Writer(state)
    const { trim, retention, replica } = state.settings
    this.policy = trim !== 'manual' || retention ? new TrimPolicy(state) : undefined
    this.replica = replica ? new Replica(state, this.writer) : undefined
  }

  /** See {@link openWriter}. */
  static async open(folder: string, settings: LogSettings): Promise<WritingSide> {
    return new WritingSide(await openWriter(folder, settings))
  }

  async trim(mark: number | 'slowest-cursor'): Promise<void> {
    const w = this.state
    await runJob(w, 'trim', function* trim() {
      const to = mark === 'slowest-cursor' ? yield* slowestCursor(w) : mark
      if (to !== undefined) yield* raiseLowWaterMark(w, to)
    })
  }

  async close(): Promise<void> {
    try {
      await this.writer.close()
    } finally {
      this.state.lock.releaseSync()
    }
  }
}
