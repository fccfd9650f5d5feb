// What the workload knows it has done: which contents an offset may have, and which it must have.

/** What must hold of a log that is opened after a crash at some moment. */
export interface Expectation {
  /** Contents that were ever given to an offset and not taken back: anything else was invented. */
  readonly allowed: ReadonlyMap<number, ReadonlySet<string>>
  /** Entries that power loss must not take: acknowledged as durable. */
  readonly durable: ReadonlyMap<number, string>
  /** Entries that the end of the process alone must not take: acknowledged under any policy. */
  readonly acknowledged: ReadonlyMap<number, string>
  /** The low-water mark is in [min, max]: what was confirmed, and what was asked for. */
  readonly lowMin: number
  readonly lowMax: number
}

export class Model {
  readonly #allowed = new Map<number, Set<string>>()
  readonly #durable = new Map<number, string>()
  readonly #acknowledged = new Map<number, string>()
  readonly #cutOff = new Map<number, Set<string>>()
  #lowMin = 0
  #lowMax = 0
  #frozen: Expectation | undefined

  /** The same state, to be changed on its own. */
  get expectation(): Expectation {
    this.#frozen ??= {
      allowed: new Map([...this.#allowed].map(([offset, set]) => [offset, new Set(set)])),
      durable: new Map(this.#durable),
      acknowledged: new Map(this.#acknowledged),
      lowMin: this.#lowMin,
      lowMax: this.#lowMax,
    }
    return this.#frozen
  }

  submitted(offset: number, content: string): void {
    this.#frozen = undefined
    const set = this.#allowed.get(offset) ?? new Set()
    this.#allowed.set(offset, set.add(content))
  }

  acknowledged(offset: number, content: string, isDurable: boolean): void {
    this.#frozen = undefined
    this.#acknowledged.set(offset, content)
    if (isDurable) this.#durable.set(offset, content)
  }

  /** Everything acknowledged until now has been made durable. */
  flushed(upTo: number): void {
    this.#frozen = undefined
    for (const [offset, content] of this.#acknowledged) {
      if (offset < upTo) this.#durable.set(offset, content)
    }
  }

  /** The log has said that this was not written: it must not be seen from now on. */
  retracted(offset: number, content: string): void {
    this.#frozen = undefined
    this.#allowed.get(offset)?.delete(content)
  }

  /** From now on nothing at or above `from` is promised any more. */
  cutBegins(from: number): void {
    this.#frozen = undefined
    for (const map of [this.#durable, this.#acknowledged]) {
      for (const offset of [...map.keys()]) if (offset >= from) map.delete(offset)
    }
    for (const [offset, contents] of this.#allowed) {
      if (offset >= from) this.#cutOff.set(offset, new Set(contents))
    }
  }

  /** What was there when the cut began must never be seen again. */
  cutDone(): void {
    this.#frozen = undefined
    for (const [offset, contents] of this.#cutOff) {
      for (const content of contents) this.#allowed.get(offset)?.delete(content)
    }
    this.#cutOff.clear()
  }

  trimBegins(before: number): void {
    this.#frozen = undefined
    this.#lowMax = Math.max(this.#lowMax, before)
  }

  trimDone(before: number): void {
    this.#frozen = undefined
    this.#lowMin = Math.max(this.#lowMin, before)
  }

  /** What was acknowledged but not made durable is no longer promised. */
  powerLost(): void {
    this.#frozen = undefined
    this.#acknowledged.clear()
    for (const [offset, content] of this.#durable) this.#acknowledged.set(offset, content)
  }

  /** After the end of the process: this is what was found, so this is what there is. */
  restart(low: number, found: ReadonlyMap<number, string>, isDurable: boolean): void {
    this.#frozen = undefined
    this.#allowed.clear()
    this.#durable.clear()
    this.#acknowledged.clear()
    this.#cutOff.clear()
    this.#lowMin = low
    this.#lowMax = low
    for (const [offset, content] of found) {
      this.#allowed.set(offset, new Set([content]))
      this.#acknowledged.set(offset, content)
      if (isDurable) this.#durable.set(offset, content)
    }
  }
}

/** Throws unless the entries that were found are what the expectation allows. */
export function checkFound(
  expected: Expectation,
  promised: ReadonlyMap<number, string>,
  low: number,
  found: ReadonlyMap<number, string>,
): void {
  if (low < expected.lowMin || low > expected.lowMax) {
    throw new Error(`low-water mark ${low}, not in [${expected.lowMin}, ${expected.lowMax}]`)
  }
  for (const [offset, content] of promised) {
    if (offset < low || found.get(offset) === content) continue
    const instead = found.has(offset) ? `"${found.get(offset)}"` : 'nothing'
    throw new Error(`lost: offset ${offset} held "${content}" and now holds ${instead}`)
  }
  for (const [offset, content] of found) {
    if (expected.allowed.get(offset)?.has(content)) continue
    throw new Error(`invented: offset ${offset} holds "${content}", which was never there`)
  }
  checkBatches(low, found)
}

/** Contents say which batch they belong to: `<batch>:<i>/<n>:...`. A batch is there whole or not at all. */
function checkBatches(low: number, found: ReadonlyMap<number, string>): void {
  for (const [offset, content] of found) {
    const [batch, place] = content.split(':') as [string, string]
    const [i, n] = place.split('/').map(Number) as [number, number]
    for (let other = Math.max(low, offset - i); other < offset - i + n; other++) {
      const sibling = found.get(other)
      if (sibling?.startsWith(`${batch}:${other - offset + i}/`)) continue
      throw new Error(
        `torn batch: offset ${offset} holds "${content}" without its sibling ${other}`,
      )
    }
  }
}
