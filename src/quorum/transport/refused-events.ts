import type { Clock } from '../../io/index.ts'
import type { RefusalReason } from './refusal.ts'

export interface RefusedEvent {
  /** Of the other side, as it was dialed or as it came. */
  readonly address: string
  readonly reason: RefusalReason
  readonly text: string
  /** The member that was dialed, or that had proven to be one. */
  readonly id?: number
  /** True if it is the other side that refused. */
  readonly byPeer: boolean
  /** How many refusals of strangers were not told of since the last event. */
  readonly suppressed: number
}

const STRANGERS_PER_SECOND = 10

/** Tells of refusals; of those of strangers only so many a second: whoever scans ports must not fill a disk with events. */
export class RefusedEvents {
  readonly #clock: Clock
  readonly #tell: (event: RefusedEvent) => void
  #since = Number.NEGATIVE_INFINITY
  #told = 0
  #suppressed = 0

  constructor(clock: Clock, tell: (event: RefusedEvent) => void) {
    this.#clock = clock
    this.#tell = tell
  }

  add(event: Omit<RefusedEvent, 'suppressed'>): void {
    if (event.id === undefined && !this.#mayTell()) {
      this.#suppressed++
      return
    }
    const suppressed = this.#suppressed
    this.#suppressed = 0
    this.#tell({ ...event, suppressed })
  }

  #mayTell(): boolean {
    const now = this.#clock.monotonic()
    if (now - this.#since >= 1000) {
      this.#since = now
      this.#told = 0
    }
    return this.#told++ < STRANGERS_PER_SECOND
  }
}
