import { MIB } from '../base/index.ts'
import { SyncFailure } from './file-steps.ts'
import type { WriterState } from './writer-state.ts'

/** So much is left to the kernel before it is told to write: a roll must not wait for a whole segment. */
const UNSYNCED_BYTES_MAX = 8 * MIB

/**
 * Syncs beside the appends, where these do not wait for it: at most `intervalMs` after the first write
 * that is not synced, under that policy; and after every {@link UNSYNCED_BYTES_MAX}, so that sealing
 * a segment finds little left to do. No timer runs while everything is synced.
 */
export class BackgroundSync {
  readonly #w: WriterState
  readonly #intervalMs: number | undefined
  readonly #isUsed: boolean
  #cancel: (() => void) | undefined
  #underWay: Promise<void> | undefined
  #isStopped = false
  /** How far the active segment had been written when the last sync began. */
  #from = { segmentId: 0, position: 0 }

  constructor(w: WriterState) {
    const { sync } = w.settings
    this.#w = w
    this.#isUsed = sync !== 'always'
    this.#intervalMs = typeof sync === 'object' ? sync.intervalMs : undefined
  }

  /** Says that something was written. */
  written(): void {
    if (!this.#isUsed || this.#isStopped || this.#underWay !== undefined) return
    if (this.#unsyncedBytes() >= UNSYNCED_BYTES_MAX) {
      this.#begin()
    } else if (this.#intervalMs !== undefined && this.#cancel === undefined) {
      this.#cancel = this.#w.settings.clock.after(this.#intervalMs, () => this.#begin())
    }
  }

  #unsyncedBytes(): number {
    const { id, endPosition } = this.#w.active
    const { segmentId, position } = this.#from
    return segmentId === id ? endPosition - position : endPosition
  }

  #begin(): void {
    this.#cancel?.()
    this.#cancel = undefined
    this.#underWay = this.#sync().finally(() => {
      this.#underWay = undefined
      const { poison, syncedMark, active } = this.#w
      if (!poison && syncedMark < active.endOffset) this.written()
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
    this.#from = { segmentId: active.id, position: active.endPosition }
    const { clock } = w.settings
    const begun = clock.monotonic()
    try {
      await w.store.datasync()
    } catch (error) {
      w.poisonWith(error instanceof SyncFailure ? error : new SyncFailure(w.folder, error))
      return
    }
    if (w.active !== active) return
    w.syncedMark = Math.max(w.syncedMark, endOffset)
    w.meter.synced(clock.monotonic() - begun, endOffset)
    w.marks.changed()
  }
}
