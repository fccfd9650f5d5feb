import { TidemarkError } from '../base/index.ts'
import type { Files } from '../io/index.ts'
import {
  type BackupOptions,
  type BackupReport,
  deleteLog,
  type Log,
  verifyLog,
} from '../log/index.ts'

/** Makes a plain log of what is committed here, and reads it through: nothing else would tell of damage in it. */
export async function backUpReplica(
  files: Files,
  log: Log,
  to: string,
  options: BackupOptions,
): Promise<BackupReport> {
  const report = await log.replica.backup(to, options)
  const { folder } = report
  try {
    const { damage } = await verifyLog(folder, { files, signal: options.signal })
    const [first] = damage
    if (!first) return report
    const { file, offset, problem } = first
    const text = `the replica on this member is damaged: ${file}, offset ${offset}: ${problem}; scrub it, or back up another`
    throw new TidemarkError('CORRUPT', text, { file, offset })
  } catch (error) {
    await deleteLog(folder, { files }).catch(() => {})
    throw error
  }
}
