import { InvariantError, TIMESTAMP_MS_MAX } from '../base/index.ts'
import { encodeIndex, type IndexImage } from './index-format.ts'
import { SEGMENT_HEADER_BYTES } from './segment-format.ts'

const CAPACITY_MIN = 16
/** How far from the even distribution a point is looked for before all are searched. */
const NEAR = 4

/**
 * The offset index of one segment in memory: a sparse, sorted list of points (offset, position), each
 * with the highest timestamp before it. Points lie where an entry begins, at least `intervalBytes`
 * apart; the first is the segment's first entry.
 *
 * Invariant: lsns and positions strictly increase, times never decrease.
 */
export class OffsetIndex {
  #lsns: Uint32Array
  #positions: Uint32Array
  #times: Float64Array
  #count = 0
  #maxTimestamp = 0
  readonly #intervalBytes: number

  constructor(intervalBytes: number, image?: IndexImage) {
    this.#intervalBytes = intervalBytes
    this.#lsns = image?.lsns ?? new Uint32Array(CAPACITY_MIN)
    this.#positions = image?.positions ?? new Uint32Array(CAPACITY_MIN)
    this.#times = image?.times ?? new Float64Array(CAPACITY_MIN)
    this.#count = image?.count ?? 0
    this.coveredBytes = image?.coveredBytes
    this.#maxTimestamp = image?.maxTimestamp ?? 0
  }

  /** Bytes of the store that the index was loaded for; undefined if it was not loaded. */
  readonly coveredBytes: number | undefined

  get count(): number {
    return this.#count
  }

  /** The highest timestamp of any entry noted. */
  get maxTimestamp(): number {
    return this.#maxTimestamp
  }

  /** What the index costs in memory. */
  get bytes(): number {
    return this.#lsns.byteLength + this.#positions.byteLength + this.#times.byteLength
  }

  lsnAt(point: number): number {
    return this.#lsns[point]!
  }

  positionAt(point: number): number {
    return this.#positions[point]!
  }

  /** Notes an entry; it becomes a point if the last one is far enough behind. */
  note(lsn: number, position: number, timestamp: number): void {
    // Where the first entry is damaged, the search for it still begins where it lies.
    if (this.#count === 0 && lsn > 0) this.#addPoint(0, SEGMENT_HEADER_BYTES)
    const last = this.#count - 1
    if (last < 0 || position - this.#positions[last]! >= this.#intervalBytes) {
      this.#addPoint(lsn, position)
    }
    if (timestamp > this.#maxTimestamp) this.#maxTimestamp = timestamp
  }

  /** Makes an entry a point whatever its distance: what lies before it is damaged and cannot be read past. */
  resume(lsn: number, position: number): void {
    if (this.#count === 0 && lsn > 0) this.#addPoint(0, SEGMENT_HEADER_BYTES)
    const last = this.#count - 1
    // The timestamps of what is damaged are unknown, so a search by time must not begin behind it.
    this.#maxTimestamp = TIMESTAMP_MS_MAX
    if (last < 0 || position > this.#positions[last]!) this.#addPoint(lsn, position)
  }

  #addPoint(lsn: number, position: number): void {
    const at = this.#count
    if (at > 0 && (lsn <= this.#lsns[at - 1]! || position <= this.#positions[at - 1]!)) {
      const last = `${this.#lsns[at - 1]}@${this.#positions[at - 1]}`
      throw new InvariantError(`index point ${lsn}@${position} follows ${last}`)
    }
    if (at === this.#lsns.length) this.#grow()
    this.#lsns[at] = lsn
    this.#positions[at] = position
    this.#times[at] = this.#maxTimestamp
    this.#count++
  }

  #grow(): void {
    const capacity = Math.max(CAPACITY_MIN, this.#lsns.length * 2)
    const lsns = new Uint32Array(capacity)
    const positions = new Uint32Array(capacity)
    const times = new Float64Array(capacity)
    lsns.set(this.#lsns)
    positions.set(this.#positions)
    times.set(this.#times)
    this.#lsns = lsns
    this.#positions = positions
    this.#times = times
  }

  /** The last point whose offset is at most `lsn`, or -1 if there is none. */
  floor(lsn: number): number {
    const lsns = this.#lsns
    let low = 0
    let high = this.#count
    if (high > NEAR * 4) {
      // Points lie about evenly: look first near where this one would be if they did.
      const last = high - 1
      const guess = Math.min(last, Math.floor((lsn / lsns[last]!) * last))
      const before = Math.max(0, guess - NEAR)
      const behind = Math.min(last, guess + NEAR)
      if (lsns[before]! > lsn) high = before
      else if (lsns[behind]! > lsn) {
        low = before + 1
        high = behind
      } else low = behind + 1
    }
    while (low < high) {
      const middle = (low + high) >>> 1
      if (lsns[middle]! <= lsn) low = middle + 1
      else high = middle
    }
    return low - 1
  }

  /**
   * The point from which to look for the first entry whose timestamp is at least `timestamp`: the
   * last one before which all timestamps are lower; -1 if there is no point at all.
   */
  floorTime(timestamp: number): number {
    let low = 0
    let high = this.#count
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#times[middle]! < timestamp) low = middle + 1
      else high = middle
    }
    // Before the first point there is nothing, so it qualifies whatever its column says.
    return this.#count === 0 ? -1 : Math.max(0, low - 1)
  }

  /** Forgets all points at or behind `lsn`. The highest timestamp becomes a bound, not exact. */
  cut(lsn: number): void {
    this.#count = this.floor(lsn - 1) + 1
  }

  /** The bytes of the index file for a store that is `coveredBytes` long. */
  encode(segmentId: number, coveredBytes: number): Uint8Array {
    return encodeIndex({
      segmentId,
      coveredBytes,
      count: this.#count,
      maxTimestamp: this.#maxTimestamp,
      lsns: this.#lsns,
      positions: this.#positions,
      times: this.#times,
    })
  }
}
