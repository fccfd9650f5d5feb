// What must be true of the entries, whatever was killed.
import type { Append, Sent } from './writers.ts'

export interface Read {
  readonly offset: number
  readonly value: string
}

export interface Verdict {
  readonly faults: readonly string[]
  readonly lost: number
  readonly twice: number
  /** Entries whose appends nobody knew the outcome of, and that are there. */
  readonly kept: number
}

/** `entries` is all that a fresh reader sees. */
export function judge(sent: readonly Sent[], entries: readonly Read[]): Verdict {
  const faults: string[] = []
  const places = new Map<string, number[]>()
  for (const { offset, value } of entries) {
    const known = places.get(value)
    if (known) known.push(offset)
    else places.set(value, [offset])
  }
  let lost = 0
  let twice = 0
  let kept = 0
  for (const { name, appends } of sent) {
    let last = -1
    for (const append of appends) {
      const { values, outcome } = append
      const found = values.map((value) => places.get(value) ?? [])
      for (const value of values) places.delete(value)
      const title = `${outcome}: ${values[0]!.replaceAll('.', '')} (${values.length})`
      if (found.some(({ length }) => length > 1)) {
        twice++
        faults.push(`twice: ${title} at ${found.join(' and ')}`)
      }
      const at = found.map(([offset]) => offset)
      const problem = problemOf(append, at)
      if (problem) faults.push(`${problem}: ${title} at ${at.join()}`)
      if (problem === 'lost') lost++
      const [first] = at
      if (first === undefined) continue
      if (outcome === 'unknown') kept += values.length
      if (first <= last) faults.push(`${name} is out of order: ${title} at ${first}, after ${last}`)
      last = at.at(-1)!
    }
  }
  for (const [value, offsets] of places) {
    faults.push(`nobody sent ${value.replaceAll('.', '')} at ${offsets.join()}`)
  }
  return { faults, lost, twice, kept }
}

function problemOf(
  { outcome, first }: Append,
  at: readonly (number | undefined)[],
): string | undefined {
  const there = at.filter((offset) => offset !== undefined)
  if (outcome === 'ok' && there.length < at.length) return 'lost'
  if (outcome === 'refused' && there.length > 0) return 'there, though it was refused'
  if (there.length > 0 && there.length < at.length) return 'a part of a batch'
  if (there.some((offset, i) => offset !== there[0]! + i)) return 'not one after the other'
  if (outcome === 'ok' && there[0] !== first) return `not at ${first}, as was said`
  return undefined
}
