import type { SeenNotice } from './notices.ts'

interface Reader {
  next: number
  mark: number
}

/** What the readers were given that follow each log on each member, judged as it comes. */
export class Followed {
  readonly faults: string[] = []
  /** By log and offset, the name of what anyone was shown. */
  readonly #shown = new Map<string, (string | undefined)[]>()
  readonly #readers = new Map<string, Reader>()
  count = 0

  take(
    member: number,
    life: number,
    { log, entries, highWaterMark, reader: number }: SeenNotice,
    isDamaged: boolean,
  ): void {
    const key = `${log} of member ${member} in life ${life}, reader ${number}`
    const reader = this.#readers.get(key) ?? { next: 0, mark: 0 }
    this.#readers.set(key, reader)
    // A replica that leaves damage behind begins anew at the low-water mark, or with nothing.
    if (highWaterMark < reader.mark && !isDamaged) {
      this.faults.push(`${key}: the mark falls from ${reader.mark} to ${highWaterMark}`)
    }
    reader.mark = highWaterMark
    const shown = this.#shown.get(log) ?? []
    this.#shown.set(log, shown)
    for (const [offset, name] of entries) {
      this.count++
      if (offset < reader.next) {
        this.faults.push(`${key}: a reader is given ${offset} after ${reader.next - 1}`)
      }
      if (offset >= highWaterMark) {
        this.faults.push(`${key}: ${offset} is shown, but the mark is ${highWaterMark}`)
      }
      const before = shown[offset]
      if (before !== undefined && before !== name) {
        this.faults.push(`${key}: ${offset} is ${name}, but was ${before}`)
      }
      reader.next = offset + 1
      shown[offset] = name
    }
  }

  /** All that anyone was shown of a log, in order. */
  shownOf(log: string): readonly (readonly [offset: number, name: string])[] {
    const found: [number, string][] = []
    this.#shown.get(log)?.forEach((name, offset) => {
      if (name !== undefined) found.push([offset, name])
    })
    return found
  }
}
