/** A key and when its record ends. */
export interface Expiry {
  readonly at: number
  readonly key: Buffer
}

/**
 * Keys by a time at which to look whether their records have ended: a binary heap. What was overwritten or deleted
 * since is left in it until its time comes, or until it is too much.
 */
export class Expiries {
  #heap: Expiry[] = []

  get size(): number {
    return this.#heap.length
  }

  get first(): Expiry | undefined {
    return this.#heap[0]
  }

  add(expiry: Expiry): void {
    const heap = this.#heap
    let at = heap.push(expiry) - 1
    while (at > 0) {
      const parent = (at - 1) >>> 1
      if (!isBefore(expiry, heap[parent]!)) break
      heap[at] = heap[parent]!
      at = parent
    }
    heap[at] = expiry
  }

  /** Drops what is not needed, and of each key all but the earliest. */
  keep(isNeeded: (expiry: Expiry) => boolean): void {
    const kept = new Map<string, Expiry>()
    for (const expiry of this.#heap) {
      if (!isNeeded(expiry)) continue
      const name = expiry.key.toString('latin1')
      const other = kept.get(name)
      if (!other || expiry.at < other.at) kept.set(name, expiry)
    }
    this.#heap = []
    for (const expiry of kept.values()) this.add(expiry)
  }

  dropFirst(): void {
    const heap = this.#heap
    const last = heap.pop()
    if (!last || heap.length === 0) return
    let at = 0
    for (let child = 1; child < heap.length; child = 2 * at + 1) {
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++
      if (!isBefore(heap[child]!, last)) break
      heap[at] = heap[child]!
      at = child
    }
    heap[at] = last
  }
}

/** By the key where the times are equal: so the order follows from the contents, and not from how they came. */
function isBefore(a: Expiry, b: Expiry): boolean {
  return a.at < b.at || (a.at === b.at && Buffer.compare(a.key, b.key) < 0)
}
