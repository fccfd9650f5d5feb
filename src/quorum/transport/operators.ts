import { invariant } from '../../base/index.ts'
import type { Link } from './link.ts'

/** At a time; more are refused. */
const OPERATORS_MAX = 16
/** Members have numbers below. */
const FIRST_ID = 2 ** 32

/** The operators that are connected, each by a number that nobody else is given as long as this process lives. */
export class Operators {
  readonly #links = new Map<number, Link>()
  #next = FIRST_ID

  get isFull(): boolean {
    return this.#links.size >= OPERATORS_MAX
  }

  get(id: number): Link | undefined {
    return this.#links.get(id)
  }

  add(link: Link): number {
    invariant(!this.isFull, 'an operator is let in only if there is room')
    const id = this.#next++
    this.#links.set(id, link)
    return id
  }

  remove(id: number): void {
    this.#links.delete(id)
  }
}
