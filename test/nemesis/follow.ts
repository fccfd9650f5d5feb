import { setTimeout as delay } from 'node:timers/promises'
import type { ReplicatedLog } from 'tidemark/quorum'
import { nameOf } from './texts.ts'

const SAID_EVERY_MS = 50
const AGAIN_MS = 100
/** A reader begins so far behind the end: what lies before was followed in an earlier life, and is read in the end. */
const BEHIND = 200
const ENTRIES_MAX = 2000

interface More {
  readonly log: string
  readonly entries: [number, string][]
  readonly highWaterMark: number
  readonly reader: number
}

/** Reads along as long as the process lives, and says what comes. */
export async function follow(
  log: ReplicatedLog<Buffer, Uint8Array | string>,
  isOver: () => boolean,
  say: (more: More) => void,
): Promise<void> {
  let next = Math.max(log.lowWaterMark, log.highWaterMark - BEHIND)
  let entries: [number, string][] = []
  let reader = 0
  let isReading = false
  const flush = () => {
    say({ log: log.name, entries, highWaterMark: log.highWaterMark, reader })
    entries = []
  }
  const timer = setInterval(() => isReading && flush(), SAID_EVERY_MS)
  while (!isOver()) {
    try {
      const from = Math.max(next, log.lowWaterMark)
      reader++
      isReading = true
      for await (const { offset, data } of log.read({ from, follow: true })) {
        entries.push([offset, nameOf(data.toString())])
        next = offset + 1
        if (entries.length >= ENTRIES_MAX) flush()
      }
    } catch {
      // Trimmed below it, or its replica has failed, which the member says itself: one that was opened again
      // after that may know of less that is safe.
    }
    if (isReading) flush()
    isReading = false
    await delay(AGAIN_MS)
  }
  clearInterval(timer)
}
