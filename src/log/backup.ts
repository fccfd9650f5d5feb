import { dirname, isAbsolute, relative, resolve, sep } from 'node:path'
import { errnoOf, OFFSET_MAX, TidemarkError } from '../base/index.ts'
import { type Files, nodeFiles, nodeRandom } from '../io/index.ts'
import { type Look, lookAt } from './backup-source.ts'
import { BackupTarget } from './backup-target.ts'
import type { CopyWatch, Progress } from './file-copies.ts'
import { makeFolderDurably } from './folder-snapshots.ts'
import { checkLogPath, withIoErrors } from './io-error.ts'
import type { LogView } from './log-view.ts'
import { TEMPORARY_SUFFIX } from './names.ts'
import { logSettings } from './options.ts'
import { segmentAt } from './segment.ts'
import { TailView } from './tail-view.ts'

/** How often a trim may overtake a backup, which then begins again with what it already has. */
const ATTEMPTS_MAX = 100

export interface BackupOptions {
  /** Called as it goes on, with bytes of stores. */
  readonly onProgress?: ((done: Progress) => void) | undefined
  /** Stops it; what was made of the backup is removed. */
  readonly signal?: AbortSignal | undefined
}

export interface BackupReport {
  /** Absolute path of the backup. */
  readonly folder: string
  readonly lowWaterMark: number
  readonly highWaterMark: number
  readonly segments: number
  /** Bytes of stores that the backup shares with the log, by hard links. */
  readonly linkedBytes: number
  /** Bytes of stores that were copied. */
  readonly copiedBytes: number
}

/** See on-demand.ts, through which programs call it. */
export async function backupLog(
  from: string,
  to: string,
  options: BackupOptions & { readonly files?: Files } = {},
): Promise<BackupReport> {
  const { files = nodeFiles, ...others } = options
  const path = resolve(from)
  checkLogPath(files, path)
  const view = await withIoErrors(`open the log ${path}`, () =>
    TailView.open(path, logSettings({ mode: 'read', files })),
  )
  try {
    return await backupView(view, to, others)
  } finally {
    view.close()
  }
}

/** {@link backupLog}, of a log that is open; `isPlain`: that of a replica becomes one that anybody may open. */
export async function backupView(
  view: LogView,
  to: string,
  { onProgress, signal }: BackupOptions,
  isPlain = false,
): Promise<BackupReport> {
  const { files } = view.settings
  const target = targetOf(files, view.folder, to)
  return withIoErrors(`back up the log ${view.folder} to ${target}`, async () => {
    signal?.throwIfAborted()
    refuseExisting(files, target)
    await makeFolderDurably(files, dirname(target))
    // Nobody takes it for a log: it has no meta file before everything else is there, and this name.
    const temporary = `${target}.${hex(nodeRandom.uint32())}${TEMPORARY_SUFFIX}`
    const building = new BackupTarget(files, temporary)
    try {
      const made = await build(view, building, { onProgress, signal, isPlain })
      signal?.throwIfAborted()
      refuseExisting(files, target)
      files.renameSync(temporary, target)
      await files.syncDirectory(dirname(target))
      return { folder: target, ...made }
    } catch (error) {
      building.remove()
      throw error
    }
  })
}

function targetOf(files: Files, folder: string, to: string): string {
  if (typeof to !== 'string' || to === '') {
    throw invalid(`the backup needs the path of a folder, not ${String(to)}`)
  }
  const target = resolve(to)
  // By real paths: a link may lead into the log.
  const below = relative(files.realPathSync(folder), files.realPathSync(target))
  if (below !== '..' && !below.startsWith(`..${sep}`) && !isAbsolute(below)) {
    throw invalid(`a backup of ${folder} cannot lie in the log itself, in ${target}`)
  }
  return target
}

function refuseExisting(files: Files, target: string): void {
  if (!files.existsSync(target)) return
  throw invalid(`${target} exists already; give a backup a path where nothing is`)
}

interface Work {
  readonly onProgress: BackupOptions['onProgress']
  readonly signal: AbortSignal | undefined
  readonly isPlain: boolean
}

/**
 * Puts a whole log into the temporary folder. In this order, because a program may trim the log as soon
 * as a cursor has moved or a snapshot is written: the low-water mark and what is sealed; snapshots and
 * cursors, which are then not behind that mark; the high-water mark, which they are not above; the rest.
 */
async function build(view: LogView, target: BackupTarget, work: Work) {
  target.begin()
  for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
    const first = await lookAt(view)
    const watch = progressOf(first, view, work)
    await takeSealed(target, first, view.highWaterMark, watch)
    // A replica may have a state that is newer than what it has of the log, from another member.
    const offsetMax = work.isPlain ? view.highWaterMark : OFFSET_MAX
    await target.takeFolders(view.folder, watch, offsetMax)
    await view.barrier()
    const { highWaterMark } = view
    const last = await lookAt(view)
    await takeSealed(target, last, highWaterMark, watch)
    const tail = last.segments[segmentAt(last.segments, highWaterMark)]
    const taken = tail && (await target.takeTail(tail, highWaterMark, watch))
    // If trims have removed what was wanted, the log now begins later, and so does the backup.
    if (taken && target.keepChain(tail, first.lowWaterMark)) {
      const isReplica = first.isReplica && !work.isPlain
      return target.finish({ ...first, isReplica }, highWaterMark, tail)
    }
  }
  throw new TidemarkError(
    'IO',
    `the log ${view.folder} is trimmed faster than it can be backed up; keep more of it`,
  )
}

/** Takes what is sealed. In a replica only what is committed: the rest may still be cut off. */
async function takeSealed(
  target: BackupTarget,
  { segments, isReplica }: Look,
  highWaterMark: number,
  watch: CopyWatch,
): Promise<void> {
  for (const segment of segments.slice(0, -1)) {
    watch.signal?.throwIfAborted()
    if (isReplica && segment.endOffset > highWaterMark) return
    // A replica repairs its stores in place: a link would be repaired, or spoilt, with them.
    const mayLink = !isReplica
    try {
      await target.takeSegment(segment, mayLink, watch)
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error
      // It was trimmed in the meantime.
    }
  }
}

function progressOf({ segments }: Look, { settings }: LogView, work: Work): CopyWatch {
  const { signal, onProgress } = work
  const active = segments.at(-1)!
  const sealed = segments.slice(0, -1).reduce((sum, { endPosition }) => sum + endPosition, 0)
  let totalBytes = sealed
  try {
    totalBytes += sizeOf(settings.files, active.storePath)
  } catch {
    // It has been sealed and trimmed since. What is left to do is found out as it is done.
  }
  let bytes = 0
  const onBytes = (count: number) => {
    bytes += count
    totalBytes = Math.max(totalBytes, bytes)
    onProgress?.({ bytes, totalBytes })
  }
  return { signal, onBytes }
}

function sizeOf(files: Files, path: string): number {
  const file = files.openSync(path, 'read')
  try {
    return file.sizeSync()
  } finally {
    file.closeSync()
  }
}

function hex(value: number): string {
  return value.toString(16).padStart(8, '0')
}

function invalid(message: string): TidemarkError {
  return new TidemarkError('INVALID_ARGUMENT', message)
}
