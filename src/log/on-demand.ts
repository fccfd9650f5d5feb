import type { Files } from '../io/index.ts'
import type { BackupOptions, BackupReport } from './backup.ts'
import type { DeleteOptions, DeleteReport } from './delete.ts'
import type { DumpOptions, DumpRecord } from './dump.ts'
import type { LogInfo } from './inspect.ts'
import { checkFolderName } from './io-error.ts'
import { checkToolOptions } from './options.ts'
import type { RepairOptions, RepairReport } from './repair.ts'
import type { VerifyOptions, VerifyReport } from './verify.ts'

// What is done to a whole log from outside, and seldom. A program that appends and reads pays for the
// code of it, a quarter of the library, only when it first asks for one of these.

/**
 * Makes a backup of the log in the folder `from`: a new folder `to` that is a log of its own, closed,
 * with every entry that was below the high-water mark when the call began, and perhaps some more. A
 * writer may go on meanwhile, in this process or another. To restore, open the backup, or a copy of it.
 *
 * Throws NOT_FOUND if there is no log, INVALID_ARGUMENT if `to` exists or lies in the log, CORRUPT if
 * what has to be copied is damaged (sealed segments are linked unread: verify the backup), IO, or the
 * signal's reason. A backup that failed, or whose process ended, has left nothing under the name `to`.
 */
export async function backupLog(
  from: string,
  to: string,
  options: BackupOptions & { readonly files?: Files } = {},
): Promise<BackupReport> {
  checkFolderName(from)
  checkFolderName(to)
  checkToolOptions(options, ['onProgress', 'signal', 'files'])
  const module = await import('./backup.ts')
  return module.backupLog(from, to, options)
}

/**
 * Deletes a log that nobody writes: its segments, snapshots, cursors, what repairs have kept, and the
 * folder, unless there is something else in it. Once it has begun the folder is refused with NOT_FOUND
 * until the deletion is finished; one that was interrupted is finished by the next.
 *
 * Throws LOCKED while somebody writes, NOT_FOUND if there is no log, IO.
 */
export async function deleteLog(
  folder: string,
  options: DeleteOptions = {},
): Promise<DeleteReport> {
  checkFolderName(folder)
  checkToolOptions(options, ['lock', 'files', 'unrecognized'])
  const module = await import('./delete.ts')
  return module.deleteLog(folder, options)
}

/**
 * All that lies in a log's folder, file by file and entry by entry, also where it is damaged, dead or not
 * yet promised to anybody. Changes nothing. Throws NOT_FOUND, IO, or the signal's reason.
 */
export async function* dumpLog(
  folder: string,
  options: DumpOptions = {},
): AsyncGenerator<DumpRecord, void> {
  checkFolderName(folder)
  checkToolOptions(options, ['signal', 'files'])
  const module = await import('./dump.ts')
  yield* module.dumpLog(folder, options)
}

/**
 * What a log looks like from outside, without waiting for its writer or changing anything. Throws
 * NOT_FOUND, CORRUPT if the meta file or a whole segment is damaged, UNSUPPORTED_VERSION.
 */
export async function inspectLog(
  folder: string,
  options: { files?: Files } = {},
): Promise<LogInfo> {
  checkFolderName(folder)
  checkToolOptions(options, ['files'])
  const module = await import('./inspect.ts')
  return module.inspectLog(folder, options)
}

/**
 * Repairs a damaged log that nobody writes. By default it ends before the first entry that is lost. With
 * `skip` all that is sound stays, under its offset, and reads pass over what is lost; the batch that an
 * entry belonged to may then be there in part. Replaced files are kept, with names that end in `.broken`.
 * A log that is sound is not touched. If it is interrupted, repairing again finishes it.
 *
 * Throws LOCKED, NOT_FOUND, UNSUPPORTED_VERSION, INVALID_ARGUMENT for a replica's log (which is repaired
 * from its peers), CORRUPT if it cannot be done, IO, or the signal's reason.
 */
export async function repairLog(
  folder: string,
  options: RepairOptions = {},
): Promise<RepairReport> {
  checkFolderName(folder)
  checkToolOptions(options, [
    'skip',
    'dryRun',
    'onProgress',
    'signal',
    'lock',
    'files',
    'clock',
    'random',
  ])
  const module = await import('./repair.ts')
  return module.repairLog(folder, options)
}

/**
 * Reads everything in a log's folder and checks everything: the meta file, the chain of segments, both
 * checksums and the place of each entry, and each index against its store. Changes nothing, and works
 * while a writer lives: then up to its high-water mark.
 *
 * Throws NOT_FOUND if there is no log, UNSUPPORTED_VERSION, or the signal's reason.
 */
export async function verifyLog(
  folder: string,
  options: VerifyOptions = {},
): Promise<VerifyReport> {
  checkFolderName(folder)
  checkToolOptions(options, ['onProgress', 'signal', 'files'])
  const module = await import('./verify.ts')
  return module.verifyLog(folder, options)
}
