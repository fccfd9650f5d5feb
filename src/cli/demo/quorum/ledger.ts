/** What has become of an append, as its sender knows. Those that are acknowledged have an offset instead. */
export const UNANSWERED = -1
/** It certainly is not in the log. */
export const REFUSED = -2

/** Every line that was sent, by its number: through which life of a member, and what was answered. */
export class Ledger {
  readonly #outcomes: number[] = []
  readonly #lives: number[] = []
  acknowledged = 0
  refused = 0
  /** Their member has ended, or no longer knows: they may be in the log, once. */
  unknown = 0

  /** How many were sent. */
  get sent(): number {
    return this.#outcomes.length
  }

  /** Returns the number of the line. */
  send(life: number): number {
    this.#lives.push(life)
    return this.#outcomes.push(UNANSWERED) - 1
  }

  acknowledge(number: number, offset: number): void {
    this.#outcomes[number] = offset
    this.acknowledged++
  }

  refuse(number: number): void {
    this.#outcomes[number] = REFUSED
    this.refused++
  }

  /** An offset, `UNANSWERED` or `REFUSED`; undefined if there is no such line. */
  outcome(number: number): number | undefined {
    return this.#outcomes[number]
  }

  /** Lines of one life are appended in the order of their numbers. */
  life(number: number): number {
    return this.#lives[number]!
  }
}
