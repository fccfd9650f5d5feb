import { type Random, seededRandom } from '../io/index.ts'
import { invalid, requireNotNegative } from './arguments.ts'

const WORD = 2 ** 32

/**
 * What a simulation draws from a source of randomness. How many words a draw takes depends on its kind alone (and for
 * a shuffle on the length of the list), never on what comes out or on its bounds: so a run in which one probability
 * differs draws everything else from the same words.
 */
export class Draws implements Random {
  readonly #random: Random

  constructor(random: Random) {
    this.#random = random
  }

  uint32(): number {
    return this.#random.uint32()
  }

  /** Uniform in [0, 1), with 53 bits. */
  fraction(): number {
    const high = this.#random.uint32() >>> 5
    const low = this.#random.uint32() >>> 6
    return (high * 2 ** 26 + low) / 2 ** 53
  }

  /** True with the given probability: never for 0 and always for 1. */
  chance(probability: number): boolean {
    return this.fraction() < probability
  }

  /** Uniform in [min, max). */
  between(min: number, max: number): number {
    return min + this.fraction() * (max - min)
  }

  /** A uniform integer from `min` to `max`, both included. INVALID_ARGUMENT if they are no such range. */
  integer(min: number, max: number): number {
    if (!Number.isSafeInteger(min) || !Number.isSafeInteger(max) || min > max) {
      throw invalid(`there is no integer from ${min} to ${max} to draw`)
    }
    return min + Math.floor(this.fraction() * (max - min + 1))
  }

  /** Exponentially distributed with the given mean, which must not be negative (INVALID_ARGUMENT). */
  exponential(mean: number): number {
    return -requireNotNegative(mean, 'mean') * Math.log(1 - this.fraction())
  }

  /** One of `list`, each as likely; INVALID_ARGUMENT if it is empty. */
  pick<T>(list: readonly T[]): T {
    if (list.length === 0) throw invalid('there is nothing to pick from')
    return list[this.integer(0, list.length - 1)] as T
  }

  /** A copy of `list` in an order of which each is as likely. */
  shuffle<T>(list: readonly T[]): T[] {
    const shuffled = [...list]
    for (let last = shuffled.length - 1; last > 0; last--) {
      const other = this.integer(0, last)
      const moved = shuffled[last] as T
      shuffled[last] = shuffled[other] as T
      shuffled[other] = moved
    }
    return shuffled
  }

  /**
   * An independent stream. It takes two words from this one, now; however much is drawn from either later, the other
   * does not notice.
   */
  fork(): Draws {
    // The streams of `seededRandom` are all parts of one circle of 2^32 words, and two long ones may well overlap.
    // Of two such streams combined, no other pair has the same distance.
    const one = seededRandom(this.#random.uint32())
    const other = seededRandom(this.#random.uint32())
    return new Draws({ uint32: () => (one.uint32() + other.uint32()) % WORD })
  }
}
