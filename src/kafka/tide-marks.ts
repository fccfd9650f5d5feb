import { TidemarkError } from '../base/index.ts'
import type { Fetched } from './fetch-response.ts'

/** What is known here of the two marks of a partition. They never fall. */
export class TideMarks {
  readonly #name: string
  #low = 0
  #high = 0
  /** True while somebody's transaction was open when the brokers were asked last. */
  #isHeldBack = false

  constructor(name: string) {
    this.#name = name
  }

  get low(): number {
    return this.#low
  }

  get high(): number {
    return this.#high
  }

  raiseLow(offset: number): void {
    this.#low = Math.max(this.#low, offset)
    this.#high = Math.max(this.#high, offset)
  }

  raiseHigh(offset: number): void {
    this.#high = Math.max(this.#high, offset)
  }

  /** An own append is safe. It is shown at once, unless a transaction of somebody else stands before it. */
  appended(end: number): void {
    if (!this.#isHeldBack) this.raiseHigh(end)
  }

  /** Learns from an answer; `isCommittedOnly` says which of its marks counts. */
  learn(fetched: Fetched, isCommittedOnly: boolean): void {
    const { highWatermark, lastStable, logStart } = fetched
    this.#isHeldBack = isCommittedOnly && lastStable < highWatermark
    if (logStart >= 0) this.raiseLow(logStart)
    this.raiseHigh(isCommittedOnly ? lastStable : highWatermark)
  }

  /** Nothing up to `stable` belongs to a transaction that is open, and the partition ends at `end`. */
  learnStable(stable: number, end: number): void {
    this.#isHeldBack = stable < end
    this.raiseHigh(stable)
  }

  /** Throws CORRUPT if the partition ends before what was known to be safe when its end was asked for. */
  checkEnd(end: number, known: number): void {
    if (end >= known) return
    const problem = `${this.#name} ends at ${end}, though entries below ${known} were acknowledged: its replicas have lost them`
    throw new TidemarkError('CORRUPT', problem, { offset: end })
  }
}
