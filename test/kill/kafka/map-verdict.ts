// What must be true of the maps, whatever was killed.
import type { Entry } from 'tidemark'
import { getU16, getU32 } from '#dist/base/index.js'
import { decodeCommand, KIND } from '#dist/machine/command-format.js'
import { OPERATION } from '#dist/machine/map-command.js'
import { ordinalOf } from '#dist/machine/session-id.js'
import { type Answer, type MapEntry, MapModel, type MapOperation } from '../../machine/map-model.ts'
import type { Answered } from './map-clients.ts'

const CHANGE_BYTES = 13
/** More than the ring takes. */
const RULES = { max: 10_000, idleMs: 3_600_000, requests: 100 }

type State = readonly (readonly [string, string])[]

/** `states` are those of the maps, and of one that was built of the whole log at the end. */
export function mapFaults(
  entries: readonly Entry<Buffer>[],
  answered: readonly Answered[],
  states: readonly State[],
): string[] {
  const faults: string[] = []
  const model = new MapModel(RULES)
  const answers = new Map<string, Answer>()
  for (const entry of entries) {
    if (entry.offset !== model.next) faults.push(`a gap before ${entry.offset} in the commands`)
    const known = mapEntryOf(entry)
    const answer = model.apply(known)
    if (known.id) answers.set(`${known.id.session} ${known.id.request}`, answer)
  }
  for (const { session, request, result } of answered) {
    const answer = answers.get(`${session} ${request}`)
    if (answer === result) continue
    faults.push(
      `request ${request} of ${session} was answered with ${result}, the log says ${answer}`,
    )
  }
  const expected = JSON.stringify(model.entries())
  for (const [i, state] of states.entries()) {
    const found = JSON.stringify(state)
    if (found !== expected) faults.push(`map ${i} has ${found}, the model ${expected}`)
  }
  return faults
}

function mapEntryOf(entry: Entry<Buffer>): MapEntry {
  const { kind, first, second, body } = decodeCommand(entry)
  const { timestamp } = entry
  if (kind === KIND.openSession) return { operation: { kind: 'openSession' }, timestamp }
  return {
    operation: operationOf(body),
    timestamp,
    id: { session: ordinalOf(first)!, request: second },
  }
}

function operationOf(body: Buffer): MapOperation {
  const [one, next] = changesIn(body.subarray(1)) as [Change, Change?]
  if (body[0] === OPERATION.set) return { kind: 'set', key: one.key, value: one.value! }
  const { key, value: expected } = one
  return { kind: 'compareAndSet', key, expected, next: next?.value }
}

interface Change {
  readonly key: string
  readonly value: string | undefined
}

function changesIn(bytes: Buffer): Change[] {
  const changes: Change[] = []
  for (let at = 0; at < bytes.length; ) {
    const keyAt = at + CHANGE_BYTES
    const valueAt = keyAt + getU16(bytes, at + 7)
    const end = valueAt + getU32(bytes, at + 9)
    const hasValue = (bytes[at]! & 1) !== 0
    changes.push({
      key: bytes.toString('utf8', keyAt, valueAt),
      value: hasValue ? JSON.parse(bytes.toString('utf8', valueAt, end)) : undefined,
    })
    at = end
  }
  return changes
}
