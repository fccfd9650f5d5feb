import { join } from 'node:path'
import type { Files } from '../io/index.ts'
import { type CopyWatch, copyBytes } from './file-copies.ts'
import { removeIfThere } from './file-steps.ts'
import { writeLost } from './lost-entries.ts'
import { encodeMarks } from './marks-format.ts'
import { encodeMeta } from './meta-format.ts'
import { MARKS_NAME, META_NAME, TEMPORARY_SUFFIX } from './names.ts'
import type { RepairPlan, Rewrite } from './repair-plan.ts'
import type { Survey } from './repair-survey.ts'
import { encodeSegmentHeader } from './segment-format.ts'

/**
 * Writes every new file of a repair under a temporary name, and syncs it. The old ones are only read: a
 * backup may share them. Returns the names that the new files are for.
 */
export async function buildFiles(
  files: Files,
  folder: string,
  plan: RepairPlan,
  found: Survey,
  watch: CopyWatch,
): Promise<string[]> {
  const names: string[] = []
  for (const rewrite of plan.rewrites) {
    await buildStore(files, folder, rewrite, watch)
    names.push(rewrite.segment.name)
  }
  const synced = plan.isEndNew ? plan.end : Math.min(found.proven, plan.end)
  const shown = plan.isEndNew ? plan.end : Math.min(found.markedHighWaterMark, plan.end)
  const highWaterMark = Math.max(synced, shown)
  const marks = encodeMarks({ segmentId: plan.activeId, synced, highWaterMark, writer: 0 })
  await buildWhole(files, join(folder, MARKS_NAME), marks)
  await buildWhole(files, join(folder, META_NAME), encodeMeta(plan.meta))
  return [...names, MARKS_NAME, META_NAME]
}

async function buildWhole(files: Files, path: string, bytes: Uint8Array): Promise<void> {
  await build(files, path, (file) => file.write(bytes, 0))
}

async function build(
  files: Files,
  path: string,
  write: (file: ReturnType<Files['openSync']>) => Promise<void>,
): Promise<void> {
  const temporary = path + TEMPORARY_SUFFIX
  removeIfThere(files, temporary)
  const file = files.openSync(temporary, 'create')
  try {
    await write(file)
    await file.datasync()
  } finally {
    file.closeSync()
  }
}

/** The same positions as in the old store, so that its successor still fits. */
async function buildStore(
  files: Files,
  folder: string,
  rewrite: Rewrite,
  watch: CopyWatch,
): Promise<void> {
  const { segment, from, fromBytes, lost, endPosition } = rewrite
  await build(files, segment.storePath, async (file) => {
    if (from !== undefined) {
      const source = files.openSync(join(folder, from), 'read')
      try {
        await copyBytes(source, file, fromBytes, watch)
      } finally {
        source.closeSync()
      }
    }
    file.truncateSync(endPosition)
    await file.write(encodeSegmentHeader(segment.header), 0)
    for (const stretch of lost) {
      watch.signal?.throwIfAborted()
      await writeLost(file, segment, stretch)
    }
  })
}
