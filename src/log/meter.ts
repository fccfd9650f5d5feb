import type { TidemarkError } from '../base/index.ts'
import {
  poisonChannel,
  type RecoveryEvent,
  recoveryChannel,
  rollChannel,
  syncChannel,
  tellDamage,
  trimChannel,
} from './events.ts'
import type { Group } from './group.ts'
import { Histogram, type HistogramCounts } from './histogram.ts'
import type { Segment } from './segment.ts'

/** Upper bounds of the ranges of `syncMs`. */
const SYNC_MS_BOUNDS = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000] as const
/** Upper bounds of the ranges of `groupAppends`. */
const GROUP_BOUNDS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024] as const

/** What a log has done since it was opened. All but the last two only grow. */
export interface LogMetrics {
  /** Appends that were acknowledged; a batch is one. */
  readonly appends: number
  /** Offsets that they took: an entry that spans five counts five. */
  readonly entries: number
  /** Bytes that they wrote, headers included. */
  readonly bytes: number
  /** Writes to the store: one for each group, and one more where a group went over a segment's end. */
  readonly groups: number
  /** How many appends shared a write. */
  readonly groupAppends: HistogramCounts
  /** Syncs of the active store. */
  readonly syncs: number
  /** How long they took, in ms. */
  readonly syncMs: HistogramCounts
  /** Segments that were sealed. */
  readonly rolls: number
  /** How often the low-water mark was raised. */
  readonly trims: number
  /** How often it should have been raised by `trim` or `retention`, and could not. */
  readonly failedTrims: number
  /** Bytes of the stores that were removed. */
  readonly trimmedBytes: number
  /** Bytes of entries that the opening read through and kept, because the log had not been closed. */
  readonly recoveredBytes: number
  /** Bytes of a torn end that the opening cut off. */
  readonly tornBytes: number
  /** How often damage was met. */
  readonly damage: number
  /** Segments that there are now. */
  readonly segments: number
  /** Bytes of entries and headers in their stores. */
  readonly storeBytes: number
}

/** What an opening has found at the end of a log that was not closed. */
export interface Recovered {
  readonly recoveredBytes: number
  readonly tornBytes: number
}

/** Counts what a log does, and tells those who listen. In the way of an append it is a few additions a group. */
export class Meter {
  readonly #folder: string
  #appends = 0
  #entries = 0
  #bytes = 0
  readonly #groupAppends = new Histogram(GROUP_BOUNDS)
  readonly #syncMs = new Histogram(SYNC_MS_BOUNDS)
  #rolls = 0
  #trims = 0
  #failedTrims = 0
  #trimmedBytes = 0
  #recovered: Recovered = { recoveredBytes: 0, tornBytes: 0 }
  #damage = 0

  constructor(folder: string) {
    this.#folder = folder
  }

  /** The batches `[from, to)` of a group were written and acknowledged. */
  wrote(group: Group, from: number, to: number): void {
    const first = from === 0 ? group.firstOffset : group.batchEndOffset(from - 1)
    this.#appends += to - from
    this.#entries += group.batchEndOffset(to - 1) - first
    this.#bytes += group.batchEnd(to - 1) - group.batchStart(from)
    this.#groupAppends.add(to - from)
  }

  synced(ms: number, syncedMark: number): void {
    this.#syncMs.add(ms)
    if (!syncChannel.hasSubscribers) return
    syncChannel.publish({ folder: this.#folder, ms, syncedMark })
  }

  rolled(sealed: Segment, next: Segment): void {
    this.#rolls++
    if (!rollChannel.hasSubscribers) return
    rollChannel.publish({
      folder: this.#folder,
      sealed: sealed.name,
      bytes: sealed.endPosition,
      active: next.name,
      base: next.base,
    })
  }

  trimmed(from: number, lowWaterMark: number, removed: readonly Segment[]): void {
    const bytes = sizeOf(removed)
    this.#trims++
    this.#trimmedBytes += bytes
    if (!trimChannel.hasSubscribers) return
    const segments = removed.length
    trimChannel.publish({ folder: this.#folder, from, lowWaterMark, segments, bytes })
  }

  trimFailed(error: unknown): void {
    this.#failedTrims++
    this.failed(error)
  }

  poisoned(error: TidemarkError): void {
    if (poisonChannel.hasSubscribers) poisonChannel.publish({ folder: this.#folder, error })
  }

  opened(opening: Omit<RecoveryEvent, 'folder'>): void {
    const { recoveredBytes, tornBytes } = opening
    this.#recovered = { recoveredBytes, tornBytes }
    if (recoveryChannel.hasSubscribers)
      recoveryChannel.publish({ folder: this.#folder, ...opening })
  }

  /** Counts what has failed if it is damage. */
  failed(error: unknown): void {
    if (tellDamage(this.#folder, error)) this.#damage++
  }

  metrics(segments: readonly Segment[]): LogMetrics {
    const groupAppends = this.#groupAppends.counts()
    const syncMs = this.#syncMs.counts()
    return {
      appends: this.#appends,
      entries: this.#entries,
      bytes: this.#bytes,
      groups: groupAppends.count,
      groupAppends,
      syncs: syncMs.count,
      syncMs,
      rolls: this.#rolls,
      trims: this.#trims,
      failedTrims: this.#failedTrims,
      trimmedBytes: this.#trimmedBytes,
      ...this.#recovered,
      damage: this.#damage,
      segments: segments.length,
      storeBytes: sizeOf(segments),
    }
  }
}

function sizeOf(segments: readonly Segment[]): number {
  return segments.reduce((sum, segment) => sum + segment.endPosition, 0)
}
