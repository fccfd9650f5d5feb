import { errnoOf, TidemarkError } from '../base/index.ts'
import { writerOf } from './folder-lock.ts'
import type { LogView } from './log-view.ts'
import { lowMarks } from './outline.ts'
import { type Found, findLog } from './recovery.ts'
import type { Segment } from './segment.ts'

/** A file can vanish between its listing and its opening, when the writer trims. */
const LOOKS_MAX = 20

/** A log at one moment, as its folder shows it. */
export interface Look {
  readonly lowWaterMark: number
  readonly lowTerm: number
  readonly isReplica: boolean
  /** The living segments, the active one last. */
  readonly segments: readonly Segment[]
}

/** Looks at the folder of a log that may be written at the same time. Throws NOT_FOUND, CORRUPT. */
export async function lookAt(view: LogView): Promise<Look> {
  for (let attempt = 1; ; attempt++) {
    try {
      return lookOnce(view)
    } catch (error) {
      const isPassing = errnoOf(error) === 'ENOENT' || errnoOf(error) === 'CORRUPT'
      const { files } = view.settings
      if (!isPassing || attempt === LOOKS_MAX || !writerOf(files, view.folder)) throw error
      // The writer was in the middle of a change; the next look finds it done.
      await new Promise<void>((resolve) => view.settings.clock.after(1, resolve, true))
    }
  }
}

function lookOnce({ settings, folder }: LogView): Look {
  const found: Found | undefined = findLog(settings, folder)
  if (!found) throw new TidemarkError('NOT_FOUND', `there is no log in ${folder}`)
  const { segments } = found.chain
  return { ...lowMarks(found), isReplica: found.meta.isReplica, segments }
}
