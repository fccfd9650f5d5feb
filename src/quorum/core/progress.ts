import { invariant } from '../../base/index.ts'

/**
 * - `probe`: it is not known where the logs agree: one append at a time.
 * - `replicate`: appends are sent one behind the other, before they are acknowledged.
 * - `snapshot`: what it needs is below the low-water mark; nothing until the snapshot is there.
 */
export type ProgressState = 'probe' | 'replicate' | 'snapshot'

interface Inflight {
  readonly end: number
  readonly bytes: number
}

/** How far one replica has got, as its leader knows it. */
export class Progress {
  state: ProgressState = 'probe'
  /** Everything below is synced there, and the same as here. Invariant: match <= next. */
  match = 0
  /** Where the next append begins. */
  next: number
  /** Replies that name another session are about something else. */
  session: number
  /** Probe: one append is under way, so the next one waits for its reply or for a heartbeat's. */
  isProbing = false
  /** Heard of since the leader last counted who is there. */
  isActive = true
  /** Snapshot: where its log will begin. */
  pending = 0
  /** The last heartbeat's question that it has answered. */
  round = 0
  #inflight: Inflight[] = []
  #inflightBytes = 0

  constructor(next: number, session: number) {
    this.next = next
    this.session = session
  }

  get inflight(): number {
    return this.#inflight.length
  }

  /** True if nothing may be sent but what tells it of a commit. */
  isPaused(max: number, bytesMax: number): boolean {
    if (this.state === 'snapshot') return true
    if (this.state === 'probe') return this.isProbing
    return this.#inflight.length >= max || this.#inflightBytes >= bytesMax
  }

  /** Batches to `end` are under way. */
  sent(end: number, bytes: number): void {
    invariant(end >= this.next, `sent to ${end} from ${this.next}`)
    if (this.state === 'probe') {
      this.isProbing = true
      return
    }
    this.next = end
    if (bytes === 0) return
    this.#inflight.push({ end, bytes })
    this.#inflightBytes += bytes
  }

  /** It has everything below `mark`. */
  acknowledged(mark: number): void {
    this.match = Math.max(this.match, mark)
    this.next = Math.max(this.next, this.match)
    while (this.#inflight.length > 0 && this.#inflight[0]!.end <= mark) {
      this.#inflightBytes -= this.#inflight.shift()!.bytes
    }
    if (this.state === 'snapshot' ? this.match >= this.pending : this.state === 'probe') {
      this.#change('replicate')
    }
  }

  /** One append was lost, or its reply: room for another, which will show which. */
  freeOne(): void {
    if (this.#inflight.length > 0) this.#inflightBytes -= this.#inflight.shift()!.bytes
  }

  /** Looks for the place where the logs agree, from `next` down. */
  probe(next: number): void {
    this.#change('probe')
    this.next = Math.max(next, this.match)
  }

  /** It does not have what it acknowledged above `mark`. */
  forget(mark: number, session: number): void {
    this.#change('probe')
    this.match = Math.min(this.match, mark)
    this.next = mark
    this.session = session
  }

  awaitSnapshot(mark: number): void {
    this.#change('snapshot')
    this.pending = mark
  }

  #change(state: ProgressState): void {
    this.state = state
    this.isProbing = false
    this.pending = 0
    this.#inflight = []
    this.#inflightBytes = 0
    if (state === 'replicate') this.next = Math.max(this.next, this.match)
  }
}
