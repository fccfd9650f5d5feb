import { TidemarkError } from '../base/index.ts'
import { type Found, LinearizationSearch } from './linearization-search.ts'

/** What a client asked of a system, when, and what it was told. */
export interface HistoryOperation<Input, Output> {
  /** Whose operation it is; for reports only. */
  readonly client: number | string
  readonly input: Input
  /** What the system answered. Absent if that is not known: the model must take any answer then. */
  readonly output?: Output
  /** When it was called, on any clock that all operations share; finite. */
  readonly call: number
  /**
   * When the answer came, not before `call`; `Infinity` if none did, or one that leaves open whether the
   * operation has happened (a timeout, a lost connection). Such an operation may happen at any time after
   * its call, or never. One that is known not to have happened does not belong into the history.
   */
  readonly return: number
}

/**
 * A sequential system that a concurrent one is compared with. A state must never change, and is anything
 * but undefined.
 */
export interface LinearizabilityModel<State, Input, Output> {
  initial(): State
  /**
   * The state after an operation that happens in `state`; undefined if a system in that state would not
   * have given this `output`. `output` is undefined if nobody knows it: what the operation does must
   * follow from `state` and `input` alone.
   */
  step(state: State, input: Input, output: Output | undefined): State | undefined
  /** A text that is equal for equal states, and only for those. */
  key(state: State): string
  /**
   * The part of the system that an operation belongs to, such as a key. Each part begins in the initial
   * state and is checked alone, which costs far less: a history is linearizable if each part of it is
   * (Herlihy and Wing, 1990, the locality of linearizability). Absent: all is one part.
   */
  partition?(input: Input): string
}

/** Options of {@link checkLinearizable}. */
export interface LinearizabilityOptions {
  /**
   * So many calls of the model's `step` are made at the most, over all partitions; 1,000,000 by default.
   * The memory grows with them too.
   */
  readonly maxSteps?: number
}

/** How far one partition of a history could be put in order. */
export interface Linearization<Input, Output> {
  /** As the model names it; empty if the model has no partitions. */
  readonly partition: string
  readonly verdict: 'linearizable' | 'not' | 'unknown'
  /**
   * Operations in an order that the model accepts and that keeps the order of time: if `verdict` is
   * `linearizable`, everything that has returned and what else must have happened. Otherwise the longest
   * such order that was found of a beginning of the history.
   */
  readonly order: readonly HistoryOperation<Input, Output>[]
  /** The model's key of the state after `order`. */
  readonly state: string
  /**
   * The operations that could have come next, by time, and that could not be placed: the first to return
   * is at the end. Empty if `verdict` is `linearizable`.
   */
  readonly unplaced: readonly HistoryOperation<Input, Output>[]
}

/** What {@link checkLinearizable} has found. */
export interface LinearizabilityReport<Input, Output> {
  /** `not` if a partition is not linearizable; else `unknown` if the steps did not suffice for one. */
  readonly verdict: 'linearizable' | 'not' | 'unknown'
  /** How often the model's `step` was called. */
  readonly steps: number
  /** Each partition that was looked at, in the order of its first operation, up to one that is `not`. */
  readonly partitions: readonly Linearization<Input, Output>[]
  /** The partition that decided, unless the verdict is `linearizable`. */
  readonly longest?: Linearization<Input, Output>
}

const MAX_STEPS = 1_000_000

/**
 * Whether every operation of `history` can have happened at one moment between its call and its return,
 * both included, so that the answers are those of `model`. Operations that touch at one moment are
 * concurrent.
 *
 * The search is that of Wing and Gong ("Testing and verifying concurrent objects", 1993) with the memo of
 * Lowe. It ends: the problem is NP-complete, so after `maxSteps` the verdict is `unknown`. Operations whose
 * outcome is unknown cost most; they are placed only where nothing else can be.
 *
 * Throws INVALID_ARGUMENT if a `call` is not finite, a `return` is before its call, or `maxSteps` is not a
 * whole number of at least 1.
 */
export function checkLinearizable<State, Input, Output>(
  model: LinearizabilityModel<State, Input, Output>,
  history: readonly HistoryOperation<Input, Output>[],
  options: LinearizabilityOptions = {},
): LinearizabilityReport<Input, Output> {
  const { maxSteps = MAX_STEPS } = options
  if (!Number.isSafeInteger(maxSteps) || maxSteps < 1) {
    throw invalid(`maxSteps must be a whole number of at least 1, but is ${maxSteps}`)
  }
  const partitions: Linearization<Input, Output>[] = []
  let steps = 0
  for (const [partition, operations] of partitioned(model, history)) {
    const search = new LinearizationSearch(model, operations, maxSteps - steps)
    const found: Found<Input, Output> = search.run()
    steps += found.steps
    const { verdict, order, state, unplaced } = found
    partitions.push({ partition, verdict, order, state, unplaced })
    if (verdict === 'not') break
  }
  const longest =
    partitions.find(({ verdict }) => verdict === 'not') ??
    partitions.find(({ verdict }) => verdict === 'unknown')
  if (longest === undefined) return { verdict: 'linearizable', steps, partitions }
  return { verdict: longest.verdict, steps, partitions, longest }
}

/** How many operations of an order a text shows, counted from its end. */
const LINES_MAX = 20

/** A linearization as lines for a human: the end of the order, the state, and what could not be placed. */
export function describeLinearization<Input, Output>(
  linearization: Linearization<Input, Output>,
): string {
  const { partition, verdict, order, state, unplaced } = linearization
  const shown = order.slice(-LINES_MAX)
  const hidden = order.length - shown.length
  return [
    `${verdict}${partition === '' ? '' : `, partition ${partition}`}: ${order.length} placed`,
    ...(hidden > 0 ? [`  ... ${hidden} before`] : []),
    ...shown.map((operation) => `  ${lineOf(operation)}`),
    `state ${state}`,
    ...unplaced.map((operation) => `  not placed: ${lineOf(operation)}`),
  ].join('\n')
}

function lineOf<Input, Output>(operation: HistoryOperation<Input, Output>): string {
  const { client, input, output, call } = operation
  const answer = output === undefined ? '?' : JSON.stringify(output)
  return `[${call}, ${operation.return}] client ${client}: ${JSON.stringify(input)} -> ${answer}`
}

function partitioned<State, Input, Output>(
  model: LinearizabilityModel<State, Input, Output>,
  history: readonly HistoryOperation<Input, Output>[],
): Map<string, HistoryOperation<Input, Output>[]> {
  const partitions = new Map<string, HistoryOperation<Input, Output>[]>()
  for (const operation of history) {
    requireInterval(operation.call, operation.return)
    const partition = model.partition?.(operation.input) ?? ''
    const operations = partitions.get(partition)
    if (operations) operations.push(operation)
    else partitions.set(partition, [operation])
  }
  return partitions
}

function requireInterval(call: number, end: number): void {
  if (!Number.isFinite(call)) throw invalid(`call must be a finite number, but is ${call}`)
  if (!(end >= call)) throw invalid(`return must be at ${call}, its call, or later, but is ${end}`)
}

function invalid(message: string): TidemarkError {
  return new TidemarkError('INVALID_ARGUMENT', message)
}
