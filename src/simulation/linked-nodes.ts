import { invariant } from '../base/index.ts'

/**
 * Circular lists of small whole numbers, each in one list at the most. What was taken out is put back in
 * the reverse order, as a search does that takes its steps back: then each node still knows its neighbours.
 */
export class LinkedNodes {
  readonly #next: Int32Array
  readonly #previous: Int32Array

  /** Nodes from 0 up to, but without, `count`, each alone in a list of its own. */
  constructor(count: number) {
    this.#next = Int32Array.from({ length: count }, (_, node) => node)
    this.#previous = this.#next.slice()
  }

  next(node: number): number {
    return this.#next[node]!
  }

  /** Moves a node that is alone to the end of the list that begins after `head`. */
  append(head: number, node: number): void {
    invariant(this.#next[node] === node, `node ${node} is in a list already`)
    this.#next[node] = head
    this.#previous[node] = this.#previous[head]!
    this.#join(this.#previous[head]!, node)
    this.#join(node, head)
  }

  takeOut(node: number): void {
    this.#join(this.#previous[node]!, this.#next[node]!)
  }

  /** Undoes the last `takeOut` that is not undone yet. */
  putBack(node: number): void {
    const previous = this.#previous[node]!
    const next = this.#next[node]!
    invariant(this.#next[previous] === next, `the place of node ${node} is taken`)
    this.#join(previous, node)
    this.#join(node, next)
  }

  #join(before: number, after: number): void {
    this.#next[before] = after
    this.#previous[after] = before
  }
}
