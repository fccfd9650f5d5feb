import { TidemarkError } from '../base/index.ts'
import { LogContents } from './log-contents.ts'
import { orderViolations } from './log-order.ts'

/** An append that a client has made. */
export interface LogAppend {
  readonly client: number | string
  /** What was appended, in order: one value, or those of a batch. No value is appended twice in a history. */
  readonly values: readonly string[]
  /** `failed` only if it is certain that nothing was appended, nor ever will be. */
  readonly outcome:
    | { readonly kind: 'ok'; readonly first: number; readonly last: number }
    | { readonly kind: 'failed' }
    | { readonly kind: 'unknown' }
  /** When it was called, on any clock that the whole history shares; finite. */
  readonly call: number
  /** When the outcome was known, not before `call`; of an unknown one it says nothing. */
  readonly return: number
}

/** A read that has answered; others say nothing. */
export interface LogRead {
  readonly client: number | string
  /** The offset that the client asked for, or that it was sent on to where the log was trimmed. */
  readonly from: number
  readonly entries: readonly (readonly [offset: number, value: string])[]
  /** The offset below which all entries were committed, as the answer said. */
  readonly highWaterMark: number
  readonly call: number
  readonly return: number
  /** Whether the read was to see everything that was acknowledged before its call. */
  readonly linearizable: boolean
  /** One of the reads that, together, show what the log holds in the end; false if absent. */
  readonly final?: boolean
}

/** What clients have done with a log, in any order. */
export interface LogHistory {
  readonly appends: readonly LogAppend[]
  readonly reads: readonly LogRead[]
}

/** Options of {@link checkLogHistory}. */
export interface LogHistoryOptions {
  /** Whether the log promises that a batch is there as a whole or not at all; false by default. */
  readonly wholeBatches?: boolean
}

/**
 * What a log must keep. Each is judged by what clients were told alone, and gaps between offsets are
 * allowed:
 *
 * - `one-value`: an offset has one value, whoever looks and whenever;
 * - `duplicate`: a value is at one offset;
 * - `phantom`: what is read was appended, by a call before the answer, and the append has not failed;
 * - `lost`: what was acknowledged below the end of the final reads is in them;
 * - `skip`: a read leaves out nothing between where it begins and its last entry;
 * - `disorder`: the entries of a read ascend, from `from` on;
 * - `uncommitted`: the entries of a read are below its mark;
 * - `acknowledged`: an acknowledgement gives as many offsets as there were values;
 * - `batch`: the values of a batch are adjacent, and in the final reads all or none (`wholeBatches`);
 * - `real-time`: an append is behind all that was acknowledged or shown before its call;
 * - `stale`: a linearizable read has a mark above all that was acknowledged, and not below any that was
 *   shown, before its call;
 * - `backwards`: the mark that one client sees does not fall from one read to the next.
 */
export type LogRule =
  | 'one-value'
  | 'duplicate'
  | 'phantom'
  | 'lost'
  | 'skip'
  | 'disorder'
  | 'uncommitted'
  | 'acknowledged'
  | 'batch'
  | 'real-time'
  | 'stale'
  | 'backwards'

/** A rule that a history breaks, and how: with the values, the offsets and the moments. */
export interface LogViolation {
  readonly rule: LogRule
  readonly text: string
}

/**
 * Everything in which a history breaks the rules of a log (see {@link LogRule}), in the order of the rules.
 * The offsets say in which order things happened, so nothing is searched for, unlike by
 * `checkLinearizable`: it takes n log n time for n values, and misses nothing for the length of a history.
 * Operations that touch at one moment are concurrent.
 *
 * Throws INVALID_ARGUMENT if a value is appended twice, an append has no values, an offset or a mark is not
 * a whole number of at least 0, or a time is none.
 */
export function checkLogHistory(
  history: LogHistory,
  options: LogHistoryOptions = {},
): LogViolation[] {
  requireValid(history)
  const contents = new LogContents(history)
  return [
    ...contents.violations(options.wholeBatches ?? false),
    ...orderViolations(history, contents),
  ]
}

function requireValid({ appends, reads }: LogHistory): void {
  const values = new Set<string>()
  for (const append of appends) {
    requireInterval(append.call, append.outcome.kind === 'unknown' ? append.call : append.return)
    if (append.values.length === 0) throw invalid(`the append at ${append.call} has no values`)
    for (const value of append.values) {
      if (values.has(value)) throw invalid(`${JSON.stringify(value)} is appended twice`)
      values.add(value)
    }
    if (append.outcome.kind !== 'ok') continue
    requireOffset(append.outcome.first, 'first')
    requireOffset(append.outcome.last, 'last')
  }
  for (const { from, entries, highWaterMark, call, return: end } of reads) {
    requireInterval(call, end)
    requireOffset(from, 'from')
    requireOffset(highWaterMark, 'highWaterMark')
    for (const [offset] of entries) requireOffset(offset, 'the offset of an entry')
  }
}

function requireInterval(call: number, end: number): void {
  if (!Number.isFinite(call)) throw invalid(`call must be a finite number, but is ${call}`)
  if (!(end >= call && Number.isFinite(end))) {
    throw invalid(`return must be a finite number from ${call}, its call, on, but is ${end}`)
  }
}

function requireOffset(offset: number, name: string): void {
  if (Number.isSafeInteger(offset) && offset >= 0) return
  throw invalid(`${name} must be a whole number of at least 0, but is ${offset}`)
}

function invalid(message: string): TidemarkError {
  return new TidemarkError('INVALID_ARGUMENT', message)
}
