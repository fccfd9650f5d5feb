import { TidemarkError } from '../base/index.ts'
import { type BadRange, checkRange } from './check-range.ts'
import { checkIndexFile } from './index-check.ts'
import { runJob } from './jobs.ts'
import { writeIndex } from './roll.ts'
import { type Segment, segmentAt } from './segment.ts'
import { ReadStep } from './segment-scan.ts'
import type { Steps } from './steps.ts'
import type { WriterState } from './writer-state.ts'

/** Called with how many bytes were read; what comes next waits for it. May throw, to end the check. */
export type Pace = (bytes: number) => Promise<void> | void

/** What a look at all bytes of a segment has found. */
export interface SegmentCheck {
  /** Name of its store. */
  readonly file: string
  /** Where it was checked to: the segment behind holds this offset, if there is one. */
  readonly end: number
  /** Offsets that hold sound entries. */
  readonly entries: number
  readonly bytes: number
  readonly damaged: readonly BadRange[]
}

/** See `Replica.checkSegment`. What was trimmed or cut meanwhile is not damaged. */
export async function checkSegment(
  w: WriterState,
  offset: number,
  pace: Pace,
): Promise<SegmentCheck | undefined> {
  const from = Math.max(offset, w.lowWaterMark)
  const segment = w.segments[Math.max(0, segmentAt(w.segments, from))]!
  const end = Math.min(segment.endOffset, w.syncedMark)
  if (from >= end) return undefined
  const counted = { entries: 0, bytes: 0 }
  let bad: readonly BadRange[] = []
  try {
    bad = await check(w, segment, end, counted, pace)
  } catch (error) {
    const isGone = error instanceof TidemarkError && error.code === 'TRIMMED'
    if (!isGone) throw error
  }
  if (bad.length === 0 && segment.isSealed) await mendIndex(w, segment)
  const isThere = w.segments.includes(segment)
  const damaged = bad.filter(({ endOffset }) => {
    return isThere && endOffset > w.lowWaterMark && endOffset <= segment.endOffset
  })
  return { file: segment.name, end, ...counted, damaged }
}

/** An index file that cannot be used is no damage, but whoever reads the segment first after each opening pays for it. */
async function mendIndex(w: WriterState, segment: Segment): Promise<void> {
  if (!w.segments.includes(segment)) return
  const problems: string[] = []
  checkIndexFile(w.settings.files, segment, problems, (_position, _offset, problem) => {
    problems.push(problem)
  })
  if (problems.length === 0) return
  await runJob(w, 'repair', function* renew() {
    if (!w.segments.includes(segment)) return
    yield* w.files.rebuild(segment)
    yield* writeIndex(w, segment)
  })
}

async function check(
  w: WriterState,
  segment: Segment,
  end: number,
  counted: { entries: number; bytes: number },
  pace: Pace,
): Promise<readonly BadRange[]> {
  const file = w.files.acquire(segment)
  try {
    const extent = { limit: segment.endPosition, end }
    const steps = checkRange(file, segment, extent, (header) => {
      counted.entries += header.count
    })
    return await paced(steps, (bytes) => {
      counted.bytes += bytes
      return pace(bytes)
    })
  } finally {
    w.files.release(segment)
  }
}

async function paced<T>(steps: Steps<T>, pace: Pace): Promise<T> {
  let next = steps.next()
  while (!next.done) {
    await next.value.run()
    if (next.value instanceof ReadStep) await pace(next.value.count)
    next = steps.next()
  }
  return next.value
}
