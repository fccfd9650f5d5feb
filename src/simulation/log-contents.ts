import type { LogAppend, LogHistory, LogRead, LogRule, LogViolation } from './log-history.ts'

/** That a client was told, by an acknowledgement or by a read, that a value is at an offset. */
interface Sighting {
  readonly offset: number
  readonly value: string
  readonly by: string
}

/** What a history says about which values are in a log, and at which offsets. */
export class LogContents {
  readonly #history: LogHistory
  readonly #violations: LogViolation[] = []
  /** By offset and by value, what was seen first. */
  readonly #atOffset = new Map<number, Sighting>()
  readonly #ofValue = new Map<string, Sighting>()
  /** Of each value that somebody has appended. */
  readonly #appendOf = new Map<string, LogAppend>()
  /** The offsets that are known to have a value, ascending. */
  readonly #offsets: Float64Array

  constructor(history: LogHistory) {
    this.#history = history
    for (const append of history.appends) {
      for (const value of append.values) this.#appendOf.set(value, append)
    }
    const reported = new Set<string>()
    for (const append of history.appends) this.#noteAppend(append, reported)
    for (const read of history.reads) this.#noteRead(read, reported)
    this.#offsets = Float64Array.from(this.#atOffset.keys()).sort()
  }

  /** The offset at which a value was seen first; undefined if it was not. */
  offsetOf(value: string): number | undefined {
    return this.#ofValue.get(value)?.offset
  }

  /** What is wrong with the contents, whatever the order of time. */
  violations(wholeBatches: boolean): LogViolation[] {
    for (const read of this.#history.reads) this.#checkRead(read)
    this.#checkLost()
    if (wholeBatches) this.#checkBatches()
    return this.#violations
  }

  #noteAppend(append: LogAppend, reported: Set<string>): void {
    const { outcome, values } = append
    if (outcome.kind !== 'ok') return
    const { first, last } = outcome
    const by = textOfAppend(append)
    if (last - first + 1 !== values.length) {
      this.#report('acknowledged', `${by} has ${values.length} values, but ${first} to ${last}`)
    }
    values.forEach((value, index) => {
      if (first + index <= last) this.#note({ offset: first + index, value, by }, reported)
    })
  }

  #noteRead(read: LogRead, reported: Set<string>): void {
    const by = textOfRead(read)
    for (const [offset, value] of read.entries) {
      this.#note({ offset, value, by }, reported)
      const append = this.#appendOf.get(value)
      if (append === undefined) {
        this.#reportOnce(
          reported,
          'phantom',
          value,
          `${at(offset, value)} of ${by}: nobody appended it`,
        )
      } else if (append.outcome.kind === 'failed') {
        const text = `${at(offset, value)} of ${by}: ${textOfAppend(append)} has failed`
        this.#reportOnce(reported, 'phantom', value, text)
      } else if (read.return < append.call) {
        const text = `${at(offset, value)} of ${by}: only later was ${textOfAppend(append)} called`
        this.#reportOnce(reported, 'phantom', value, text)
      }
    }
  }

  #note(sighting: Sighting, reported: Set<string>): void {
    const { offset, value, by } = sighting
    const there = this.#atOffset.get(offset)
    if (there === undefined) this.#atOffset.set(offset, sighting)
    else if (there.value !== value) {
      const text = `${at(offset, value)} of ${by}, but ${at(offset, there.value)} of ${there.by}`
      this.#reportOnce(reported, 'one-value', `${offset} ${value}`, text)
    }
    const elsewhere = this.#ofValue.get(value)
    if (elsewhere === undefined) this.#ofValue.set(value, sighting)
    else if (elsewhere.offset !== offset) {
      const text = `${at(offset, value)} of ${by}, but ${at(elsewhere.offset, value)} of ${elsewhere.by}`
      this.#reportOnce(reported, 'duplicate', `${offset} ${value}`, text)
    }
  }

  #checkRead(read: LogRead): void {
    const { from, entries, highWaterMark } = read
    const by = textOfRead(read)
    let next = from
    for (const [offset, value] of entries) {
      if (offset < next) {
        this.#report('disorder', `${at(offset, value)} of ${by}: expected was ${next} or more`)
        continue
      }
      const skipped = this.#firstKnown(next)
      if (skipped !== undefined && skipped.offset < offset) {
        const text = `${by} goes on at ${offset} and leaves out ${at(skipped.offset, skipped.value)}`
        this.#report('skip', `${text} of ${skipped.by}`)
      }
      if (offset >= highWaterMark) {
        this.#report('uncommitted', `${at(offset, value)} of ${by}: its mark is ${highWaterMark}`)
      }
      next = offset + 1
    }
  }

  /** What was seen at `from`, or at the first offset after it at which anything was. */
  #firstKnown(from: number): Sighting | undefined {
    let low = 0
    let high = this.#offsets.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#offsets[middle]! < from) low = middle + 1
      else high = middle
    }
    return low < this.#offsets.length ? this.#atOffset.get(this.#offsets[low]!) : undefined
  }

  #checkLost(): void {
    const final = finalOf(this.#history)
    for (const append of this.#history.appends) {
      if (append.outcome.kind !== 'ok') continue
      const { first, last } = append.outcome
      append.values.forEach((value, index) => {
        const offset = Math.min(first + index, last)
        if (offset < final.from || offset >= final.mark || final.values.has(value)) return
        const text = `${at(offset, value)} of ${textOfAppend(append)} is not in the final reads`
        this.#report('lost', `${text}, which are from ${final.from} to ${final.mark}`)
      })
    }
  }

  #checkBatches(): void {
    const final = finalOf(this.#history)
    for (const append of this.#history.appends) {
      const { values } = append
      const known = values.findIndex((value) => this.#ofValue.has(value))
      if (known === -1) continue
      const first = this.offsetOf(values[known]!)! - known
      const broken = values.findIndex((value, index) => {
        const offset = this.offsetOf(value)
        if (offset !== undefined) return offset !== first + index
        return first + index >= final.from && first + index < final.mark
      })
      if (broken === -1) continue
      const value = values[broken]!
      const found = this.offsetOf(value) ?? 'nowhere'
      const text = `${textOfAppend(append)} is at ${first + known}`
      this.#report('batch', `${text}, but ${at(first + broken, value)} is ${found}`)
    }
  }

  #reportOnce(reported: Set<string>, rule: LogRule, key: string, text: string): void {
    const id = `${rule} ${key}`
    if (!reported.has(id)) this.#report(rule, text)
    reported.add(id)
  }

  #report(rule: LogRule, text: string): void {
    this.#violations.push({ rule, text })
  }
}

interface Final {
  readonly from: number
  readonly mark: number
  readonly values: ReadonlySet<string>
}

/** What the final reads show; nothing if there are none. */
function finalOf({ reads }: LogHistory): Final {
  let from = Number.POSITIVE_INFINITY
  let mark = 0
  const values = new Set<string>()
  for (const read of reads) {
    if (read.final !== true) continue
    from = Math.min(from, read.from)
    mark = Math.max(mark, read.highWaterMark)
    for (const [, value] of read.entries) values.add(value)
  }
  return { from, mark, values }
}

function at(offset: number, value: string): string {
  return `${JSON.stringify(value)} at ${offset}`
}

/** An append as the texts of violations name it. */
export function textOfAppend({ client, call, return: end, outcome }: LogAppend): string {
  const kind = outcome.kind === 'ok' ? '' : ` (${outcome.kind})`
  return `the append of client ${client} in [${call}, ${end}]${kind}`
}

/** A read as the texts of violations name it. */
export function textOfRead({ client, call, return: end, from }: LogRead): string {
  return `the read of client ${client} in [${call}, ${end}] from ${from}`
}
