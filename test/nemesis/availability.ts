/** How long nothing was acknowledged at a time while a majority was healthy. */
export class Availability {
  longestMs = 0
  readonly #harmed = new Map<number, number>()
  readonly #majority: () => number
  readonly #ids: () => readonly number[]
  #lastAt = performance.now()
  #healthySince: number | undefined = performance.now()

  constructor(ids: () => readonly number[], majority: () => number) {
    this.#ids = ids
    this.#majority = majority
  }

  acknowledged(): void {
    const now = performance.now()
    this.#close(now)
    this.#lastAt = now
  }

  harm(ids: readonly number[]): void {
    for (const id of ids) this.#harmed.set(id, (this.#harmed.get(id) ?? 0) + 1)
    this.#look()
  }

  heal(ids: readonly number[]): void {
    for (const id of ids) this.#harmed.set(id, (this.#harmed.get(id) ?? 0) - 1)
    this.#look()
  }

  #look(): void {
    const now = performance.now()
    const healthy = this.#ids().filter((id) => (this.#harmed.get(id) ?? 0) === 0)
    const isMajority = healthy.length >= this.#majority()
    if (!isMajority) this.#close(now)
    if (!isMajority) this.#healthySince = undefined
    else this.#healthySince ??= now
  }

  #close(now: number): void {
    if (this.#healthySince === undefined) return
    this.longestMs = Math.max(this.longestMs, now - Math.max(this.#lastAt, this.#healthySince))
  }
}
