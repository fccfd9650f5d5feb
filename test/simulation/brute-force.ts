import type { HistoryOperation, LinearizabilityModel } from 'tidemark/testing'

/**
 * Whether a small history is linearizable, by the definition alone: some order of all operations that have
 * returned and of some of the others keeps the order of time, and the model accepts it.
 */
export function isLinearizableByForce<State, Input, Output>(
  model: LinearizabilityModel<State, Input, Output>,
  history: readonly HistoryOperation<Input, Output>[],
): boolean {
  const orderFrom = (state: State, left: readonly HistoryOperation<Input, Output>[]): boolean => {
    if (left.every((operation) => operation.return === Number.POSITIVE_INFINITY)) return true
    return left.some((operation) => {
      const others = left.filter((other) => other !== operation)
      if (others.some((other) => other.return < operation.call)) return false
      const after = model.step(state, operation.input, operation.output)
      return after !== undefined && orderFrom(after, others)
    })
  }
  return orderFrom(model.initial(), history)
}

/** What is wrong with an order that is claimed to be a linearization of `history`; undefined if nothing. */
export function faultOfOrder<State, Input, Output>(
  model: LinearizabilityModel<State, Input, Output>,
  history: readonly HistoryOperation<Input, Output>[],
  order: readonly HistoryOperation<Input, Output>[],
): string | undefined {
  if (new Set(order).size !== order.length) return 'an operation is there twice'
  let state = model.initial()
  for (const [index, operation] of order.entries()) {
    if (!history.includes(operation)) return `${index} is not of the history`
    const later = order.slice(index + 1)
    if (later.some((other) => other.return < operation.call)) return `${index} is too early`
    const after = model.step(state, operation.input, operation.output)
    if (after === undefined) return `${index} is refused`
    state = after
  }
  const isMissing = history.some(
    (operation) => operation.return < Number.POSITIVE_INFINITY && !order.includes(operation),
  )
  return isMissing ? 'an operation that has returned is missing' : undefined
}
