import { invariant } from '../base/index.ts'
import type { LinearizabilityModel } from './linearizability.ts'

/** An operation on one key; `null` stands for a key that is not there. */
export type KeyValueInput =
  | { readonly op: 'get'; readonly key: string }
  | { readonly op: 'set'; readonly key: string; readonly value: string }
  | { readonly op: 'delete'; readonly key: string }
  | {
      readonly op: 'cas'
      readonly key: string
      /** The swap is made only if this is the value. */
      readonly expected: string | null
      readonly value: string | null
    }

/**
 * What `get` saw; or whether the operation was applied: `cas` if it has swapped, `delete` if there was
 * something to delete, `set` always.
 */
export type KeyValueOutput = { readonly value: string | null } | { readonly applied: boolean }

/**
 * A map with compare-and-set, or a register if there is but one key: each key is a partition of its own,
 * so a state is the value of one key. Throws InvariantError if an output is not of the kind of its input.
 */
export const keyValueModel: LinearizabilityModel<string | null, KeyValueInput, KeyValueOutput> = {
  initial: () => null,

  step(state, input, output) {
    if (input.op === 'get') {
      if (output === undefined) return state
      invariant('value' in output, `the output of get is ${JSON.stringify(output)}`)
      return output.value === state ? state : undefined
    }
    const isApplied = applies(state, input)
    if (output !== undefined) {
      invariant('applied' in output, `the output of ${input.op} is ${JSON.stringify(output)}`)
      if (output.applied !== isApplied) return undefined
    }
    if (!isApplied) return state
    return input.op === 'delete' ? null : input.value
  },

  key: (state) => (state === null ? 'absent' : `=${state}`),

  partition: ({ key }) => key,
}

function applies(state: string | null, input: Exclude<KeyValueInput, { op: 'get' }>): boolean {
  if (input.op === 'cas') return state === input.expected
  return input.op === 'set' || state !== null
}
