import type { Snapshots } from '../log/index.ts'
import { SNAPSHOT_PART_BYTES, type SnapshotPart, type SnapshotPartRequest } from './wire/index.ts'

/** So many snapshots are read for others at a time; whoever has not asked for longest begins again. */
const READINGS_MAX = 16

interface Reading {
  readonly chunks: AsyncIterator<Uint8Array>
  next: number
}

/** Reads snapshots for other members, part by part, as fast as they ask. */
export class SnapshotReadings {
  readonly #readings = new Map<string, Reading>()

  /** The part that is asked for; undefined if it cannot be read, or is not the next one. */
  async part(
    from: number,
    { log, mark, reading: number, part }: SnapshotPartRequest,
    snapshots: Snapshots,
  ): Promise<SnapshotPart | undefined> {
    const key = `${from}/${log}/${mark}/${number}`
    if (part === 0) this.#begin(key, snapshots, mark)
    const reading = this.#readings.get(key)
    if (!reading || reading.next !== part) return undefined
    reading.next++
    try {
      const read = await gather(reading.chunks)
      if (read.isLast) this.#readings.delete(key)
      return read
    } catch {
      // Damaged, or replaced by a newer one meanwhile: whoever asks looks for another.
      this.#readings.delete(key)
      return undefined
    }
  }

  #begin(key: string, snapshots: Snapshots, mark: number): void {
    this.#readings.set(key, { chunks: snapshots.read(mark)[Symbol.asyncIterator](), next: 0 })
    if (this.#readings.size <= READINGS_MAX) return
    const [[oldest, { chunks }]] = this.#readings as unknown as [[string, Reading]]
    this.#readings.delete(oldest)
    void chunks.return?.(undefined).catch(() => {})
  }
}

async function gather(chunks: AsyncIterator<Uint8Array>): Promise<SnapshotPart> {
  const parts: Uint8Array[] = []
  let bytes = 0
  while (bytes < SNAPSHOT_PART_BYTES) {
    const next = await chunks.next()
    if (next.done) return { bytes: Buffer.concat(parts), isLast: true }
    parts.push(next.value)
    bytes += next.value.length
  }
  return { bytes: Buffer.concat(parts), isLast: false }
}
