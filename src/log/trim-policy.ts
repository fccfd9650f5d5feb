import { runJob } from './jobs.ts'
import { retentionMark } from './retention.ts'
import { slowestCursor } from './slowest-cursor.ts'
import type { Steps } from './steps.ts'
import { raiseLowWaterMark } from './trim.ts'
import type { WriterState } from './writer-state.ts'

/**
 * Raises the low-water mark by itself, as the options `trim` and `retention` say: when the log is opened,
 * when a segment was sealed, and when a cursor of this process has left the oldest segment. In between
 * nothing runs: there is no timer.
 */
export class TrimPolicy {
  readonly #w: WriterState
  #isQueued = false

  constructor(w: WriterState) {
    this.#w = w
    w.onSealed = () => this.#applyLater()
  }

  /** Called when a cursor of this process has moved. */
  cursorMoved(from: number, to: number): void {
    const { segments, settings } = this.#w
    if (settings.trim !== 'slowest-cursor' || segments.length === 1) return
    const { endOffset } = segments[0]!
    if (from < endOffset && to >= endOffset) this.#applyLater()
  }

  #applyLater(): void {
    if (this.#isQueued || this.#w.isClosing || this.#w.poison) return
    this.#isQueued = true
    void this.apply()
  }

  /** Raises the mark as far as it may go now. What stands in the way is counted: the next segment tries again. */
  async apply(): Promise<void> {
    const w = this.#w
    await runJob(w, 'trim', () => this.#raise()).catch((error: unknown) => {
      w.meter.trimFailed(error)
    })
  }

  *#raise(): Steps {
    this.#isQueued = false
    const w = this.#w
    const { trim, retention, clock } = w.settings
    if (retention) yield* raiseLowWaterMark(w, yield* retentionMark(w, retention, clock.now()))
    if (trim !== 'slowest-cursor') return
    const slowest = yield* slowestCursor(w)
    if (slowest !== undefined) yield* raiseLowWaterMark(w, slowest)
  }
}
