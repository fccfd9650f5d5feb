/** Something that happens at a moment of a simulation. */
export interface QueuedEvent {
  /** In ms since the simulation began. */
  readonly due: number
  /** How many events were queued before it: of two that are due at the same moment the earlier comes first. */
  readonly sequence: number
  /** Undefined once it was cancelled or taken. */
  fire: (() => void) | undefined
}

/** Below this many, events that were cancelled are not worth the work of taking them out. */
const SWEEP_MIN = 64

/**
 * A binary heap of events by moment and sequence number. That is a total order, so what comes next depends on nothing
 * but what was added and cancelled, never on how the heap happens to be arranged.
 *
 * A cancelled event stays in the heap until it comes up, or until more than half of the heap is of its kind: timers
 * that are always put off and never fire cost constant time each, and no memory for ever.
 */
export class EventQueue {
  readonly #heap: QueuedEvent[] = []
  #sequence = 0
  #cancelled = 0

  /** How many events are neither taken nor cancelled. */
  get size(): number {
    return this.#heap.length - this.#cancelled
  }

  add(due: number, fire: () => void): QueuedEvent {
    const event: QueuedEvent = { due, sequence: this.#sequence++, fire }
    this.#heap.push(event)
    this.#rise(this.#heap.length - 1, event)
    return event
  }

  /** Without effect on an event that was taken or cancelled already. */
  cancel(event: QueuedEvent): void {
    if (event.fire === undefined) return
    event.fire = undefined
    this.#cancelled += 1
    if (this.#cancelled >= SWEEP_MIN && this.#cancelled * 2 > this.#heap.length) this.#sweep()
  }

  /** The moment of the next event, or Infinity if there is none. */
  nextDue(): number {
    this.#dropCancelled()
    return this.#heap[0]?.due ?? Number.POSITIVE_INFINITY
  }

  /** Takes the next event out, and returns what to call. */
  take(): (() => void) | undefined {
    this.#dropCancelled()
    const event = this.#heap[0]
    if (event === undefined) return undefined
    this.#removeFirst()
    const { fire } = event
    event.fire = undefined
    return fire
  }

  #dropCancelled(): void {
    for (let first = this.#heap[0]; first && first.fire === undefined; first = this.#heap[0]) {
      this.#removeFirst()
      this.#cancelled -= 1
    }
  }

  #removeFirst(): void {
    const last = this.#heap.pop()
    if (last !== undefined && this.#heap.length > 0) this.#sink(0, last)
  }

  #sweep(): void {
    const live = this.#heap.filter(({ fire }) => fire !== undefined)
    // What is sorted is a heap.
    live.sort((a, b) => (isBefore(a, b) ? -1 : 1))
    this.#heap.length = 0
    for (const event of live) this.#heap.push(event)
    this.#cancelled = 0
  }

  /** Puts `event` at the place `index` or at one above it. */
  #rise(index: number, event: QueuedEvent): void {
    const heap = this.#heap
    let at = index
    while (at > 0) {
      const above = (at - 1) >> 1
      const parent = heap[above]!
      if (!isBefore(event, parent)) break
      heap[at] = parent
      at = above
    }
    heap[at] = event
  }

  /** Puts `event` at the place `index` or at one below it. */
  #sink(index: number, event: QueuedEvent): void {
    const heap = this.#heap
    const { length } = heap
    let at = index
    for (let below = 2 * at + 1; below < length; below = 2 * at + 1) {
      if (below + 1 < length && isBefore(heap[below + 1]!, heap[below]!)) below += 1
      const child = heap[below]!
      if (!isBefore(child, event)) break
      heap[at] = child
      at = below
    }
    heap[at] = event
  }
}

function isBefore(a: QueuedEvent, b: QueuedEvent): boolean {
  return a.due < b.due || (a.due === b.due && a.sequence < b.sequence)
}
