import { join } from 'node:path'
import { TidemarkError } from '../base/index.ts'
import type { Files } from '../io/index.ts'
import { DELETION_NAME, REPAIR_NAME } from './names.ts'

/**
 * Refuses a folder in which a repair or a deletion has been decided on and not been finished: what lies
 * there is not a log at the moment. Throws NOT_FOUND for a deletion, CORRUPT for a repair.
 */
export function refuseUnfinished(files: Files, folder: string): void {
  if (files.existsSync(join(folder, DELETION_NAME))) {
    throw new TidemarkError(
      'NOT_FOUND',
      `the log ${folder} is being deleted, and that was interrupted; \`tidemark delete\` finishes it`,
    )
  }
  if (files.existsSync(join(folder, REPAIR_NAME))) {
    throw new TidemarkError(
      'CORRUPT',
      `the log ${folder} is being repaired, and that was interrupted; \`tidemark repair\` finishes it`,
      { file: REPAIR_NAME },
    )
  }
}
