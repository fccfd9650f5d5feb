import type { Advance } from './advance.ts'
import type { LogSettings } from './options.ts'
import type { Segment } from './segment.ts'
import type { SegmentFiles } from './segment-files.ts'

/** What reading needs to know of a log, whether this process writes it or another one does. */
export interface LogView {
  readonly folder: string
  readonly settings: LogSettings
  /** The living segments in order. The array is replaced, never changed, when they change. */
  readonly segments: readonly Segment[]
  readonly lowWaterMark: number
  readonly highWaterMark: number
  readonly files: SegmentFiles
  readonly advance: Advance
  /** True once the log is closed: nothing will follow. */
  readonly isClosed: boolean
  /** Why nothing more can be learnt of the log, while that is so. */
  readonly failure: Error | undefined
  /** Looks for what has changed, where that is not known anyway. */
  refresh(): Promise<void>
  /** Resolves when all that was acknowledged before the call is below the high-water mark. */
  barrier(): Promise<void>
  /** Called while someone follows: keeps looking until the returned function is called. */
  watch(): () => void
}
