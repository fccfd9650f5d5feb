import { ENTRY_HEADER_BYTES } from './entry-format.ts'
import type { LogSettings } from './options.ts'
import type { DamagedRange } from './recovery.ts'
import type { Segment } from './segment.ts'
import { SEGMENT_HEADER_BYTES } from './segment-format.ts'
import type { Steps } from './steps.ts'
import { type BadStretch, findStretches } from './stretches.ts'

/** True if a segment is to be read through when its log is opened. */
export function isExamined({ examine }: LogSettings, segment: Segment): boolean {
  return examine === 'all' || examine.includes(segment.name)
}

/**
 * Reads sealed segments through, and says what in them is not sound at or above the low-water mark. All of a sealed
 * segment was synced before its successor was made, and that one knows where it ends, so each range has an end.
 */
export function* examineSealed(
  settings: LogSettings,
  segments: readonly Segment[],
  lowWaterMark: number,
): Steps<DamagedRange[]> {
  const damage: DamagedRange[] = []
  for (const segment of segments) {
    const { endOffset: offset, endPosition: position } = segment
    const file = settings.files.openSync(segment.storePath, 'read')
    try {
      const extent = { size: file.sizeSync(), end: { offset, position }, proven: 0 }
      const { bad } = yield* findStretches(file, segment, extent)
      damage.push(...rangesOf(segment, bad))
    } finally {
      file.closeSync()
    }
  }
  return damage.filter(({ endOffset }) => endOffset > lowWaterMark)
}

/** Where entries cannot have lain as they were found, nothing in the segment is believed. */
function rangesOf(segment: Segment, bad: readonly BadStretch[]): DamagedRange[] {
  const { id: segmentId, name: file, base, endOffset, endPosition } = segment
  const ranges = bad.map((stretch) => {
    const { offset, endOffset, position, endPosition, problem } = stretch
    return { segmentId, file, offset, endOffset, position, endPosition, problem }
  })
  const isSound = ranges.every(({ offset, endOffset, position, endPosition = position }) => {
    return endOffset > offset && endPosition - position >= ENTRY_HEADER_BYTES
  })
  if (isSound) return ranges
  const whole = { offset: base, endOffset, position: SEGMENT_HEADER_BYTES, endPosition }
  return [{ segmentId, file, ...whole, problem: 'entries are not where they were' }]
}
