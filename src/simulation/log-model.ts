import { hash } from 'node:crypto'
import { invariant } from '../base/index.ts'
import type { LinearizabilityModel } from './linearizability.ts'

/** An operation on a log: `append` adds one value to its end, `read` reads all of it. */
export type LogInput = { readonly op: 'append'; readonly value: string } | { readonly op: 'read' }

/**
 * The offset that an append was given; or the end of the log, which is the offset after its last entry,
 * with the {@link rollingHash} over the values of all entries.
 */
export type LogOutput =
  | { readonly offset: number }
  | { readonly end: number; readonly hash: string }

/** A log, as far as its clients can tell one from another. */
export interface LogModelState {
  readonly end: number
  readonly hash: string
}

/** The hash of an empty log. */
export const EMPTY_LOG_HASH = ''

const HASH_DIGITS = 16

/**
 * The hash of a log to which `value` is appended, of the hash before: 64 bits of SHA-1, as hexadecimal. So
 * a state has the same size however long the log is.
 */
export function rollingHash(before: string, value: string): string {
  return hash('sha1', `${before} ${value}`, 'hex').slice(0, HASH_DIGITS)
}

/**
 * A log that begins empty at offset 0 and whose offsets have no gaps. Throws InvariantError if an output is
 * not of the kind of its input.
 */
export const logModel: LinearizabilityModel<LogModelState, LogInput, LogOutput> = {
  initial: () => ({ end: 0, hash: EMPTY_LOG_HASH }),

  step(state, input, output) {
    if (input.op === 'read') {
      if (output === undefined) return state
      invariant('end' in output, `the output of a read is ${JSON.stringify(output)}`)
      return output.end === state.end && output.hash === state.hash ? state : undefined
    }
    if (output !== undefined) {
      invariant('offset' in output, `the output of an append is ${JSON.stringify(output)}`)
      if (output.offset !== state.end) return undefined
    }
    return { end: state.end + 1, hash: rollingHash(state.hash, input.value) }
  },

  key: ({ end, hash }) => `${end} ${hash}`,
}
