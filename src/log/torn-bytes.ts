import type { File } from '../io/index.ts'
import { ReadStep } from './segment-scan.ts'
import type { Steps } from './steps.ts'

const CHUNK_BYTES = 65536

/** Bytes of a store from `from` to the last one that is not zero: what an unfinished write has left. */
export function* tornBytes(file: File, from: number, size: number): Steps<number> {
  const chunk = new Uint8Array(CHUNK_BYTES)
  for (let stop = size; stop > from; stop -= chunk.length) {
    const start = Math.max(from, stop - chunk.length)
    const read = new ReadStep(file, chunk.subarray(0, stop - start), start)
    yield read
    for (let at = read.count - 1; at >= 0; at--) if (chunk[at] !== 0) return start + at + 1 - from
  }
  return 0
}
