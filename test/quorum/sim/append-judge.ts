// What must have become of appends, by the whole log that was ever committed: also of what was trimmed since.
import type { LogAppend } from 'tidemark/testing'
import type { Batch } from '#dist/quorum/core/index.js'
import { type BatchEntry, decodeReceipt, TYPE_RECEIPT } from '#dist/quorum/wire/index.js'
import { Violation } from './invariants.ts'

/** Throws {@link Violation}. `sessions`: the appends of each, in the order of the calls. */
export function judgeAppends(
  committed: Iterable<Batch>,
  appends: readonly LogAppend[],
  sessions: ReadonlyMap<number, readonly number[]>,
): void {
  const offsets = offsetsOf(committed)
  for (const { values, outcome } of appends) {
    if (outcome.kind === 'failed') {
      const found = values.find((value) => offsets.has(value))
      if (found) throw new Violation('Certain', `${found} was said not to be appended, and is`)
    } else if (outcome.kind === 'ok' && offsets.get(values[0]!) !== outcome.first) {
      const at = offsets.get(values[0]!)
      throw new Violation('Acknowledged', `${values[0]} is at ${at}, not at ${outcome.first}`)
    }
  }
  for (const [session, calls] of sessions) {
    let before = -1
    for (const call of calls) {
      const { values, outcome } = appends[call]!
      const offset = offsets.get(values[0]!) ?? before
      if (offset < before) {
        const text = `${values[0]} (${outcome.kind}) of session ${session} at ${offset}`
        throw new Violation('Order', `${text} is not behind what was appended before, at ${before}`)
      }
      before = offset
    }
  }
}

/** Where each value is. Nothing is there twice. */
function offsetsOf(committed: Iterable<Batch>): Map<string, number> {
  const offsets = new Map<string, number>()
  const receipts = new Set<string>()
  for (const { kind, start, payload } of committed) {
    if (kind !== 'data') continue
    let offset = start
    for (const { type, data, count } of payload as readonly BatchEntry[]) {
      const bytes = Buffer.from(data)
      if (type === TYPE_RECEIPT) {
        const { session, request } = decodeReceipt(bytes)
        const text = `${session}/${request}`
        if (receipts.has(text)) throw new Violation('Once', `the request ${text} is there twice`)
        receipts.add(text)
      } else {
        const value = bytes.toString()
        const other = offsets.get(value)
        if (other !== undefined) {
          throw new Violation('Once', `${value} is at ${other} and at ${offset}`)
        }
        offsets.set(value, offset)
      }
      offset += count
    }
  }
  return offsets
}
