import { hashOf } from './hash.ts'
import { FIRST_RECORD, Pages, type Place, pageOf, positionOf, refOf } from './pages.ts'
import {
  expiryAt,
  isKeyAt,
  lengthAt,
  NEVER,
  type Pair,
  pairAt,
  recordBytes,
  valueAt,
  writeRecord,
} from './record.ts'

/** The table is cut into so many by the first bits of the hash: none grows or is copied in a noticeable time. */
const SHARD_BITS = 8
const SHARDS = 2 ** SHARD_BITS
const SLOTS_MIN = 8
/** How many records of a page are looked at with each change, while pages are cleared. */
const CLEARED_AT_ONCE = 8

/** Open addressing with linear probing; two numbers a slot: the reference of a record (0: none), and the hash. */
interface Shard {
  slots: Uint32Array
  count: number
  /** True while somebody reads the slots as they are: then they are copied before they are changed. */
  isShared: boolean
}

/**
 * A hash table from bytes to bytes, outside the heap that is searched for garbage: millions of keys cost no pauses,
 * and their number is bounded by memory (32 GiB) alone. While it is read as it was at some moment
 * ({@link freeze}) it can be changed.
 */
export class Table {
  readonly #pages = new Pages()
  readonly #shards: Shard[] = Array.from({ length: SHARDS }, () => {
    return { slots: EMPTY, count: 0, isShared: true }
  })
  #size = 0
  /** The page that is being cleared, and how far that has come. */
  #clearing: { bytes: Buffer; index: number; end: number; at: number } | undefined

  /** How many keys it holds. */
  get size(): number {
    return this.#size
  }

  /** Bytes of memory for keys and values, dead ones included. */
  get bytes(): number {
    return this.#pages.bytes
  }

  /** Where the record of a key is; undefined if there is none. Its memory never changes. */
  find(key: Uint8Array, from = 0, to = key.length): Place | undefined {
    const hash = hashOf(key, from, to)
    const shard = this.#shards[hash >>> (32 - SHARD_BITS)]!
    const slot = this.#slotOf(shard, hash, key, from, to)
    return slot < 0 ? undefined : this.#placeOf(shard.slots[slot]!)
  }

  /** The value as a view of memory that never changes; undefined if there is none. */
  get(key: Uint8Array): Buffer | undefined {
    const place = this.find(key)
    return place && valueAt(place.bytes, place.at)
  }

  /** When the key's record ends; undefined if there is none. */
  expiry(key: Uint8Array): number | undefined {
    const place = this.find(key)
    return place && expiryAt(place.bytes, place.at)
  }

  /** Puts a key and its value in, and returns where they are now. Throws TOO_LARGE. */
  set(pair: Pair, expiry = NEVER): Place {
    const { bytes, from, keyBytes, valueBytes } = pair
    const ref = this.#pages.add(recordBytes(keyBytes, valueBytes, expiry))
    const place = this.#placeOf(ref)
    writeRecord(place.bytes, place.at, pair, expiry)
    this.#put(ref, bytes, from, from + keyBytes)
    this.#clear()
    return place
  }

  /** Returns true if the key was there. */
  delete(key: Uint8Array): boolean {
    const hash = hashOf(key, 0, key.length)
    const shard = this.#shards[hash >>> (32 - SHARD_BITS)]!
    const slot = this.#slotOf(shard, hash, key, 0, key.length)
    if (slot < 0) return false
    this.#own(shard)
    this.#dropRecord(shard.slots[slot]!)
    closeGap(shard.slots, slot)
    shard.count--
    this.#size--
    this.#clear()
    return true
  }

  /** The records as they are now, to be read while the table goes on. */
  *freeze(): Generator<Place> {
    // The first call of next() does this: see frozen(), which makes it.
    const pages = this.#pages.snapshot()
    const shards = this.#shards.map((shard) => {
      shard.isShared = true
      return shard.slots
    })
    yield NOTHING
    for (const slots of shards) {
      for (let slot = 0; slot < slots.length; slot += 2) {
        const ref = slots[slot]!
        if (ref !== 0) yield { bytes: pages[pageOf(ref)]!, at: positionOf(ref) }
      }
    }
  }

  #placeOf(ref: number): Place {
    return { bytes: this.#pages.bytesOf(ref), at: positionOf(ref) }
  }

  /** Where in the slots the key is; -1 if it is not there. */
  #slotOf({ slots }: Shard, hash: number, key: Uint8Array, from: number, to: number): number {
    if (slots.length === 0) return -1
    const mask = slots.length - 1
    for (let slot = (hash * 2) & mask; slots[slot] !== 0; slot = (slot + 2) & mask) {
      if (slots[slot + 1] !== hash) continue
      const ref = slots[slot]!
      if (isKeyAt(this.#pages.bytesOf(ref), positionOf(ref), key, from, to)) return slot
    }
    return -1
  }

  #put(ref: number, key: Uint8Array, from: number, to: number): void {
    const hash = hashOf(key, from, to)
    const shard = this.#shards[hash >>> (32 - SHARD_BITS)]!
    this.#own(shard)
    const slot = this.#slotOf(shard, hash, key, from, to)
    if (slot >= 0) {
      this.#dropRecord(shard.slots[slot]!)
      shard.slots[slot] = ref
      return
    }
    // Three quarters full at most.
    if ((shard.count + 1) * 8 > shard.slots.length * 3) shard.slots = grown(shard.slots)
    insert(shard.slots, ref, hash)
    shard.count++
    this.#size++
  }

  #own(shard: Shard): void {
    if (!shard.isShared) return
    shard.slots = shard.slots.slice()
    shard.isShared = false
  }

  #dropRecord(ref: number): void {
    this.#pages.drop(ref, lengthAt(this.#pages.bytesOf(ref), positionOf(ref)))
  }

  /**
   * Where much is dead, goes on to move what is alive out of the page with the most that is dead: a few records
   * with each change, so that no change takes long, and enough of them to keep up with what dies.
   */
  #clear(): void {
    if (!this.#clearing) {
      if (!this.#pages.isWasteful) return
      const page = this.#pages.mostWasteful()
      if (!page) return
      this.#clearing = { ...page, at: FIRST_RECORD }
    }
    const page = this.#clearing
    for (let i = 0; i < CLEARED_AT_ONCE && page.at < page.end; i++) {
      // It may have been given back in the meantime, and its number to another page.
      if (this.#pages.pageAt(page.index) !== page.bytes) break
      this.#moveRecord(page.bytes, page.index, page.at)
      page.at += lengthAt(page.bytes, page.at)
    }
    const isLeft = this.#pages.pageAt(page.index) === page.bytes && page.at < page.end
    if (!isLeft) this.#clearing = undefined
  }

  #moveRecord(bytes: Buffer, index: number, at: number): void {
    const { from, keyBytes } = pairAt(bytes, at)
    const hash = hashOf(bytes, from, from + keyBytes)
    const shard = this.#shards[hash >>> (32 - SHARD_BITS)]!
    const slot = this.#slotOf(shard, hash, bytes, from, from + keyBytes)
    const ref = refOf(index, at)
    if (slot < 0 || shard.slots[slot] !== ref) return
    const length = lengthAt(bytes, at)
    const moved = this.#pages.add(length)
    this.#pages.bytesOf(moved).set(bytes.subarray(at, at + length), positionOf(moved))
    this.#own(shard)
    shard.slots[slot] = moved
    this.#pages.drop(ref, length)
  }
}

const EMPTY = new Uint32Array(0)
const NOTHING = { bytes: Buffer.alloc(0), at: 0 }

/** Freezes the table now, and reads it later. */
export function frozen(table: Table): Generator<Place> {
  const records = table.freeze()
  records.next()
  return records
}

function insert(slots: Uint32Array, ref: number, hash: number): void {
  const mask = slots.length - 1
  let slot = (hash * 2) & mask
  while (slots[slot] !== 0) slot = (slot + 2) & mask
  slots[slot] = ref
  slots[slot + 1] = hash
}

function grown(slots: Uint32Array): Uint32Array {
  const larger = new Uint32Array(Math.max(SLOTS_MIN * 2, slots.length * 2))
  for (let slot = 0; slot < slots.length; slot += 2) {
    if (slots[slot] !== 0) insert(larger, slots[slot]!, slots[slot + 1]!)
  }
  return larger
}

/**
 * Empties a slot, and moves up those behind it that were put there because theirs was taken, so that no search
 * ends before it has found what is there.
 */
function closeGap(slots: Uint32Array, at: number): void {
  const mask = slots.length - 1
  let gap = at
  for (let slot = (gap + 2) & mask; slots[slot] !== 0; slot = (slot + 2) & mask) {
    const wanted = (slots[slot + 1]! * 2) & mask
    // Between its wanted place and where it is, the gap must lie.
    if (((slot - wanted) & mask) < ((slot - gap) & mask)) continue
    slots[gap] = slots[slot]!
    slots[gap + 1] = slots[slot + 1]!
    gap = slot
  }
  slots[gap] = 0
}
