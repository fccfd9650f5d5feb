import { join } from 'node:path'
import type { TidemarkError } from '../base/index.ts'
import type { Files } from '../io/index.ts'
import { readWholeSync, replaceFile } from './file-steps.ts'
import { decodeMeta, encodeMeta, META_BYTES, type Meta, type MetaResult } from './meta-format.ts'
import { META_NAME } from './names.ts'
import { FORMAT_VERSION } from './segment-format.ts'
import type { Steps } from './steps.ts'
import { unsupportedVersion } from './version.ts'
import type { WriterState } from './writer-state.ts'

/** What the meta file says, or what is wrong with it; undefined if there is none. */
export function readMeta(files: Files, folder: string): MetaResult | undefined {
  const path = join(folder, META_NAME)
  if (!files.existsSync(path)) return undefined
  const bytes = readWholeSync(files, path, 2 * META_BYTES)
  return bytes ? decodeMeta(bytes) : { problem: `longer than ${META_BYTES} bytes` }
}

export function newerVersion(folder: string, version: number): TidemarkError {
  return unsupportedVersion(`the log ${folder}`, META_NAME, version, FORMAT_VERSION)
}

export function* writeMeta(files: Files, folder: string, meta: Meta): Steps {
  yield* replaceFile(files, join(folder, META_NAME), encodeMeta(meta))
}

/** What the meta file says of the log as it is now. */
export function metaOf(w: WriterState): Meta {
  const { lowWaterMark, lowTerm, clean } = w
  return { lowWaterMark, lowTerm, clean, isReplica: w.settings.replica }
}

/**
 * Takes the mark of a clean end away, before the first change since the log was opened. Invariant: the
 * mark is only there while the store ends exactly where it says.
 */
export function* markUnclean(w: WriterState): Steps {
  if (!w.clean) return
  yield* writeMeta(w.settings.files, w.folder, { ...metaOf(w), clean: undefined })
  w.clean = undefined
}
