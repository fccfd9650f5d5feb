const FULL_WORD = 0xffff_ffff
const WORD_BITS = 32

/**
 * The operations of a history that a search has placed, as one bit each, with a hash that follows every
 * change in constant time.
 */
export class PlacedSet {
  readonly #words: Uint32Array
  #hash = 0

  /** An empty set for members from 0 up to, but without, `capacity`. */
  constructor(capacity: number) {
    this.#words = new Uint32Array(Math.ceil(capacity / WORD_BITS))
  }

  /** Adds `member`, or takes it out if it is there. */
  toggle(member: number): void {
    this.#words[member >>> 5]! ^= 1 << (member & 31)
    this.#hash ^= scrambled(member)
  }

  /** 32 bits, equal for equal sets. */
  get hash(): number {
    return this.#hash >>> 0
  }

  /**
   * What tells this set from every other: how many words at the front are full, then the words up to the
   * last that has a member. A search places operations about in the order of their calls, so this is as
   * short as the stretch that is still open, however long the history.
   */
  snapshot(): Uint32Array {
    const words = this.#words
    let full = 0
    while (full < words.length && words[full] === FULL_WORD) full += 1
    let end = words.length
    while (end > full && words[end - 1] === 0) end -= 1
    const snapshot = new Uint32Array(1 + end - full)
    snapshot[0] = full
    snapshot.set(words.subarray(full, end), 1)
    return snapshot
  }
}

/**
 * The configurations that a search has been in: sets of placed operations, with the state that these led
 * to. What follows depends on nothing else, so none needs to be entered twice (Lowe's memo, "Testing for
 * linearizability", 2017). It compares whole sets, never hashes alone.
 */
export class SeenConfigurations {
  readonly #seen = new Map<string, Uint32Array[]>()

  /** Remembers a configuration; false if it was there already. */
  add(placed: PlacedSet, state: string): boolean {
    const bucketKey = `${placed.hash} ${state}`
    const snapshot = placed.snapshot()
    const bucket = this.#seen.get(bucketKey)
    if (bucket === undefined) {
      this.#seen.set(bucketKey, [snapshot])
      return true
    }
    if (bucket.some((other) => areEqual(other, snapshot))) return false
    bucket.push(snapshot)
    return true
  }
}

function areEqual(a: Uint32Array, b: Uint32Array): boolean {
  return a.length === b.length && a.every((word, index) => word === b[index])
}

/** A word for each member, so that the exclusive or of many tells sets apart (the end of murmur3). */
function scrambled(member: number): number {
  let word = member + 0x9e37_79b9
  word = Math.imul(word ^ (word >>> 16), 0x85eb_ca6b)
  word = Math.imul(word ^ (word >>> 13), 0xc2b2_ae35)
  return word ^ (word >>> 16)
}
