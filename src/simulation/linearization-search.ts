import type { HistoryOperation, LinearizabilityModel, Linearization } from './linearizability.ts'
import { LinkedNodes } from './linked-nodes.ts'
import { PlacedSet, SeenConfigurations } from './placed-set.ts'

/** What a search has found, and how many steps of the model it took. */
export interface Found<Input, Output> extends Omit<Linearization<Input, Output>, 'partition'> {
  readonly steps: number
}

/** An operation that is placed, and what it takes to undo that. */
interface Placement<State> {
  readonly operation: number
  readonly before: State
}

/** An order that was reached, and how many of the operations in it have returned. */
interface Reached {
  readonly returned: number
  readonly order: readonly number[]
  readonly state: string
  readonly unplaced: readonly number[]
}

/** The head of the list of operations that have returned. */
const HEAD = 0
/** The head of the list of open operations: those that have not returned. */
const OPEN_HEAD = 1
const HEADS = 2

/**
 * A search for an order of the operations of one partition.
 *
 * The calls and returns that are not placed stand in a list in the order of time, calls before returns of
 * the same moment. An operation can come next if its call is before the first return: so the search walks
 * from the head, places what the model accepts and begins again, and takes the last placement back when it
 * meets a return. Open operations stand in a list of their own, without a return, and are tried only when
 * a return is met: otherwise each of their subsets would be tried before anything else.
 *
 * Nodes: {@link HEAD}, {@link OPEN_HEAD}, then the calls in the order of time, then the returns in the
 * order of their calls.
 */
export class LinearizationSearch<State, Input, Output> {
  readonly #model: LinearizabilityModel<State, Input, Output>
  /** In the order of their calls. */
  readonly #operations: readonly HistoryOperation<Input, Output>[]
  readonly #maxSteps: number
  readonly #nodes: LinkedNodes
  /** The place of each node in the order of time. */
  readonly #rank: Int32Array
  readonly #placed: PlacedSet
  readonly #seen = new SeenConfigurations()
  readonly #stack: Placement<State>[] = []
  #state: State
  #steps = 0
  /** How many of the operations placed have returned, and how many of all. */
  #returned = 0
  #returnedMax = 0
  /**
   * The rank of the return that the walk has met: open calls after it cannot come next. It stays right when
   * an open operation is taken back, because none of the returns were taken out with it.
   */
  #deadline = 0
  #longest: Reached | undefined

  /** `operations` have finite calls; at most `maxSteps` steps of the model are made. */
  constructor(
    model: LinearizabilityModel<State, Input, Output>,
    operations: readonly HistoryOperation<Input, Output>[],
    maxSteps: number,
  ) {
    this.#model = model
    this.#operations = operations.toSorted((a, b) => a.call - b.call)
    this.#maxSteps = maxSteps
    this.#state = model.initial()
    const count = HEADS + 2 * operations.length
    this.#nodes = new LinkedNodes(count)
    this.#rank = new Int32Array(count)
    this.#placed = new PlacedSet(operations.length)
    this.#link()
  }

  /** Searches; to be called once. */
  run(): Found<Input, Output> {
    let node = this.#nodes.next(HEAD)
    while (this.#returned < this.#returnedMax) {
      if (this.#isReturn(node)) {
        this.#deadline = this.#rank[node]!
        node = this.#nodes.next(OPEN_HEAD)
      }
      if (this.#canComeNext(node)) {
        if (this.#steps === this.#maxSteps) return this.#found('unknown', this.#longerOne())
        const isPlaced = this.#place(node - HEADS)
        node = this.#nodes.next(isPlaced ? HEAD : node)
      } else {
        this.#longest = this.#longerOne()
        const operation = this.#takeBack()
        if (operation === undefined) return this.#found('not', this.#longest)
        node = this.#nodes.next(HEADS + operation)
      }
    }
    return this.#found('linearizable', { ...this.#reached(), unplaced: [] })
  }

  #link(): void {
    const events: { readonly node: number; readonly time: number }[] = []
    this.#operations.forEach(({ call, return: end }, operation) => {
      events.push({ node: HEADS + operation, time: call })
      if (this.#isOpen(operation)) return
      events.push({ node: this.#returnOf(operation), time: end })
      this.#returnedMax += 1
    })
    // Nodes of returns are greater than those of calls.
    events.sort((a, b) => a.time - b.time || a.node - b.node)
    events.forEach(({ node }, rank) => {
      this.#rank[node] = rank
      const isOpenCall = !this.#isReturn(node) && this.#isOpen(node - HEADS)
      this.#nodes.append(isOpenCall ? OPEN_HEAD : HEAD, node)
    })
  }

  #isOpen(operation: number): boolean {
    return this.#operations[operation]!.return === Number.POSITIVE_INFINITY
  }

  #returnOf(operation: number): number {
    return HEADS + this.#operations.length + operation
  }

  #isReturn(node: number): boolean {
    return node >= HEADS + this.#operations.length
  }

  /** Whether `node`, which is no return, is a call of the first list, or one of the second in time. */
  #canComeNext(node: number): boolean {
    if (node < HEADS) return false
    return !this.#isOpen(node - HEADS) || this.#rank[node]! < this.#deadline
  }

  /** Places an operation if the model accepts it, and if that leads to where the search has not been. */
  #place(operation: number): boolean {
    const { input, output } = this.#operations[operation]!
    const before = this.#state
    this.#steps += 1
    const after = this.#model.step(before, input, output)
    if (after === undefined) return false
    const isOpen = this.#isOpen(operation)
    const key = this.#model.key(after)
    // One that changes nothing and need not have happened would only double what there is to search.
    if (isOpen && key === this.#model.key(before)) return false
    this.#placed.toggle(operation)
    if (!this.#seen.add(this.#placed, key)) {
      this.#placed.toggle(operation)
      return false
    }
    this.#stack.push({ operation, before })
    this.#state = after
    this.#nodes.takeOut(HEADS + operation)
    if (!isOpen) {
      this.#nodes.takeOut(this.#returnOf(operation))
      this.#returned += 1
    }
    return true
  }

  /** Takes the last placement back and returns its operation; undefined if there is none. */
  #takeBack(): number | undefined {
    const placement = this.#stack.pop()
    if (placement === undefined) return undefined
    const { operation, before } = placement
    if (!this.#isOpen(operation)) {
      this.#nodes.putBack(this.#returnOf(operation))
      this.#returned -= 1
    }
    this.#nodes.putBack(HEADS + operation)
    this.#placed.toggle(operation)
    this.#state = before
    return operation
  }

  /**
   * The longest order so far, the one that is reached now included: first by what has returned, then the
   * one with fewer open operations, which did not help.
   */
  #longerOne(): Reached {
    const longest = this.#longest
    if (longest === undefined || longest.returned < this.#returned) return this.#reached()
    if (longest.returned > this.#returned) return longest
    return longest.order.length > this.#stack.length ? this.#reached() : longest
  }

  #reached(): Reached {
    return {
      returned: this.#returned,
      order: this.#stack.map(({ operation }) => operation),
      state: this.#model.key(this.#state),
      unplaced: this.#candidates(),
    }
  }

  /** What can come next by time: open operations, then those that return, the first to do so last. */
  #candidates(): number[] {
    const candidates: number[] = []
    let node = this.#nodes.next(HEAD)
    while (node >= HEADS && !this.#isReturn(node)) {
      candidates.push(node - HEADS)
      node = this.#nodes.next(node)
    }
    if (node < HEADS) return candidates
    const first = node - this.#returnOf(0)
    const open: number[] = []
    let call = this.#nodes.next(OPEN_HEAD)
    while (call >= HEADS && this.#rank[call]! < this.#rank[node]!) {
      open.push(call - HEADS)
      call = this.#nodes.next(call)
    }
    return [...open, ...candidates.filter((operation) => operation !== first), first]
  }

  #found(verdict: Found<Input, Output>['verdict'], reached: Reached): Found<Input, Output> {
    const operationsAt = (indexes: readonly number[]) =>
      indexes.map((index) => this.#operations[index]!)
    return {
      verdict,
      order: operationsAt(reached.order),
      state: reached.state,
      unplaced: operationsAt(reached.unplaced),
      steps: this.#steps,
    }
  }
}
