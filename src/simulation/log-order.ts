import { type LogContents, textOfAppend, textOfRead } from './log-contents.ts'
import type { LogHistory, LogRead, LogViolation } from './log-history.ts'

/** From a moment on, a log must not end before an offset. */
interface Floor {
  readonly since: number
  readonly end: number
  readonly by: () => string
}

/** What is wrong with the order of time in which a log grew, as its clients saw it. */
export function orderViolations(history: LogHistory, contents: LogContents): LogViolation[] {
  const { appends, reads } = history
  const acknowledged: Floor[] = appends.flatMap((append) => {
    if (append.outcome.kind !== 'ok') return []
    const { last } = append.outcome
    const by = () => `${textOfAppend(append)} was given ${last}`
    return [{ since: append.return, end: last + 1, by }]
  })
  const floors = floorsOf([...acknowledged, ...reads.map(floorOf)])
  return [
    ...appendViolations(history, contents, floors),
    ...staleViolations(reads, floors),
    ...backwardsViolations(reads),
  ]
}

function appendViolations(
  { appends }: LogHistory,
  contents: LogContents,
  floors: readonly Floor[],
): LogViolation[] {
  return appends.flatMap((append) => {
    const floor = floorBefore(floors, append.call)
    if (floor === undefined) return []
    const known = append.values.map((value) => contents.offsetOf(value)).filter(isKnown)
    const first = known.reduce((least, offset) => Math.min(least, offset), Number.POSITIVE_INFINITY)
    if (first >= floor.end) return []
    const text = `${textOfAppend(append)} is at ${first}, but before its call ${floor.by()}`
    return [{ rule: 'real-time', text }]
  })
}

function staleViolations(reads: readonly LogRead[], floors: readonly Floor[]): LogViolation[] {
  return reads.flatMap((read) => {
    const floor = read.linearizable ? floorBefore(floors, read.call) : undefined
    if (floor === undefined || read.highWaterMark >= floor.end) return []
    const text = `${textOfRead(read)} has the mark ${read.highWaterMark}, but before its call`
    return [{ rule: 'stale', text: `${text} ${floor.by()}` }]
  })
}

function backwardsViolations(reads: readonly LogRead[]): LogViolation[] {
  const readsOf = new Map<LogRead['client'], LogRead[]>()
  for (const read of reads) {
    const own = readsOf.get(read.client)
    if (own) own.push(read)
    else readsOf.set(read.client, [read])
  }
  return [...readsOf.values()].flatMap((own) => {
    const floors = floorsOf(own.map(floorOf))
    return own.flatMap((read) => {
      const floor = floorBefore(floors, read.call)
      if (floor === undefined || read.highWaterMark >= floor.end) return []
      const text = `${textOfRead(read)} has the mark ${read.highWaterMark}, but before its call`
      return [{ rule: 'backwards', text: `${text} ${floor.by()}` }]
    })
  })
}

function floorOf(read: LogRead): Floor {
  const { return: since, highWaterMark: end } = read
  return { since, end, by: () => `${textOfRead(read)} had the mark ${end}` }
}

/** Those floors that are higher than all before them, in the order of time. */
function floorsOf(floors: readonly Floor[]): Floor[] {
  const rising: Floor[] = []
  for (const floor of floors.toSorted((a, b) => a.since - b.since)) {
    if (floor.end > (rising.at(-1)?.end ?? 0)) rising.push(floor)
  }
  return rising
}

/** The highest floor before a moment; what touches it is concurrent. */
function floorBefore(floors: readonly Floor[], moment: number): Floor | undefined {
  let low = 0
  let high = floors.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (floors[middle]!.since < moment) low = middle + 1
    else high = middle
  }
  return floors[low - 1]
}

function isKnown(offset: number | undefined): offset is number {
  return offset !== undefined
}
