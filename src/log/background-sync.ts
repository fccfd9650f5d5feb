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
    this.#underWay = this.#sync().then((hasSynced) => {
      this.#underWay = undefined
      const { syncedMark, active } = this.#w
      // Invariant: what could not be synced now is not tried again at once, or the event loop would never turn.
      if (hasSynced && syncedMark < active.endOffset) this.written()
    })
  }

  /** Stops the timer; resolves when no sync is under way. */
  async stop(): Promise<void> {
    this.#isStopped = true
    this.#cancel?.()
    this.#cancel = undefined
    await this.#underWay
  }

  /** True if the disk was asked, and has done it. */
  async #sync(): Promise<boolean> {
    const w = this.#w
    // Closing syncs everything by itself.
    if (!w.isStoreOpen || w.isClosing || w.poison) return false
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
      return false
    }
    if (w.active !== active) return true
    w.syncedMark = Math.max(w.syncedMark, endOffset)
    w.meter.synced(clock.monotonic() - begun, endOffset)
    w.marks.changed()
    return true
  }
}
