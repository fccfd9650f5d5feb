import { SyncFailure } from './file-steps.ts'
import type { WriterState } from './writer-state.ts'

/**
 * Syncs what was written, at most `intervalMs` after the first write of it, beside the appends. No
 * timer runs while everything is synced.
 */
export class IntervalSync {
  readonly #w: WriterState
  readonly #intervalMs: number | undefined
  #cancel: (() => void) | undefined
  #underWay: Promise<void> | undefined
  #isStopped = false

  constructor(w: WriterState) {
    const { sync } = w.settings
    this.#w = w
    this.#intervalMs = typeof sync === 'object' ? sync.intervalMs : undefined
  }

  /** Says that something was written. */
  written(): void {
    if (this.#intervalMs === undefined || this.#isStopped) return
    if (this.#cancel !== undefined || this.#underWay !== undefined) return
    this.#cancel = this.#w.settings.clock.after(this.#intervalMs, () => {
      this.#cancel = undefined
      this.#underWay = this.#sync().finally(() => {
        this.#underWay = undefined
        if (this.#w.syncedMark < this.#w.active.endOffset) this.written()
      })
    })
  }

  /** Stops the timer; resolves when no sync is under way. */
  async stop(): Promise<void> {
    this.#isStopped = true
    this.#cancel?.()
    this.#cancel = undefined
    await this.#underWay
  }

  async #sync(): Promise<void> {
    const w = this.#w
    if (!w.isStoreOpen || w.isClosing || w.poison) return
    // What is written from here on is not covered by this sync.
    const { active } = w
    const { endOffset } = active
    try {
      await w.store.datasync()
    } catch (error) {
      w.poisonWith(error instanceof SyncFailure ? error : new SyncFailure(w.folder, error))
      return
    }
    if (w.active !== active) return
    w.syncedMark = Math.max(w.syncedMark, endOffset)
    w.marks.changed()
  }
}
